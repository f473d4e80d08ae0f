"""`/api/v2/custom-domains`: a tenant says that a domain is its own, proves it, and is found by it.

Which tenant has a domain is the registry's to say (`core.domains`, handed over by `entrypoints`); this room owns
Auth0's shape of it, the limits of asking, and the tenant's log of what was done. Tenant one has the host that the
installation gave it, and no other.
"""
