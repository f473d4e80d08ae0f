"""`PATCH /api/v2/users/{id}`: what is said of a user, and how they log in.

Blocking a user, a new password and a new address end everything that was begun before, in the same transaction.
`connection` says which of several identities is meant; without it, it is the user's own. Of one that was linked only
how it logs in and what is known of its address can be changed (`LINKED`); it has no other life of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.params import FromPath, JSONBody
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from core.errors import Conflict, InsufficientScope, InvalidInput
from core.tenants import Tenant
from tenant_runtime.attack_protection import brute_force
from tenant_runtime.login.accounts import BY_ADDRESS, move_identities
from tenant_runtime.login.email_verification import send_verification
from tenant_runtime.mail.queue import require_mail
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import merged, named
from tenant_runtime.management.endings import end_logins
from tenant_runtime.management.routing import changing
from tenant_runtime.management.users import resource as users
from tenant_runtime.management.users.bodies import UserPatch, check
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import Identity
from tenant_runtime.oauth.backchannel_logout import Initiator

_i, _c = Identity.__table__.c, ConnectionRow.__table__.c
_IDENTITIES = (
    select(Identity.__table__, _c.name)
    .join(ConnectionRow.__table__, _c.id == _i.connection_id)
    .where(_i.user_id == bindparam("of"))
)
LINKED = frozenset({"email", "email_verified", "phone_number", "phone_verified", "username"})
_APART = (("username", "password"), ("username", "email_verified"), ("password", "email_verified"))
"""What Auth0 does not change at once."""


@dataclass(frozen=True, slots=True)
class _Change:
    user_id: str
    members: Mapping[str, Any]
    password: users.NewPassword | None
    client_id: str | None
    actor: Actor
    tenant: Tenant
    now: int


@changing("/users/{user_id:str}", "update:users", "update:users_app_metadata")
async def update_user(call: CallOf, user_id: FromPath[str], data: JSONBody[UserPatch]) -> dict[str, Any]:
    members = check(named(data))
    if not call.actor.holds("update:users") and not members.keys() <= {"app_metadata"}:
        raise InsufficientScope("update:users")
    _check_together(members)
    client_id = await _client_id(call, members)
    if members.get("verify_email"):
        await require_mail(call.services, call.tenant)
    password = await users.hashed(call, members, members.get("email"), members.get("name"))
    change = _Change(user_id, members, password, client_id, call.actor, call.tenant, call.now)
    shown: dict[str, Any] = await call.write(_update, change)
    if not members.keys().isdisjoint(("password", "email", "blocked", "verify_email")):
        call.services.deliveries.soon(call.tenant)
    return shown


def _check_together(members: Mapping[str, Any]) -> None:
    for one, other in _APART:
        if one in members and other in members:
            raise InvalidInput(f"`{one}` and `{other}` cannot be changed at once.")
    if "client_id" in members and members.keys().isdisjoint(("email", "phone_number", "verify_email")):
        raise InvalidInput("`client_id` goes with a change of `email`.")
    if members.get("verify_phone_number"):
        raise InvalidInput("No text messages are sent here.")


async def _client_id(call: Call, members: Mapping[str, Any]) -> str | None:
    client_id = members.get("client_id")
    if client_id is not None and client_id not in (await call.configuration()).clients:
        raise InvalidInput("`client_id` names no client of this tenant.")
    return client_id


def _update(connection: Connection, change: _Change) -> Written:
    row = users.ENTITY.load(connection, change.user_id)
    before = users.get(connection, change.user_id)
    linked = _linked(connection, change)
    values = _values(row, change.members)
    if linked is not None:
        _change_linked(connection, linked, change, values)
        values = {name: value for name, value in values.items() if name not in LINKED}
    _check_power(connection, row, change, values)
    after = _change_own(connection, row, change, values)
    if change.password is not None:
        users.set_password(connection, change.user_id, change.password, change.now)
        brute_force.unblock(connection, change.user_id)
    why = _why_logins_end(row, after, change)
    if why is not None:
        end_logins(connection, change.tenant.data_key, change.user_id, change.now, why=why)
    if change.members.get("verify_email"):
        _send(connection, change, is_new=after.email != row.email)
    shown = users.get(connection, change.user_id)
    told = {**shown, "password_changed": True} if change.password is not None else shown
    of_user = {"user_id": change.user_id, "user_name": after.email}
    what = [type for type, is_so in (("scp", change.password), ("sce", after.email != row.email)) if is_so]
    return Written(answer=shown, before=before, after=told, told=[(type, of_user) for type in what])


def _linked(connection: Connection, change: _Change) -> Any | None:
    """The identity that `connection` names, if it is another than the user's own."""
    name = change.members.get("connection")
    if name is None:
        return None
    identities = connection.execute(_IDENTITIES, {"of": change.user_id}).all()
    in_it = [identity for identity in identities if identity.name == name]
    if not in_it:
        raise InvalidInput("`connection` names no connection of this user's.")
    own = any(f"{identity.provider}|{identity.provider_user_id}" == change.user_id for identity in in_it)
    return None if own else in_it[0]


