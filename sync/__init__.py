"""The catalogue: read from tenant one, narrowed for a tenant, compared with its rows, applied in one transaction.

State, not a log: applying twice is harmless, order cannot be wrong, and a new, a lagging and a damaged tenant are
one case (`DESIGN.md` section 3, `specs/tenancy.md` sections 5 and 6). `catalogue` says what a tenant should hold,
`held` what it holds, `plan` the difference, `apply` writes it, `drift` shows it, `gate` sees to it at a request and
`fleet` in the background. Databases are not made here: that is `provisioning/`.
"""
