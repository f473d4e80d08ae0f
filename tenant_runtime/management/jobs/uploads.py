"""A form with a file, read as it comes: the users go into the tenant's database part by part, sealed.

Until the form is complete and right there is no job, only an upload, which goes away with the request that failed.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from core.errors import InvalidInput, PayloadTooLarge
from core.http.errors import AnyRequest
from core.tenants import Tenant
from tenant_runtime.jobs import queue
from tenant_runtime.management.jobs.elements import Elements

MAX_UPLOAD = 64 * 1024 * 1024
MAX_USERS = 500_000
ROWS = 200
PART_BYTES = 512 * 1024
MAX_FIELD = 1024
FIELDS = ("connection_id", "upsert", "external_id", "send_completion_email")
_FILE = "users"


@dataclass(slots=True)
class Upload:
    """What came. `digest` stands for the file."""

    job_id: str
    fields: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    digest: str | None = None

    def as_body(self) -> bytes:
        """For the key of idempotency and the log: the boundary of a form is another one each time."""
        return msgspec.json.encode({**self.fields, "users": self.digest})


async def receive(request: AnyRequest, tenant: Tenant, upload: Upload) -> None:
    reader = _Reader(tenant, upload)
    try:
        with PushMultipartParser(
            _boundary(request), max_segment_count=2 * len(FIELDS), max_segment_size=MAX_UPLOAD
        ) as parser:
            async for chunk in _pieces(request):
                for event in parser.parse(chunk):
                    await reader.take(event)
    except MultipartError as error:
        raise InvalidInput("The form is malformed.") from error
    if upload.digest is None:
        raise InvalidInput("The form must have a file `users`.")


async def _pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def _boundary(request: AnyRequest) -> str:
    media, options = parse_options_header(request.headers.get("content-type", ""))
    if media != "multipart/form-data" or not options.get("boundary"):
        raise InvalidInput(
            "The content type must be multipart/form-data.", code="unsupported_media_type", status=415
        )
    return str(options["boundary"])


class _Reader:
    def __init__(self, tenant: Tenant, upload: Upload) -> None:
        self._tenant = tenant
        self._upload = upload
        self._name = ""
        self._field = b""
        self._elements = Elements()
        self._hash = hashlib.sha256()
        self._rows: list[str] = []
        self._size = 0
        self._part = 0

    async def take(self, event: Any) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            await self._end()
        elif self._name == _FILE:
            self._hash.update(event)
            await self._add(self._elements.feed(bytes(event)))
        else:
            self._field += event
            if len(self._field) > MAX_FIELD:
                raise InvalidInput(f"`{self._name}` is too long.")

    def _begin(self, segment: MultipartSegment) -> None:
        name = segment.name or ""
        is_again = name in self._upload.fields or (name == _FILE and self._upload.digest is not None)
        if name not in (*FIELDS, _FILE) or is_again:
            raise InvalidInput(f"The form may have once each: {', '.join((*FIELDS, _FILE))}.")
        self._name, self._field = name, b""

    async def _end(self) -> None:
        if self._name == _FILE:
            await self._add(self._elements.close())
            await self._flush()
            self._upload.digest = self._hash.hexdigest()
            return
        try:
            self._upload.fields[self._name] = self._field.decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"`{self._name}` is no text.") from None

    async def _add(self, rows: list[str]) -> None:
        for row in rows:
            self._rows.append(row)
            self._size += len(row)
            if len(self._rows) >= ROWS or self._size >= PART_BYTES:
                await self._flush()

    async def _flush(self) -> None:
        if not self._rows:
            return
        self._upload.rows += len(self._rows)
        if self._upload.rows > MAX_USERS:
            raise PayloadTooLarge(f"A file may have {MAX_USERS} users.")
        job_id, number = self._upload.job_id, self._part
        content = f"[{','.join(self._rows)}]".encode()
        sealed = queue.sealed(self._tenant.data_key, job_id, "input", number, content)
        await self._tenant.database.write(queue.add_part, job_id, "input", number, sealed)
        self._rows, self._size, self._part = [], 0, number + 1
