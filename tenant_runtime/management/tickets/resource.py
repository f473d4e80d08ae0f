"""`POST /api/v2/tickets/...`: the links of the letters, for whoever writes the letters themself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from litestar.params import JSONBody
from msgspec import UNSET, Meta, field
from sqlalchemy import Connection, bindparam, select

from core.errors import InvalidInput, NotFound
from core.ids import digest, new_secret
from tenant_runtime.login import email_verification as verification
from tenant_runtime.login import reset
from tenant_runtime.login.emails import normal_email
from tenant_runtime.login.result_urls import is_known
from tenant_runtime.management import escalation
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.editing import Address, Body, Id, Maybe
from tenant_runtime.management.routing import creating
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Connection as ConnectionRow
from tenant_runtime.models import Identity, Organization

DEFAULT_SECONDS = 432_000
"""Five days, as Auth0's."""

_i, _c, _o = Identity.__table__.c, ConnectionRow.__table__.c, Organization.__table__.c
_ORGANIZATION = select(_o.id, _o.name).where(_o.id == bindparam("of"))
_ACCOUNTS = (
    select(_i.user_id, _i.provider_user_id, _i.email, _c.id.label("connection_id"), _c.name)
    .join(ConnectionRow.__table__, _c.id == _i.connection_id)
    .where(_c.strategy == "auth0")
)
_OF_USER = _ACCOUNTS.where(_i.user_id == bindparam("of")).order_by(_c.created_at, _c.id)
_OF_ADDRESS = _ACCOUNTS.where(_i.connection_id == bindparam("connection_id"), _i.email == bindparam("of"))


class TicketIdentity(Body):
    user_id: Id
    provider: Id
    connection_id: Maybe[Id] = UNSET


class TicketBody(Body):
    """What both have in common."""

    result_url: Maybe[Address] = UNSET
    client_id: Maybe[Id] = UNSET
    organization_id: Maybe[Id] = UNSET
    ttl_sec: Annotated[int, Meta(ge=0, le=2_592_000)] = 0
    shows_email: bool = field(name="includeEmailInRedirect", default=True)
    identity: Maybe[TicketIdentity] = UNSET


class VerificationTicketIn(TicketBody, kw_only=True):
    user_id: Id


class PasswordTicketIn(TicketBody):
    user_id: Maybe[Id] = UNSET
    email: Maybe[Annotated[str, Meta(min_length=3, max_length=254)]] = UNSET
    connection_id: Maybe[Id] = UNSET
    mark_email_as_verified: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the body says, checked against the tenant's configuration."""

    body: TicketBody
    client_id: str | None
    result_url: str | None
    actor: Actor
    now: int

    @property
    def until(self) -> int:
        return self.now + (self.body.ttl_sec or DEFAULT_SECONDS) * 1000


@creating("/tickets/email-verification", "create:user_tickets")
async def create_email_verification_ticket(
    call: CallOf, data: JSONBody[VerificationTicketIn]
) -> dict[str, Any]:
    asked, secret = await _asked(call, data), new_secret()
    link = verification.link_of(call.tenant, secret)
    return await call.write(_make_verification, data.user_id, asked, digest(secret), link)


@creating("/tickets/password-change", "create:user_tickets")
async def create_password_change_ticket(call: CallOf, data: JSONBody[PasswordTicketIn]) -> dict[str, Any]:
    _check_names_one(data)
    asked, secret = await _asked(call, data), new_secret()
    link = reset.link_of(call.tenant, secret)
    return await call.write(_make_password, data, asked, digest(secret), link)


def _check_names_one(body: PasswordTicketIn) -> None:
    by_address = (body.email is not UNSET, body.connection_id is not UNSET)
    if (body.user_id is not UNSET) == any(by_address) or any(by_address) != all(by_address):
        raise InvalidInput("The user is named by `user_id`, or by `email` and `connection_id`.")


async def _asked(call: Call, body: TicketBody) -> _Asked:
    found = await call.configuration()
    client_id = None if body.client_id is UNSET else body.client_id
    if client_id is not None and client_id not in found.clients:
        raise InvalidInput("`client_id` names no client of this tenant.")
    result_url = None if body.result_url is UNSET else body.result_url
    if result_url is not None:
        if client_id is not None or body.organization_id is not UNSET:
            raise InvalidInput("`result_url` stands without `client_id` and `organization_id`.")
        if not is_known(found, result_url):
            raise InvalidInput(
                "`result_url` must be a callback, logout or login address of an application, or one of the tenant's."
            )
    return _Asked(body, client_id, result_url, call.actor, call.now)


def _make_verification(connection: Connection, user_id: str, asked: _Asked, of: str, link: str) -> Written:
    users.ENTITY.load(connection, user_id)
    escalation.check_user(connection, asked.actor, user_id)
    named = asked.body.identity
    identity = None if named is UNSET else verification.OfIdentity(named.provider, named.user_id)
    about = verification.Verification(
        user_id=user_id,
        email=verification.address_of(connection, user_id, identity),
        client_id=asked.client_id,
        result_url=asked.result_url,
        shows_email=asked.body.shows_email,
        organization=_organization(connection, asked.body),
    )
    verification.make_ticket(connection, of, about, asked.now, asked.until)
    return _written(link, user_id, verification.KIND, asked)


def _make_password(
    connection: Connection, body: PasswordTicketIn, asked: _Asked, of: str, link: str
) -> Written:
    account = _account(connection, body)
    escalation.check_user(connection, asked.actor, account.user_id)
    wanted = reset.Wanted(
        connection_id=account.connection_id,
        connection_name=account.name,
        email=account.email,
        client_id=asked.client_id,
        result_url=asked.result_url,
        shows_email=body.shows_email,
        proves_address=body.mark_email_as_verified,
        organization=_organization(connection, body),
        asked_with=None if asked.actor.is_user(account.user_id) else asked.actor.permissions,
    )
    user_id = reset.make_link(connection, of, wanted, asked.now, asked.until)
    return _written(link, user_id, reset.KIND, asked)


def _account(connection: Connection, body: PasswordTicketIn) -> Any:
    """A database identity of one user. Of several, the one that is named, or the user's own."""
    if body.email is not UNSET:
        values = {"connection_id": body.connection_id, "of": normal_email(body.email)}
        found = connection.execute(_OF_ADDRESS, values).one_or_none()
        if found is None:
            raise NotFound("user")
        return found
    user = users.ENTITY.load(connection, str(body.user_id))
    rows = connection.execute(_OF_USER, {"of": user.user_id}).all()
    if body.identity is not UNSET:
        named = body.identity
        rows = [row for row in rows if (named.provider, named.user_id) == ("auth0", row.provider_user_id)]
        if not rows:
            raise NotFound("identity", "The user has no such identity.")
    if not rows:
        raise InvalidInput("This user has no password here.")
    return next((row for row in rows if f"auth0|{row.provider_user_id}" == user.user_id), rows[0])


def _organization(connection: Connection, body: TicketBody) -> Mapping[str, str]:
    if body.organization_id is UNSET:
        return {}
    found = connection.execute(_ORGANIZATION, {"of": body.organization_id}).one_or_none()
    if found is None:
        raise NotFound("organization")
    return {"organization": found.id, "organization_name": found.name}


def _written(link: str, user_id: str, kind: str, asked: _Asked) -> Written:
    told = {"user_id": user_id, "kind": kind, "ttl_sec": asked.body.ttl_sec or DEFAULT_SECONDS}
    return Written(answer={"ticket": link}, after=told)


handlers = [create_email_verification_ticket, create_password_change_ticket]
