"""What a template holds beside the schema: the catalogue's rows, as far as they are the same for many tenants.

A permission on the Management API needs the tenant's own id of it, and a setting may be rendered for each tenant:
with either, the template holds the rest, and the step `catalogue` compares and completes the rows.
"""

import msgspec
from sqlalchemy import Connection

from provisioning.backends.template import Applied, Filling
from sync.apply import write_plan
from sync.catalogue import Desired
from sync.held import read_held
from sync.plan import make_plan


def fill_with(desired: Desired | None, *, is_same_for_all: bool, now: int) -> tuple[str, Filling]:
    """The template's key and what fills it; None is tenant one, which holds no catalogue."""
    if desired is None:
        return "", lambda _: None
    catalogue = desired.catalogue
    if not is_same_for_all:
        catalogue = msgspec.structs.replace(catalogue, settings={})

    def fill(connection: Connection) -> Applied | None:
        held = read_held(connection)
        plan = make_plan(catalogue, held)
        write_plan(connection, plan, held, now=now)
        if plan.dangling or not is_same_for_all:
            return None
        return desired.digest, *desired.wanted

    key = catalogue.digest() if catalogue is not desired.catalogue else desired.digest
    return f"{key}:{int(is_same_for_all)}", fill
