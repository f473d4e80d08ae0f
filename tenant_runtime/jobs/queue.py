"""The rows of `jobs` and their parts, as units: put in, claimed under a lease, taken a part further, over.

Who claims a job has its `fencing`; each unit that takes it further says which claim and which part it is of, and is
undone where either is no longer true.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from core.clock import LEEWAY_MS
from core.crypto.sealing import DataKey
from core.errors import RateLimited
from core.ids import new_id
from tenant_runtime.audit import Event, record
from tenant_runtime.deliveries import Outgoing, enqueue
from tenant_runtime.models import Job, JobPart

KIND = "job"
IMPORT, EXPORT, VERIFICATION = "users_import", "users_export", "verification_email"
MAX_OPEN = 2
"""Of one tenant, imports and exports, those that are being uploaded included."""

KEPT_MS = 24 * 3_600_000
"""After its end a job, its errors and what it made can be seen for so long."""

UPLOAD_MS = 3_600_000
GIVEN_UP_MS = 36 * 3_600_000
"""Longer than what is delivered is tried."""

LEASE_MS = 60_000
"""Longer than a stretch takes; shorter than the lease of the delivery that it is."""

_OPEN = ("uploading", "pending", "processing")
_j, _p = Job.__table__.c, JobPart.__table__.c
_FIND = select(Job.__table__).where(_j.id == bindparam("of"))
_PART = select(_p.content).where(
    _p.job_id == bindparam("of"), _p.kind == bindparam("of_kind"), _p.number == bindparam("of_number")
)
_ADD_PART = insert(JobPart.__table__)


class JobHeld(Exception):
    """Another worker has it."""


class JobLost(Exception):
    """Another worker took it over, or it is over: the unit is undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """In the hands of one worker. `part` is the next one; `done` rows are through."""

    id: str
    type: str
    connection_id: str | None
    parameters: Mapping[str, Any]
    total: int
    done: int
    part: int
    position: list[Any] | None
    fencing: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one part did."""

    done: int
    inserted: int = 0
    updated: int = 0
    failed: int = 0
    position: list[Any] | None = None
    total: int | None = None
    part: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Sealed, by kind: what is kept beside the job under the number of this part."""


def sealed(data_key: DataKey, job_id: str, kind: str, number: int, content: bytes) -> bytes:
    return data_key.seal(content, "job_parts", kind, f"{job_id} {number}")


def opened(data_key: DataKey, job_id: str, kind: str, number: int, content: bytes) -> bytes:
    return data_key.open(content, "job_parts", kind, f"{job_id} {number}")


# --- Asked for -----------------------------------------------------------------------------------------------------


def add_job(connection: Connection, type: str, now: int, *, status: str = "pending", **values: Any) -> str:
    """Raises `RateLimited` where as many are open as may be."""
    sweep_jobs(connection, now)
    if type != VERIFICATION:
        _check_open(connection)
    job_id = new_id("job")
    row = {"id": job_id, "type": type, "status": status, "created_at": now, "parameters": {}, **values}
    connection.execute(insert(Job.__table__), row)
    return job_id


def _check_open(connection: Connection) -> None:
    open_now = connection.scalar(select(func.count()).where(_j.status.in_(_OPEN))) or 0
    if open_now >= MAX_OPEN:
        raise RateLimited(
            f"There are {open_now} active jobs, please wait until some of them are finished and try again.",
            retry_after=60,
        )


def add_part(connection: Connection, job_id: str, kind: str, number: int, content: bytes) -> None:
    row = {"job_id": job_id, "kind": kind, "number": number, "content": content}
    connection.execute(_ADD_PART, row)


def begin(connection: Connection, data_key: DataKey, job_id: str, now: int, **values: Any) -> None:
    """An upload is complete: from now on it is a job. `Deliveries.soon` after the commit."""
    connection.execute(update(Job.__table__).where(_j.id == job_id).values(status="pending", **values))
    hand_on(connection, data_key, job_id, now)


def hand_on(connection: Connection, data_key: DataKey, job_id: str, now: int) -> None:
    """The next stretch, for whoever is free."""
    enqueue(connection, data_key, Outgoing(new_id("dlv"), KIND, job_id, {"job": job_id}), now)


def discard(connection: Connection, job_id: str) -> None:
    connection.execute(delete(Job.__table__).where(_j.id == job_id))


# --- Worked on -----------------------------------------------------------------------------------------------------


