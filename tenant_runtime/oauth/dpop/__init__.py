"""Proof of possession (RFC 9449): tokens that only the holder of a key can use.

`verification` is what a proof must be, `nonces` how old it may be, `proofs` what both mean for a request at the token
endpoint or at a resource.
"""
