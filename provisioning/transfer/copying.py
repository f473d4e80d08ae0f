"""All rows of one database into another that holds none."""

from collections.abc import Callable

from sqlalchemy import Connection

from provisioning.transfer.rows import insert_rows, pages, put_tenant
from provisioning.transfer.tables import TENANT, shapes_of


def copy_rows(
    source: Connection, target: Connection, *, on_page: Callable[[str, int], None] | None = None
) -> int:
    """Both inside a transaction, the source's a snapshot; answers how many rows there were.

    The target has the schema and no rows. A row of `tenant` that is there already becomes the source's, and then its
    transaction must be one of converge. `on_page` is told of each table and how many rows more of it are written.
    """
    copied = 0
    for shape in shapes_of(source, target):
        for page in pages(source, shape):
            if shape.table is TENANT:
                put_tenant(target, shape, page[0])
            else:
                insert_rows(target, shape, page)
            copied += len(page)
            if on_page is not None:
                on_page(shape.table.name, len(page))
    return copied
