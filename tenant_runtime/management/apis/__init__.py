"""What there is to be allowed, and bundles of it: `/resource-servers` with their scopes, `/roles` with permissions.

What the control plane shares of both is read here like the tenant's own, and changed by converge alone: whoever
tries it here is told where.
"""