def _values(row: Any, members: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in members.items() if name not in users.NOT_COLUMNS}
    for name in users.METADATA:
        if name in values:
            values[name] = merged(row._mapping[name], values[name])
    return values


def _check_power(connection: Connection, row: Any, change: _Change, values: Mapping[str, Any]) -> None:
    """Whoever settles how somebody logs in, or whose an address is, could sign in as them."""
    is_new_address = values.get("email", row.email) != row.email
    is_verified_now = bool(values.get("email_verified")) and not row.email_verified
    if change.password is not None or is_new_address or is_verified_now:
        escalation.check_user(connection, change.actor, change.user_id)
    if values.get("blocked", row.blocked) != row.blocked:
        escalation.check_platform_user(connection, change.actor, change.user_id)


def _change_own(connection: Connection, row: Any, change: _Change, values: dict[str, Any]) -> Any:
    users.check_username(connection, values.get("username"), change.user_id)
    if values.get("email", row.email) != row.email:
        values.setdefault("email_verified", False)
        try:
            move_identities(connection, row.user_id, row.email, values["email"])
        except IntegrityError as error:
            raise _taken() from error
    return users.ENTITY.change(connection, row, values, change.now)


def _change_linked(connection: Connection, identity: Any, change: _Change, values: Mapping[str, Any]) -> None:
    named = {name: value for name, value in values.items() if name in LINKED}
    if not named:
        return
    escalation.check_user(connection, change.actor, change.user_id)
    if identity.provider not in BY_ADDRESS:
        raise InvalidInput("What a connection says of a user is changed where it comes from.")
    users.check_username(connection, named.get("username"), change.user_id)
    this = (_i.connection_id == identity.connection_id, _i.provider_user_id == identity.provider_user_id)
    if "email" in named and named["email"] != identity.email:
        named.setdefault("email_verified", False)
        _set_address(connection, named["email"], *this)
    kept = {**identity.profile_data, **named}
    connection.execute(update(Identity.__table__).where(*this).values(profile_data=kept))


def _set_address(connection: Connection, email: str, *of_them: Any) -> None:
    try:
        connection.execute(update(Identity.__table__).where(*of_them).values(email=email))
    except IntegrityError as error:
        raise _taken() from error


def _taken() -> Conflict:
    return Conflict("The e-mail address belongs to another user.")


def _why_logins_end(row: Any, after: Any, change: _Change) -> Initiator | None:
    if change.password is not None:
        return Initiator.PASSWORD_CHANGED
    if after.blocked and not row.blocked:
        return Initiator.ACCOUNT_DEACTIVATED
    return Initiator.EMAIL_CHANGED if after.email != row.email else None


def _send(connection: Connection, change: _Change, *, is_new: bool) -> None:
    send_verification(
        connection,
        change.tenant.data_key,
        change.user_id,
        change.now,
        client_id=change.client_id,
        template="change_email" if is_new else "verify_email",
    )


handlers = [update_user]
