"""`/clients` and what belongs to one: secrets and keys, client grants, tokens to register with.

Secrets are shown when they are made, and later to who may read client keys. What a client is not asked about
is kept as it was written.
"""
