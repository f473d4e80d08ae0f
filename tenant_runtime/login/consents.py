"""What people have consented to: one row per user, client, API and organization, remembered until it is withdrawn."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from core.given import consent_name
from core.ids import digest
from tenant_runtime.models import Grant
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest
from tenant_runtime.oauth.policy import needs_consent
from tenant_runtime.oauth.tokens.families import give_again

_g = Grant.__table__.c
_KEY = ("user_id", "client_id", "audience", "organization_id")
_SELECT = select(_g.id, _g.scope).where(*(_g[name] == bindparam(name) for name in _KEY))
_INSERT = insert(Grant.__table__)
_UPDATE = (
    update(Grant.__table__)
    .where(_g.id == bindparam("grant"))
    .values(scope=bindparam("new_scope"), updated_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Consent:
    """To whom, for what."""

    user_id: str
    client_id: str
    audience: str
    organization_id: str
    scope: tuple[str, ...]

    @classmethod
    def asked(cls, request: AcceptedRequest, user_id: str, organization_id: str | None) -> "Consent":
        client_id, audience = request.client.client_id, request.audience or ""
        return cls(user_id, client_id, audience, organization_id or "", request.to_consent)

    @property
    def fingerprint(self) -> str:
        """Of everything that is asked, so that what was shown is what is allowed."""
        return digest("\0".join((*self.key.values(), *self.scope)))

    @property
    def key(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in _KEY}


def is_needed(request: AcceptedRequest) -> bool:
    return needs_consent(request.client, request.resource_server)


def is_covered(connection: Connection, consent: Consent) -> bool:
    row = connection.execute(_SELECT, consent.key).one_or_none()
    return row is not None and set(consent.scope) <= set(row.scope)


def remember_consent(connection: Connection, consent: Consent, grant_id: str, now: int) -> None:
    row = connection.execute(_SELECT, consent.key).one_or_none()
    if row is None:
        values = {"id": grant_id, "scope": list(consent.scope), "created_at": now, "updated_at": now}
        connection.execute(_INSERT, consent.key | values)
        give_again(connection, consent_name(**consent.key), now_ms=now)
        return
    scope = list(dict.fromkeys([*row.scope, *consent.scope]))
    connection.execute(_UPDATE, {"grant": row.id, "new_scope": scope, "now": now})
