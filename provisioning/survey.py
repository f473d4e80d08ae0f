"""What there is on the servers of each back end, beside what the registry points to.

A database that nobody points to is what a crash left, what was set aside for a person to look at, or what is being
made right now by an operation that has not yet been noted: it is told, never deleted.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from controlplane.models import RegistryBase
from controlplane.registry.operations import UNFINISHED
from core.errors import Unavailable
from provisioning.backends import Backend, Surveyed
from provisioning.parts import Parts

_OURS = re.compile(r"(?:aside-|past-)?[a-z0-9-]+-[0-9a-f]{10}")
UNKNOWN = "not among the back ends that this process was given (KEYSTEAD_BACKENDS_FILE)"
_TABLES = RegistryBase.metadata.tables


class BackendSurvey(msgspec.Struct, frozen=True, kw_only=True):
    """`strays` is None where a back end cannot tell what it has, or cannot be reached now (`problem`)."""

    name: str
    tenants: int
    strays: tuple[str, ...] | None
    problem: str | None = None


async def survey(parts: Parts) -> list[BackendSurvey]:
    """First what there is, then what is pointed to: what is made in between is no stray."""
    found = [
        (name, await asyncio.to_thread(_names, backend)) for name, backend in sorted(parts.backends.items())
    ]
    pointed, tenants = await parts.registry.read(_pointers)
    unknown = [(name, (None, UNKNOWN)) for name in sorted(tenants.keys() - parts.backends.keys())]
    return [
        BackendSurvey(
            name=name,
            tenants=tenants[name],
            strays=None if names is None else tuple(name for name in names if name not in pointed),
            problem=problem,
        )
        for name, (names, problem) in [*found, *unknown]
    ]


def _names(backend: Backend) -> tuple[list[str] | None, str | None]:
    if not isinstance(backend, Surveyed):
        return None, None
    try:
        return sorted(name for name in backend.names() if _OURS.fullmatch(name)), None
    except Unavailable as error:
        return None, error.description


def _pointers(connection: Connection) -> tuple[set[str], Counter[str]]:
    """Names of databases, without region and host; and how many tenants each back end has."""
    tenants, retired, operations = (_TABLES[name] for name in ("tenants", "retired_databases", "operations"))
    held = connection.execute(
        select(tenants.c.backend, tenants.c.location).where(tenants.c.state != "deleted")
    ).all()
    old = connection.execute(select(retired.c.location)).scalars().all()
    unfinished = operations.c.state.in_(UNFINISHED)
    begun = connection.execute(select(operations.c.parameters).where(unfinished)).scalars().all()
    locations = [*(location for _, location in held), *old, *_replacements(begun)]
    return {_name(location) for location in locations}, Counter(backend for backend, _ in held)


def _replacements(parameters: Any) -> Iterator[str]:
    for each in parameters:
        replacement = (each or {}).get("replacement")
        if replacement:
            yield replacement["location"]


def _name(location: str) -> str:
    return location.partition("@")[0].rpartition("/")[2]