def claim(connection: Connection, job_id: str, now: int) -> Claimed | None:
    """None: it is over, or gone. Raises `JobHeld`."""
    row = connection.execute(_FIND, {"of": job_id}).one_or_none()
    if row is None or row.status not in ("pending", "processing"):
        return None
    if row.leased_until is not None and now < row.leased_until <= now + LEASE_MS + LEEWAY_MS:
        raise JobHeld
    fencing = row.fencing + 1
    claiming = (
        update(Job.__table__)
        .where(_j.id == job_id, _j.fencing == row.fencing)
        .values(
            fencing=fencing,
            leased_until=now + LEASE_MS,
            status="processing",
            started_at=now if row.started_at is None else row.started_at,
        )
    )
    if connection.execute(claiming).rowcount != 1:
        raise JobHeld
    return Claimed(
        id=row.id,
        type=row.type,
        connection_id=row.connection_id,
        parameters=row.parameters,
        total=row.total,
        done=row.done,
        part=row.part,
        position=row.position,
        fencing=fencing,
        created_at=row.created_at,
    )


def advance(connection: Connection, job: Claimed, step: Step) -> Claimed:
    """In the unit of what the part did; the job as it is held from then on. Raises `JobLost`."""
    total = job.total if step.total is None else step.total
    values = {
        "done": job.done + step.done,
        "part": job.part + 1,
        "position": step.position,
        "total": total,
        "inserted": _j.inserted + step.inserted,
        "updated": _j.updated + step.updated,
        "failed": _j.failed + step.failed,
    }
    _held(connection, job, values)
    for kind, content in step.part.items():
        add_part(connection, job.id, kind, job.part, content)
    return Claimed(
        id=job.id,
        type=job.type,
        connection_id=job.connection_id,
        parameters=job.parameters,
        total=total,
        done=job.done + step.done,
        part=job.part + 1,
        position=step.position,
        fencing=job.fencing,
        created_at=job.created_at,
    )


def finish(connection: Connection, job: Claimed, now: int, error: str | None = None) -> None:
    """Over. What it was given is kept no longer."""
    status = "completed" if error is None else "failed"
    _held(connection, job, {"status": status, "error": error, "ended_at": now, "leased_until": None})
    connection.execute(delete(JobPart.__table__).where(_p.job_id == job.id, _p.kind == "input"))
    row = connection.execute(_FIND, {"of": job.id}).one()
    counts = {name: row._mapping[name] for name in ("total", "inserted", "updated", "failed")}
    what = job.type.replace("_", " ").capitalize()
    event = Event(
        type="sapi" if error is None else "fapi",
        created_at=now,
        description=f"{what} {status}",
        details={"job": job.id, **counts, **({"error": error} if error else {})},
    )
    record(connection, event)


def let_go(connection: Connection, data_key: DataKey, job: Claimed, now: int) -> None:
    """The end of a stretch: the lease ends, and the next stretch waits."""
    _held(connection, job, {"leased_until": None})
    hand_on(connection, data_key, job.id, now)


def release(connection: Connection, job: Claimed) -> None:
    """After a failure: the delivery is tried again, and finds the job free."""
    connection.execute(
        update(Job.__table__).where(_j.id == job.id, _j.fencing == job.fencing).values(leased_until=None)
    )


def _held(connection: Connection, job: Claimed, values: Mapping[str, Any]) -> None:
    ours = (
        _j.id == job.id,
        _j.fencing == job.fencing,
        _j.part == job.part,
        _j.status == "processing",
    )
    if connection.execute(update(Job.__table__).where(*ours).values(**values)).rowcount != 1:
        raise JobLost


# --- Looked at -----------------------------------------------------------------------------------------------------


def find(connection: Connection, job_id: str) -> Row[Any] | None:
    """An upload that is not complete is no job yet."""
    row = connection.execute(_FIND, {"of": job_id}).one_or_none()
    return None if row is None or row.status == "uploading" else row


def part(connection: Connection, job_id: str, kind: str, number: int) -> bytes | None:
    content: bytes | None = connection.scalar(_PART, {"of": job_id, "of_kind": kind, "of_number": number})
    return content


def numbers(connection: Connection, job_id: str, kind: str) -> list[int]:
    of_job = select(_p.number).where(_p.job_id == job_id, _p.kind == kind).order_by(_p.number)
    return list(connection.execute(of_job).scalars())


def sweep_jobs(connection: Connection, now: int) -> None:
    """Old ones go with all their parts; one that nobody works on any more has failed."""
    given_up = (_j.status.in_(("pending", "processing")), _j.created_at < now - GIVEN_UP_MS)
    values = {"status": "failed", "error": "The job was given up.", "ended_at": now, "leased_until": None}
    connection.execute(update(Job.__table__).where(*given_up).values(**values))
    is_left = (_j.status == "uploading") & (_j.created_at < now - UPLOAD_MS)
    connection.execute(delete(Job.__table__).where((_j.ended_at < now - KEPT_MS) | is_left))
