"""`/api/v2/users/{id}/identities`: two accounts of one person become one, or two again.

As at Auth0 the first account stays and the second goes: its ways to log in lead to the first from now on, and of its
own data only a copy of the profile is kept with the identity; sessions, tokens, roles, memberships and metadata end
with it. A user has one password: the first account's, or the second's where the first has none. Whoever links, joins
or parts accounts could sign in as them, so that takes as much power as a new password does.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection, bindparam, select, update

from core.crypto.jwt import TokenInvalid, check_times, verify
from core.crypto.sealing import DataKey
from core.errors import Conflict, InvalidInput, NotFound
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import Body, Id, Maybe
from tenant_runtime.management.endings import end_memberships, tell_of_logins
from tenant_runtime.management.routing import creating, removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Identity, Password, User
from tenant_runtime.oauth.backchannel_logout import Initiator
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.standing import still_stands

_i, _u, _p = Identity.__table__.c, User.__table__.c, Password.__table__.c
_NAMED = (
    select(Identity.__table__)
    .where(_i.provider == bindparam("of_provider"), _i.provider_user_id == bindparam("of"))
    .order_by(_i.connection_id)
)
_ID_TOKEN = ("JWT",)
PROFILE = (
    "email",
    "email_verified",
    "username",
    "phone_number",
    "phone_verified",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
)
"""What is kept of an account with its identity, and given back to it when it stands alone again."""


class LinkBody(Body):
    provider: Maybe[Id] = UNSET
    user_id: Maybe[Id] = UNSET
    connection_id: Maybe[Id] = UNSET
    link_with: Maybe[Annotated[str, Meta(min_length=1, max_length=16_384)]] = UNSET


@creating("/users/{user_id:str}/identities", "update:users")
async def link_identity(
    call: CallOf, user_id: FromPath[str], data: JSONBody[LinkBody]
) -> list[dict[str, Any]]:
    if (data.link_with is UNSET) == (data.provider is UNSET):
        raise InvalidInput("The other account is named by `provider` and `user_id`, or by `link_with`.")
    data_key = call.tenant.data_key
    if data.link_with is not UNSET:
        if data.user_id is not UNSET or data.connection_id is not UNSET:
            raise InvalidInput("`link_with` stands alone.")
        claims = await _claims(call, data.link_with)
        linked = await call.write(_link_holder, user_id, claims, call.actor, data_key, call.now)
    else:
        linked = await call.write(_link_named, user_id, data, call.actor, data_key, call.now)
    call.services.deliveries.soon(call.tenant)
    return list(linked)


@removing("/users/{user_id:str}/identities/{provider:str}/{identity_id:str}", "update:users", status_code=200)
async def unlink_identity(
    call: CallOf, user_id: FromPath[str], provider: FromPath[str], identity_id: FromPath[str]
) -> list[dict[str, Any]]:
    return list(await call.write(_unlink, user_id, provider, identity_id, call.actor, call.now))


# --- Linking -------------------------------------------------------------------------------------------------------


async def _claims(call: Call, token: str) -> Mapping[str, Any]:
    """Of an ID token that this tenant gave to one of its applications, and that still counts."""
    found = await call.configuration()
    try:
        claims = verify(token, found.keys.public, algorithms=ALGORITHMS, typ=_ID_TOKEN)
        check_times(claims, call.services.clock.now())
    except TokenInvalid as refused:
        raise InvalidInput("`link_with` is no ID token that counts here.") from refused
    audience, subject = claims.get("aud"), claims.get("sub")
    is_ours = claims.get("iss") in call.tenant.issuers and isinstance(subject, str)
    if not is_ours or not isinstance(audience, str) or audience not in found.clients:
        raise InvalidInput("`link_with` is no ID token that counts here.")
    return claims


def _link_holder(
    connection: Connection,
    user_id: str,
    claims: Mapping[str, Any],
    actor: Actor,
    data_key: DataKey,
    now: int,
) -> Written:
    users.ENTITY.load(connection, user_id)
    if not still_stands(connection, claims["sub"], int(claims["iat"]), None):
        raise InvalidInput("`link_with` is no ID token that counts here.")
    return _link(connection, user_id, claims["sub"], actor, data_key, now)


def _link_named(
    connection: Connection, user_id: str, body: LinkBody, actor: Actor, data_key: DataKey, now: int
) -> Written:
    users.ENTITY.load(connection, user_id)
    provider, named = str(body.provider), "" if body.user_id is UNSET else str(body.user_id)
    if not named:
        raise InvalidInput("`user_id` is missing.")
    values = {"of_provider": provider, "of": named.removeprefix(f"{provider}|")}
    found = connection.execute(_NAMED, values).all()
    if body.connection_id is not UNSET:
        found = [row for row in found if row.connection_id == body.connection_id]
    if not found:
        raise NotFound("user", "The user of `provider` and `user_id` does not exist.")
    if len(found) > 1:
        raise InvalidInput("`connection_id` has to say of which connection the user is.")
    identity = found[0]
    if identity.user_id != user_id and not _is_main(identity, identity.user_id):
        raise Conflict("The identity is linked to another user.")
    return _link(connection, user_id, identity.user_id, actor, data_key, now)


def _link(
    connection: Connection, first_id: str, second_id: str, actor: Actor, data_key: DataKey, now: int
) -> Written:
    if first_id == second_id:
        raise InvalidInput("The identity is the user's already.")
    second = users.ENTITY.load(connection, second_id)
    for user_id in (first_id, second_id):
        escalation.check_user(connection, actor, user_id)
    if second.blocked:
        raise InvalidInput("A blocked user cannot be linked.")
    before = users.get(connection, first_id)
    tell_of_logins(connection, data_key, second_id, now, why=Initiator.ACCOUNT_DELETED)
    _keep_profile(connection, second)
    connection.execute(update(Identity.__table__).where(_i.user_id == second_id).values(user_id=first_id))
    _move_password(connection, second_id, first_id)
    end_memberships(connection, second_id, now)
    users.ENTITY.remove(connection, second_id)
    return _written(connection, first_id, before, now)


def _keep_profile(connection: Connection, user: Any) -> None:
    provider, _, id = user.user_id.partition("|")
    profile = {name: getattr(user, name) for name in PROFILE}
    kept = {name: value for name, value in profile.items() if value is not None}
    main = (_i.user_id == user.user_id, _i.provider == provider, _i.provider_user_id == id)
    connection.execute(update(Identity.__table__).where(*main).values(profile_data=kept))


def _move_password(connection: Connection, old_id: str, new_id: str) -> None:
    if connection.execute(select(_p.user_id).where(_p.user_id == new_id)).first() is None:
        connection.execute(update(Password.__table__).where(_p.user_id == old_id).values(user_id=new_id))


# --- Unlinking -----------------------------------------------------------------------------------------------------


def _unlink(
    connection: Connection, user_id: str, provider: str, identity_id: str, actor: Actor, now: int
) -> Written:
    users.ENTITY.load(connection, user_id)
    before = users.get(connection, user_id)
    rows = connection.execute(_NAMED, {"of_provider": provider, "of": identity_id}).all()
    identity = next((row for row in rows if row.user_id == user_id), None)
    if identity is None:
        raise NotFound("identity")
    if _is_main(identity, user_id):
        raise InvalidInput("The main identity of a user cannot be unlinked.")
    escalation.check_user(connection, actor, user_id)
    new_id = f"{provider}|{identity_id}"
    own = _own_again(identity, new_id, now)
    users.check_username(connection, own.get("username"), new_id)
    users.ENTITY.create(connection, own)
    of_it = (_i.connection_id == identity.connection_id, _i.provider_user_id == identity_id)
    connection.execute(update(Identity.__table__).where(*of_it).values(user_id=new_id, profile_data={}))
    if provider == "auth0" and not _has_database(connection, user_id):
        _move_password(connection, user_id, new_id)
    return _written(connection, user_id, before, now)


def _own_again(identity: Any, user_id: str, now: int) -> dict[str, Any]:
    kept = {name: value for name, value in identity.profile_data.items() if name in PROFILE}
    email = identity.email or kept.get("email")
    empty: dict[str, Any] = {"profile": {}, "user_metadata": {}, "app_metadata": {}}
    is_same = email == kept.get("email")
    return {
        **empty,
        **kept,
        "email": email,
        "email_verified": bool(is_same and kept.get("email_verified")),
        "user_id": user_id,
        "created_at": now,
        "updated_at": now,
        "sessions_valid_from": now,  # what the account began before it was linked stays over
    }


def _has_database(connection: Connection, user_id: str) -> bool:
    databases = select(_i.user_id).where(_i.user_id == user_id, _i.provider == "auth0")
    return connection.execute(databases).first() is not None


def _is_main(identity: Any, user_id: str) -> bool:
    return bool(f"{identity.provider}|{identity.provider_user_id}" == user_id)


def _written(connection: Connection, user_id: str, before: Mapping[str, Any], now: int) -> Written:
    connection.execute(update(User.__table__).where(_u.user_id == user_id).values(updated_at=now))
    after = users.get(connection, user_id)
    return Written(answer=after["identities"], before=before, after=after)


handlers = [link_identity, unlink_identity]
