"""`/connections`: the ways to log in to the tenant, which clients use them, and who is known by one.

Secrets are written and never read. A connection of the control plane is read-only here, but which of the tenant's
clients use it is the tenant's to say. What options mean is `tenant_runtime.connections`.
"""
