"""Bringing every tenant's database to the schema of this release, while all of them are served.

`tenant` does it to one: a snapshot, then one transaction that asks before COMMIT whether the result is whole. `run`
does it to the fleet, in the `waves` that are planned once; each wave's tenants are opened and looked at before the
next begins, and a run that meets more failures than may be stops by itself. `lazy` is what a request meets whose tenant
was not reached yet, `rollback` puts one tenant's `snapshots` back. Code serves its own schema and the one before it.

Any number of processes on any number of nodes work on one run: tenants are claimed by lease in the registry.
"""
