"""`/api/v2/jobs`: asked for, and looked at. Shapes, statuses and scopes are Auth0's."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from litestar import Response
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, RequestBody, Schema
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from msgspec import UNSET, Meta
from sqlalchemy import Connection, bindparam, select

from core.clock import to_iso
from core.crypto.sealing import DataKey
from core.errors import InsufficientScope, InvalidInput, NotFound
from core.tenants import Tenant
from tenant_runtime.jobs import queue
from tenant_runtime.login.email_verification import OfIdentity, send_verification
from tenant_runtime.mail.queue import require_mail
from tenant_runtime.management.access import require_standing
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.documentation import ManagementOperation
from tenant_runtime.management.editing import Body, Id, Maybe, named
from tenant_runtime.management.jobs import downloads
from tenant_runtime.management.jobs.uploads import FIELDS, MAX_UPLOAD, Upload, receive
from tenant_runtime.management.routing import creating, reading
from tenant_runtime.models import Connection as ConnectionRow

_connection = ConnectionRow.__table__.c
_DATABASE = select(_connection.id).where(_connection.id == bindparam("of"), _connection.strategy == "auth0")
_CONNECTION = select(_connection.id).where(_connection.id == bindparam("of"))
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "": False}


class ExportField(Body):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    export_as: Maybe[Annotated[str, Meta(min_length=1, max_length=200)]] = UNSET


class UsersExportIn(Body):
    connection_id: Maybe[Id] = UNSET
    format: Literal["json", "csv"] = "json"
    limit: Maybe[Annotated[int, Meta(ge=1, le=2**31 - 1)]] = UNSET
    fields: Maybe[Annotated[list[ExportField], Meta(min_length=1, max_length=100)]] = UNSET


class VerifiedIdentity(Body):
    user_id: Id
    provider: Id


class VerificationEmailIn(Body):
    user_id: Id
    client_id: Maybe[Id] = UNSET
    identity: Maybe[VerifiedIdentity] = UNSET


@dataclass
class UploadOperation(ManagementOperation):
    """A form with a file is no body that the framework decodes, so it is described by hand."""

    def __post_init__(self) -> None:
        super().__post_init__()
        text, file = (
            Schema(type=OpenAPIType.STRING),
            Schema(type=OpenAPIType.STRING, content_media_type="application/json"),
        )
        schema = Schema(
            type=OpenAPIType.OBJECT,
            properties={**dict.fromkeys(FIELDS, text), "users": file},
            required=["connection_id", "users"],
        )
        self.request_body = RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=schema)})


@creating(
    "/jobs/users-imports",
    "create:users",
    status_code=202,
    request_max_body_size=MAX_UPLOAD,
    operation_class=UploadOperation,
)
async def create_users_import(call: CallOf) -> dict[str, Any]:
    """An upload that does not become a job leaves nothing."""
    upload, database = await call.tenant.database.write(_begin_upload, call.now), call.tenant.database
    answer: dict[str, Any] = {}
    try:
        await receive(call.request, call.tenant, upload)
        await require_standing(call.request)
        members = _import_members(call, upload.fields)
        answer = await call.write_of(
            upload.as_body(), _create_import, call.tenant.data_key, upload, members, call.now
        )
    finally:
        if answer.get("id") != upload.job_id:
            await database.write(queue.discard, upload.job_id)
    call.services.jobs.soon(call.tenant)
    return answer


def _begin_upload(connection: Connection, now: int) -> Upload:
    return Upload(queue.add_job(connection, queue.IMPORT, now, status="uploading"))


def _import_members(call: Call, fields: Mapping[str, str]) -> dict[str, Any]:
    if not fields.get("connection_id"):
        raise InvalidInput("The form must name a `connection_id`.")
    members: dict[str, Any] = dict(fields)
    for name in ("upsert", "send_completion_email"):
        if name in members and members[name] not in _BOOLEANS:
            raise InvalidInput(f"`{name}` must be true or false.")
        members[name] = _BOOLEANS[members.get(name, "")]
    if members["upsert"] and not call.actor.holds("update:users"):
        raise InsufficientScope("update:users")
    return {**members, "permissions": sorted(call.actor.permissions)}


def _create_import(
    connection: Connection, data_key: DataKey, upload: Upload, members: Mapping[str, Any], now: int
) -> Written:
    connection_id = members["connection_id"]
    if connection.execute(_DATABASE, {"of": connection_id}).first() is None:
        raise InvalidInput("`connection_id` names no database of users of this tenant.")
    parameters = {name: members[name] for name in ("upsert", "external_id", "permissions") if name in members}
    values = {"connection_id": connection_id, "parameters": parameters, "total": upload.rows}
    queue.begin(connection, data_key, upload.job_id, now, **values)
    return _made(connection, upload.job_id)


@creating("/jobs/users-exports", "read:users", status_code=200)
async def create_users_export(call: CallOf, data: JSONBody[UsersExportIn]) -> dict[str, Any]:
    answer: dict[str, Any] = await call.write(_create_export, call.tenant.data_key, named(data), call.now)
    call.services.jobs.soon(call.tenant)
    return answer


def _create_export(
    connection: Connection, data_key: DataKey, members: Mapping[str, Any], now: int
) -> Written:
    connection_id = members.get("connection_id")
    if connection_id is not None and connection.execute(_CONNECTION, {"of": connection_id}).first() is None:
        raise InvalidInput("`connection_id` names no connection of this tenant.")
    parameters = {name: value for name, value in members.items() if name != "connection_id"}
    job_id = queue.add_job(connection, queue.EXPORT, now, connection_id=connection_id, parameters=parameters)
    queue.hand_on(connection, data_key, job_id, now)
    return _made(connection, job_id)


@creating("/jobs/verification-email", "update:users")
async def create_verification_email(call: CallOf, data: JSONBody[VerificationEmailIn]) -> dict[str, Any]:
    await require_mail(call.services, call.tenant)
    answer: dict[str, Any] = await call.write(_send, call.tenant.data_key, data, call.now)
    call.services.deliveries.soon(call.tenant)
    return answer


def _send(connection: Connection, data_key: DataKey, data: VerificationEmailIn, now: int) -> Written:
    """Done when the letter is on its way: what becomes of it is told in the log."""
    identity = None if data.identity is UNSET else OfIdentity(data.identity.provider, data.identity.user_id)
    client_id = None if data.client_id is UNSET else data.client_id
    send_verification(connection, data_key, data.user_id, now, client_id=client_id, identity=identity)
    job_id = queue.add_job(connection, queue.VERIFICATION, now, status="completed", ended_at=now)
    return _made(connection, job_id)


@reading("/jobs/{id:str}", "create:users", "read:users")
async def get_job(call: CallOf, id: FromPath[str]) -> dict[str, Any]:
    row = await call.read(_load, id)
    shown = _shape(row, call.now)
    is_file = row.type == queue.EXPORT and row.status == "completed"
    if is_file and call.actor.holds("read:users"):
        shown["location"] = downloads.link_to(call.tenant, id, call.now)
    return shown


@reading("/jobs/{id:str}/errors", "create:users", "read:users")
async def get_job_errors(call: CallOf, id: FromPath[str]) -> Response[Any]:
    """Of each row that failed, or of the job, where that is what failed; nothing where nothing did."""
    row = await call.read(_load, id)
    if row.status == "failed":
        return Response(_shape(row, call.now))
    if row.failed == 0:
        return Response(None, status_code=204)
    return Stream(_errors(call.tenant, id), media_type="application/json")


async def _errors(tenant: Tenant, job_id: str) -> AsyncIterator[bytes]:
    """One array, from the arrays of the parts."""
    before = b"["
    for number in await tenant.database.read(queue.numbers, job_id, "errors"):
        content = await tenant.database.read(queue.part, job_id, "errors", number)
        if content is not None:
            yield before + queue.opened(tenant.data_key, job_id, "errors", number, content)[1:-1]
            before = b","
    yield b"[]" if before == b"[" else b"]"


def _load(connection: Connection, job_id: str) -> Any:
    row = queue.find(connection, job_id)
    if row is None:
        raise NotFound("job")
    return row


def _made(connection: Connection, job_id: str) -> Written:
    row = _load(connection, job_id)
    shown = {"id": row.id, "type": row.type, "status": row.status, "created_at": to_iso(row.created_at)}
    shown |= {"connection_id": row.connection_id} if row.connection_id else {}
    shown |= {name: value for name, value in row.parameters.items() if name != "permissions"}
    return Written(answer=shown, after=shown)


def _shape(row: Any, now: int) -> dict[str, Any]:
    shown = {"id": row.id, "type": row.type, "status": row.status, "created_at": to_iso(row.created_at)}
    if row.connection_id:
        shown["connection_id"] = row.connection_id
    shown |= {name: value for name, value in row.parameters.items() if name in ("external_id", "format")}
    if row.error is not None:
        shown["status_details"] = row.error
    if row.type == queue.IMPORT:
        shown["summary"] = {name: getattr(row, name) for name in ("failed", "updated", "inserted")}
        shown["summary"]["total"] = row.failed + row.updated + row.inserted
    if row.status == "completed":
        shown |= {"percentage_done": 100, "time_left_seconds": 0}
    elif row.status == "processing":
        shown |= _progress(row, now)
    return shown


def _progress(row: Any, now: int) -> dict[str, int]:
    if not row.total or not row.done:
        return {"percentage_done": 0}
    left = (now - row.started_at) * (row.total - row.done) / row.done / 1000
    return {"percentage_done": min(99, 100 * row.done // row.total), "time_left_seconds": max(0, round(left))}


handlers = [
    create_users_import,
    create_users_export,
    create_verification_email,
    get_job,
    get_job_errors,
    *downloads.handlers,
]
