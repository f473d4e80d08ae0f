"""What is long to do: asked for once, done in the background, looked at meanwhile."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tenant_runtime.models.base import JsonObject, Millis, TenantBase, owned_by


class Job(TenantBase):
    """One run. `type`: users_import, users_export, verification_email. `status`: uploading (not yet asked for),
    pending, processing, completed, failed. A worker holds it until `leased_until`; `fencing` grows with every claim,
    and a write of an older claim is refused. `done` of `total` rows are through, `part` is the next one to read or to
    write, and `position` where an export goes on: after a crash the next worker begins there."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_created", "created_at", "id"),
        Index("ix_jobs_status", "status", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    status: Mapped[str]
    connection_id: Mapped[str | None]
    parameters: Mapped[JsonObject]
    total: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    part: Mapped[int] = mapped_column(default=0)
    position: Mapped[list[Any] | None] = mapped_column(JSON)
    inserted: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
    fencing: Mapped[int] = mapped_column(BigInteger, default=0)
    leased_until: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Millis]
    started_at: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)


class JobPart(TenantBase):
    """What a job was given, and what it made, in pieces. `kind`: input, errors, output. `content` is sealed for
    (`job_parts`, kind, `<job> <number>`)."""

    __tablename__ = "job_parts"
    __table_args__ = {"sqlite_with_rowid": False}

    job_id: Mapped[str] = mapped_column(owned_by("jobs.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
