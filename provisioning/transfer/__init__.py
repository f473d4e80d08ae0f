"""Rows of a tenant's database from one engine into another, whole, typed and checked.

Tables go parent first, in pages by primary key; values are what the models say they are, JSON stays the text it was.
A snapshot is a SQLite file with the tenant's schema at the version it had, whatever engine it was taken from. Who
opens connections, and what happens to the database while this runs, is decided elsewhere: every function here works
inside the transaction that it is given.
"""

from provisioning.transfer.copying import copy_rows
from provisioning.transfer.digests import TableDigest, digests, same_rows
from provisioning.transfer.snapshots import load_snapshot, write_snapshot
from provisioning.transfer.tables import Shape, shapes_of

__all__ = [
    "Shape",
    "TableDigest",
    "copy_rows",
    "digests",
    "load_snapshot",
    "same_rows",
    "shapes_of",
    "write_snapshot",
]
