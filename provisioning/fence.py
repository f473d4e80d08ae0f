"""No more writes to a database that is about to be replaced, whoever holds a handle of it, on whatever machine.

Triggers before every write of every table, put there in a writing transaction: a database has one writer at a time, so
every write is either before the fence and part of what replaces it, or fails visibly with `DatabaseMoved`, upon which
its caller looks where the tenant points now. Reads go on.
"""

from sqlalchemy import Connection, inspect

from core.database.faults import MOVED
from core.database.triggers import Refusing, create_triggers, drop_triggers, trigger_names
from core.errors import DatabaseBusy
from provisioning.moving import capture

PREFIX = "fence_"
MARKS = "transaction_marks"
"""Of transactions, that of the fence itself too: no data of a tenant's."""


def raise_fence(connection: Connection) -> None:
    """Safe to repeat."""
    if not is_fenced(connection):
        create_triggers(
            connection,
            [
                Refusing(
                    name=f"{PREFIX}{table}_{event.lower()}",
                    event=event,
                    table=table,
                    condition="true",
                    message=MOVED,
                )
                for table in inspect(connection).get_table_names()
                if table != MARKS
                for event in ("INSERT", "UPDATE", "DELETE")
            ],
        )


def lower_fence(connection: Connection) -> None:
    drop_triggers(connection, PREFIX)


def clear_copy(connection: Connection) -> None:
    """What a move or a restore put into the original at the moment it was copied is no part of the copy."""
    lower_fence(connection)
    capture.remove(connection)


def refuse_fenced(connection: Connection) -> None:
    """For a migration, which makes all triggers anew: it would open the fence, and what is written from then on is
    lost. It is tried again, by then at the new place."""
    if is_fenced(connection) or capture.is_closed(connection):
        raise DatabaseBusy("The tenant's database is being replaced.")


def is_fenced(connection: Connection) -> bool:
    return bool(trigger_names(connection, PREFIX))
