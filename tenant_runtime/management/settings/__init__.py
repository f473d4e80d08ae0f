"""`/tenants/settings`: what belongs to the tenant as a whole."""
