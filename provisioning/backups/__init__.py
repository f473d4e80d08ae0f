"""Backups: copies of one tenant's database, taken while it serves, sealed, verified, and put back.

`taking` copies, at once (`orders`) or by itself (`schedule`, `retention`); `restoring` makes a new generation of the
tenant from a copy, without what `outdated` says must not come back. A copy is a SQLite file whatever the back end is,
so it can be restored into another; as it is `stored`, it is sealed under a key derived from the tenant's data key:
destroying that key destroys every backup.
"""
