"""`/keys`: those that sign the tenant's tokens. Listed, rotated, revoked.

Their life is `oauth.keys`; here it is an operator's to hurry. No private part is ever
shown.
"""
