"""Keys, signatures, passwords and secrets at rest.

`sealing` (AES-256-GCM, a data key per tenant wrapped by the installation's key), `passwords` (Argon2id in a
bounded executor of its own), `keys` and `keystock` (signing keys, spare ones made ahead), `jwt` (RFC 7515,
7519, 8725). JOSE is joserfc's; what is here decides which key, which algorithm and which type. Knows no
tenant, no database and no request.
"""
