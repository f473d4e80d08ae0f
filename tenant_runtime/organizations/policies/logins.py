"""How somebody logged in, as organizations ask about it (RFC 8176 for the methods)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, select

from core.database import Prepared
from tenant_runtime.models import RefreshFamily, Session

_KNOWN = frozenset({"pwd", "pin", "kba", "face", "fpt", "iris", "retina", "vbm"})
"""What somebody knows or is."""

_HELD = frozenset({"otp", "hwk", "swk", "sc", "pop", "sms", "tel"})
"""What somebody has."""

_f, _s = RefreshFamily.__table__.c, Session.__table__.c
_OF_FAMILY = Prepared(select(_f.authenticated_at, _f.amr).where(_f.id == bindparam("family")))
_OF_SESSION = Prepared(select(_s.authenticated_at, _s.amr).where(_s.id == bindparam("session")))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """Of the session and the refresh family that it began; `connection_id` where it is known by other means than
    these. What is None is looked up, if it is asked for at all."""

    session_id: str | None = None
    family_id: str = ""
    connection_id: str | None = None
    authenticated_at: int | None = None
    amr: tuple[str, ...] | None = None

    @property
    def values(self) -> dict[str, str | None]:
        """For `terms.asked_of`."""
        return {
            "login_session": self.session_id,
            "login_family": self.family_id,
            "login_connection": self.connection_id,
        }


def completed(connection: Connection, login: LoggedIn) -> LoggedIn:
    if login.authenticated_at is not None and login.amr is not None:
        return login
    row = _OF_FAMILY.first(connection, {"family": login.family_id}) if login.family_id else None
    if row is None and login.session_id is not None:
        row = _OF_SESSION.first(connection, {"session": login.session_id})
    if row is None:
        return login
    at = row.authenticated_at if login.authenticated_at is None else login.authenticated_at
    return replace(login, authenticated_at=at, amr=tuple(row.amr) if login.amr is None else login.amr)


def has_two_factors(amr: Iterable[str]) -> bool:
    """Said as such by whoever asked for them, or one of each kind. A code by mail alone is one."""
    methods = frozenset(amr)
    return "mfa" in methods or bool(methods & _KNOWN and methods & _HELD)
