"""The protocol of a tenant: OAuth 2.1 and OpenID Connect, a file per endpoint and per grant.

An endpoint reads its request once, asks the tenant's configuration snapshot, runs one unit of work that claims,
checks and writes, and signs after the commit. What is decided (`policy`, `claims`, `issuing`) is plain functions of
plain values. Pages that people see are in `tenant_runtime/login`. Implements RFC 6749, 6750, 7009, 7636, 8414,
9068, 9207 and OpenID Connect Core and Discovery 1.0; `endpoints.handlers` is what the application mounts.
"""
