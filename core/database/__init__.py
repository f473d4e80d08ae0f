"""Databases: the only package that knows drivers, pragmas and how a transaction starts.

A unit of work is a plain synchronous function of a SQLAlchemy connection. `Database.read` and `Database.write` run
it in the thread that owns the connection, once there and back, so no lock is ever held across the event loop.
Writers of one process commit in groups; several processes take turns; configuration is read from memory while a
shared counter says that it still holds. What a kind of database must bring along is in `kinds.py`; those behind servers
are in `remote/`.
"""

from core.database.database import Database
from core.database.faults import UnitBroken
from core.database.generations import Generations, NoSlotLeft
from core.database.pool import Databases
from core.database.prepared import Prepared, PreparedPage, rows_of_all
from core.database.refs import DatabaseRef
from core.database.sqlite import files_of

__all__ = [
    "Database",
    "DatabaseRef",
    "Databases",
    "Generations",
    "NoSlotLeft",
    "Prepared",
    "PreparedPage",
    "UnitBroken",
    "files_of",
    "rows_of_all",
]
