"""`/api/v2/branding`: how the tenant's pages and letters look.

The setting `branding` is the one source: what is written here is seen at `/tenants/settings`, is inherited as every
setting is, and the other way round. Auth0's themes and page templates do not exist here.
"""
