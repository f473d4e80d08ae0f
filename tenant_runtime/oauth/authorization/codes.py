"""Authorization codes: written here, claimed by the token endpoint."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert

from core.database import Prepared
from tenant_runtime.models import AuthorizationCode
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest
from tenant_runtime.oauth.authorization.acr import acr_of

CODE_LIFETIME_MS = 60_000
"""One minute: ASVS 10.4.3 at its strictest, and FAPI 2.0."""

_INSERT = Prepared(insert(AuthorizationCode.__table__))


@dataclass(frozen=True, slots=True)
class NewCode:
    """Made before the unit: the code itself never enters it."""

    digest: str
    family_id: str


def issue_code(
    connection: Connection,
    new: NewCode,
    request: AcceptedRequest,
    session: Row[Any],
    organization_id: str | None,
    now: int,
) -> None:
    to, parameters = request.destination, request.parameters
    values = {
        "digest": new.digest,
        "family_id": new.family_id,
        "issuer": to.issuer,
        "client_id": to.client.client_id,
        "user_id": session.user_id,
        "session_id": session.id,
        "redirect_uri": to.redirect_uri,
        "redirect_uri_sent": to.redirect_uri_sent,
        "code_challenge": parameters.code_challenge,
        "dpop_jkt": parameters.dpop_jkt,
        "scope": " ".join(request.scope),
        "audience": request.audience,
        "organization_id": organization_id,
        "nonce": parameters.nonce,
        "acr": acr_of(session.amr),
        "amr": session.amr,
        "claims": parameters.claims,
        "authenticated_at": session.authenticated_at,
        "created_at": now,
        "expires_at": now + CODE_LIFETIME_MS,
        "used_at": None,
    }
    _INSERT.run(connection, values)
