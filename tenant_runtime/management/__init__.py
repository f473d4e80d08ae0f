"""The Management API of a tenant (`/api/v2`), in Auth0's shapes: one file per resource.

Paging, errors, PATCH, idempotency, permissions and audit are each written once and used by every resource
(`specs/management-api.md` section 1). Who may come here at all is `access`; what a caller may do is a permission
of the tenant's own Management API, listed in `permissions`. `api.handlers` is all of it.
"""
