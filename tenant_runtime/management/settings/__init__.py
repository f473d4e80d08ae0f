"""`/tenants/settings`: what belongs to the tenant as a whole.

Effective values, where each comes from, and the tenant's own; what the platform owns is not
among them.
"""
