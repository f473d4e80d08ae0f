"""Whether the holder of an access token still stands: a token outlives what happens to its holder.

Asked wherever this installation itself accepts a token with power over others (the Management API, the platform
API). A person who was deleted, blocked or given a new password since, a client that is gone, and a token or a whole
authorization that was revoked have no power any more, whatever the token says.
"""

from sqlalchemy import Connection, bindparam, select

from core.database.prepared import Prepared
from tenant_runtime.models import Client, User
from tenant_runtime.oauth.tokens.families import is_revoked

MACHINE = "@clients"

_u = User.__table__.c
_CLIENT = Prepared(
    select(Client.__table__.c.client_id).where(Client.__table__.c.client_id == bindparam("client"))
)
_PERSON = Prepared(
    select(_u.user_id).where(
        _u.user_id == bindparam("user"),
        _u.blocked.is_(False),
        _u.sessions_valid_from <= bindparam("issued_at"),
    )
)


def still_stands(
    connection: Connection, subject: str, issued_at: int, jti: str | None, consent: str = ""
) -> bool:
    """`issued_at` in seconds, as `iat` names it: everything within that second came before. `consent`: what the token
    rests on (`core.given`)."""
    until = issued_at * 1000 + 999
    if subject.endswith(MACHINE):
        holder = _CLIENT.first(connection, {"client": subject.removesuffix(MACHINE)})
    else:
        holder = _PERSON.first(connection, {"user": subject, "issued_at": until})
    if holder is None or jti is None:
        return holder is not None
    return not is_revoked(connection, jti, consent=consent, issued_at=until)
