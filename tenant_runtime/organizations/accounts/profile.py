"""What people say of themselves, and how they log in."""

from collections.abc import Mapping
from typing import Any

from litestar import Response
from msgspec import UNSET
from sqlalchemy import Connection, bindparam, select, update

from tenant_runtime.audit import Event, record
from tenant_runtime.login.accounts import PROVIDER
from tenant_runtime.models import Identity, User
from tenant_runtime.organizations.accounts.shapes import Answer, UpdateUserBody
from tenant_runtime.organizations.accounts.sign_up import check_profile
from tenant_runtime.organizations.wire import ApiSession, CallOf, date, read_endpoint, refusal, write_endpoint
from tenant_runtime.organizations.wire.cookies import cookies_again

_u, _i = User.__table__.c, Identity.__table__.c
_IDENTITIES = (
    select(_i.connection_id, _i.provider, _i.provider_user_id)
    .where(_i.user_id == bindparam("user"))
    .order_by(_i.connection_id, _i.provider_user_id)
)
_CREDENTIAL = "credential"
"""How the client calls an account with a password here."""


@write_endpoint("/update-user")
async def update_user(call: CallOf) -> Response[Answer]:
    session, body = await call.session(), await call.body(UpdateUserBody)
    if body.email is not UNSET:
        raise refusal(400, "EMAIL_CAN_NOT_BE_UPDATED", "Email can not be updated")
    values: dict[str, Any] = {}
    if isinstance(body.name, str):
        values["name"] = body.name.strip() or None
    if body.image is not UNSET:
        values["picture"] = body.image or None
    if not values:
        raise refusal(400, "NO_FIELDS_TO_UPDATE", "No fields to update", has_code=False)
    check_profile(values.get("name") or "", values.get("picture"))
    event = call.event("sapi", "The user changed their profile.", changed=sorted(values))
    await call.write(change_profile, session.user_id, values, event)
    return Response({"status": True}, cookies=cookies_again(call, session))


@read_endpoint("/list-accounts")
async def list_accounts(call: CallOf) -> list[Answer]:
    session = await call.session()
    return await call.read(accounts_of, session)


handlers = [update_user, list_accounts]


def change_profile(connection: Connection, user_id: str, values: Mapping[str, Any], event: Event) -> None:
    now = event.created_at
    connection.execute(update(User.__table__).where(_u.user_id == user_id).values(**values, updated_at=now))
    record(connection, event)


def accounts_of(connection: Connection, session: ApiSession) -> list[Answer]:
    """No token of another provider, and nothing of the password."""
    made = date(session.user_created_at)
    return [
        {
            "id": f"{row.connection_id}|{row.provider_user_id}",
            "providerId": _CREDENTIAL if row.provider == PROVIDER else row.provider,
            "accountId": row.provider_user_id,
            "userId": session.user_id,
            "scopes": [],
            "createdAt": made,
            "updatedAt": made,
        }
        for row in connection.execute(_IDENTITIES, {"user": session.user_id})
    ]
