"""Links that the tenant's own software hands on to a person: to prove an address, to choose a new password.

Each does one thing, once. Only its digest is kept, so that it stands in the one answer and nowhere else; who may not
sign in as somebody gets no such link for them.
"""
