"""What the tenant's log says of a call to this API: who, what, before and after, with secrets masked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from core.clock import now_ms
from core.errors import IdentityError
from core.http.errors import AnyRequest
from core.ids import new_id
from tenant_runtime.audit import Event
from tenant_runtime.audit.codes import CODES
from tenant_runtime.connections.secrets import HOLDERS, is_secret
from tenant_runtime.dependencies import client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.management.access import Actor, actor_of

MASK = "***"
SECRET_MEMBERS = frozenset(
    {
        "password",
        "client_secret",
        "secret",
        "token",
        "access_token",
        "refresh_token_value",
        "ticket",
        "link_with",
        "hash",
        "httpAuthorization",
        "signing_secret",
    }
)
_HEADERS = "httpCustomHeaders"
"""Of a log stream: keys of receivers' among them. Other receivers are sent this log."""

_INVITATION = re.compile(r"(/organizations/[^/]+/invitations/)[^/]+$")
"""Where a tenant asks for no verified address, whoever knows an invitation's id may answer it."""

_LONGEST_BODY = 16 * 1024
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Trail:
    """The part of an event that the request says; what the change did is added in its unit."""

    created_at: int
    actor: Actor
    action: str
    method: str
    path: str
    body: Any
    request_id: str
    ip: str
    user_agent: str | None

    def success(self, before: Any, after: Any, description: str | None = None) -> Event:
        return self._event("sapi", description, {"before": masked(before), "after": masked(after)})

    def beside(self, type: str, members: Mapping[str, Any]) -> Event:
        """Of the person or organization that the change was about, by the same actor."""
        return replace(self._event(type, CODES[type].description, {}), id=new_id("log"), **members)

    def failure(self, error: IdentityError) -> Event:
        return self._event("fapi", None, {"error": {"statusCode": error.status, "errorCode": error.code}})

    def _event(self, type: str, description: str | None, more: Mapping[str, Any]) -> Event:
        actor = self.actor
        return Event(
            type=type,
            created_at=self.created_at,
            description=description or self.action,
            client_id=actor.client_id,
            user_id=None if actor.is_machine else actor.subject,
            organization_id=actor.org_id,
            scope=" ".join(sorted(actor.permissions))[:_LONGEST_TEXT],
            ip=self.ip,
            user_agent=self.user_agent,
            request_id=self.request_id,
            details={
                "request": {"method": self.method, "path": self.path, "body": self.body},
                "actor": {"issuer": actor.issuer, "subject": actor.subject, "client_id": actor.client_id},
                **more,
            },
        )


def trail_of(request: AnyRequest, body: bytes) -> Trail:
    agent = request.headers.get("user-agent")
    return Trail(
        created_at=now_ms(services_of(request).clock),
        actor=actor_of(request),
        action=request.route_handler.handler_name.replace("_", " ").capitalize(),
        method=request.method,
        path=_INVITATION.sub(rf"\g<1>{MASK}", request.scope["path"])[:_LONGEST_TEXT],
        body=_shown_body(body),
        request_id=request_id_of(request),
        ip=client_ip_of(request),
        user_agent=agent[:_LONGEST_TEXT] if agent else None,
    )


def add_failure(request: AnyRequest, error: IdentityError) -> None:
    """For a write that was refused; a caller nobody knows leaves no trace here."""
    if request.method in ("GET", "HEAD", "OPTIONS") or "actor" not in request.scope["state"]:
        return
    services_of(request).audit.add(tenant_of(request), trail_of(request, b"").failure(error))


def masked(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: MASK if _is_masked(name, item) else masked(item) for name, item in value.items()}
        case list() | tuple():
            return [masked(item) for item in value]
    return value


def _is_masked(name: str, value: Any) -> bool:
    """By name, wherever it stands: what is a secret of a connection is one of a mail provider, too."""
    if isinstance(value, str):
        return name in SECRET_MEMBERS or is_secret(name)
    if name == _HEADERS:
        return bool(value)
    return isinstance(value, Mapping) and name.lower() in HOLDERS


def _shown_body(body: bytes) -> Any:
    if not body or len(body) > _LONGEST_BODY:
        return None
    try:
        return masked(msgspec.json.decode(body))
    except (msgspec.DecodeError, RecursionError):
        return None
