"""`/api/v2/client-registration-tokens`: initial access tokens, by which others may register clients (RFC 7591).

A token is shown when it is made and never again. It is good for as many registrations as it says, until it expires
or is removed.
"""

from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from core.clock import to_iso
from core.ids import digest, new_id, new_secret
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body
from tenant_runtime.management.routing import creating, reading, removing
from tenant_runtime.registration import initial_tokens

PATH = "/client-registration-tokens"


class RegistrationTokenIn(Body):
    expires_in: Annotated[int, Meta(ge=60, le=31_536_000)] = 86_400
    max_uses: Annotated[int, Meta(ge=1, le=10_000)] = 1


@creating(PATH, "create:clients")
async def create_registration_token(call: CallOf, data: JSONBody[RegistrationTokenIn]) -> dict[str, Any]:
    expires_at = call.now + data.expires_in * 1000
    return await call.write(_create, new_id("crt"), new_secret(), data.max_uses, call.now, expires_at)


@reading(PATH, "read:clients")
async def list_registration_tokens(call: CallOf) -> list[dict[str, Any]]:
    return await call.read(_list, call.now)


@removing(f"{PATH}/{{id:str}}", "delete:clients")
async def delete_registration_token(call: CallOf, id: FromPath[str]) -> None:
    await call.write(_delete, id)


def _create(connection: Connection, id: str, token: str, uses: int, now: int, expires_at: int) -> Written:
    initial_tokens.store(
        connection, token_digest=digest(token), id=id, uses=uses, now_ms=now, expires_at=expires_at
    )
    shown = {
        "id": id,
        "max_uses": uses,
        "remaining_uses": uses,
        "created_at": to_iso(now),
        "expires_at": to_iso(expires_at),
    }
    return Written(answer={**shown, "token": token}, after=shown)


def _list(connection: Connection, now: int) -> list[dict[str, Any]]:
    return [
        {
            "id": row.payload["id"],
            "max_uses": row.payload["uses"],
            "remaining_uses": row.payload["remaining"],
            "created_at": to_iso(row.created_at),
            "expires_at": to_iso(row.expires_at),
        }
        for row in initial_tokens.good_ones(connection, now)
    ]


def _delete(connection: Connection, id: str) -> Written:
    return Written(before={"id": id}) if initial_tokens.remove(connection, id) else Written()


handlers = [create_registration_token, list_registration_tokens, delete_registration_token]
