"""Whether the holder of an access token still stands: a token outlives what happens to its holder.

Asked wherever this installation itself accepts a token with power over others (the Management API, the platform
API). A person who was deleted, blocked, given a new password or put out of the token's organization since, a client
that is gone, and a token or a whole authorization that was revoked have no power any more, whatever the token says.
"""

from sqlalchemy import Connection, bindparam, select

from core.database.prepared import Prepared
from core.given import grant_name, membership_name
from tenant_runtime.models import Client, Membership, Organization, User
from tenant_runtime.oauth.tokens.families import is_revoked

MACHINE = "@clients"

_u, _m, _o = (model.__table__.c for model in (User, Membership, Organization))
_CLIENT = Prepared(
    select(Client.__table__.c.client_id).where(Client.__table__.c.client_id == bindparam("client"))
)
_PERSON = select(_u.user_id).where(
    _u.user_id == bindparam("user"),
    _u.blocked.is_(False),
    _u.sessions_valid_from <= bindparam("issued_at"),
)
_ANYWHERE = Prepared(_PERSON)
_MEMBER = Prepared(
    _PERSON.join(Membership.__table__, _m.user_id == _u.user_id)
    .join(Organization.__table__, _o.id == _m.organization_id)
    .where(_o.id == bindparam("organization"), _o.suspended_at.is_(None))
)


def still_stands(
    connection: Connection,
    subject: str,
    issued_at: int,
    jti: str | None,
    consent: str = "",
    organization_id: str | None = None,
) -> bool:
    """`issued_at` in seconds, as `iat` names it: everything within that second came before. `consent`: what the token
    rests on (`core.given`). `organization_id`: for which it is."""
    until = issued_at * 1000 + 999
    if not _is_there(connection, subject, until, organization_id):
        return False
    if jti is None:
        return True
    given = _given_to(subject, organization_id)
    return not is_revoked(connection, jti, consent=consent, membership=given, issued_at=until)


def _given_to(subject: str, organization_id: str | None) -> str:
    if subject.endswith(MACHINE):
        return grant_name(subject.removesuffix(MACHINE))
    return membership_name(subject, organization_id) if organization_id is not None else ""


def _is_there(connection: Connection, subject: str, until: int, organization_id: str | None) -> bool:
    if subject.endswith(MACHINE):
        return _CLIENT.first(connection, {"client": subject.removesuffix(MACHINE)}) is not None
    person = {"user": subject, "issued_at": until}
    if organization_id is None:
        return _ANYWHERE.first(connection, person) is not None
    return _MEMBER.first(connection, {**person, "organization": organization_id}) is not None
