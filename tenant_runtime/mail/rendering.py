"""From what is to be said to the letter that is sent: the tenant's own template, or the built-in letter.

A template that does not render is no reason to keep a letter back: the built-in one goes instead, and the tenant's log
says so. Templates see Auth0's variables.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection, Row, bindparam, select

from core.mail import Letter, clean
from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.configuration import Configuration
from tenant_runtime.login.answers import branding_of
from tenant_runtime.mail.letters import Contents, letter
from tenant_runtime.mail.plain_text import plain_text
from tenant_runtime.mail.templates import Written, written_for
from tenant_runtime.mail.texts import texts_in
from tenant_runtime.models import Client, Identity, User

_log = structlog.get_logger(__name__)

LONGEST_SUBJECT = 200
LONGEST_SENDER = 400
_NAMED = re.compile(r'"?(?P<name>[^<>"]*)"?\s*<(?P<address>[^<>]+)>')
_u, _i, _c = User.__table__.c, Identity.__table__.c, Client.__table__.c
_USER = select(User.__table__).where(_u.user_id == bindparam("of"))
_WHO = select(_i.user_id).where(_i.connection_id == bindparam("at"), _i.email == bindparam("of"))
_METADATA = select(_c.client_metadata).where(_c.client_id == bindparam("of"))
_SHOWN = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "phone_number",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "user_metadata",
    "app_metadata",
]


async def compose(
    tenant: Tenant, current: Configuration, payload: Mapping[str, Any], contents: Contents, now: int
) -> Letter:
    user, metadata = await tenant.database.read(_about, payload)
    locale = (user.profile or {}).get("locale") if user is not None else None
    asked = f"{payload.get('languages') or ''} {locale or ''}".replace("_", "-")
    texts = texts_in(asked, current.settings.enabled_locales)
    branding = branding_of(tenant, current.settings)
    built_in = replace(letter(payload["to"], contents, branding, texts), tenant_id=tenant.id)
    written = written_for(current, contents.template, asked, payload.get("connection_id"))
    if written is None:
        return built_in
    values = {
        **_of_tenant(tenant, current),
        **_of_user(user, payload["to"]),
        **_of_flow(current, payload, contents, metadata),
        **contents.variables,
        "request_language": asked.split()[0] if asked.split() else None,
    }
    return await _rendered(tenant, built_in, written, values, now)


async def _rendered(
    tenant: Tenant, built_in: Letter, written: Written, values: Mapping[str, Any], now: int
) -> Letter:
    from tenant_runtime.mail.liquid import TemplateBroken  # loaded by the first template of a process

    try:
        return await asyncio.to_thread(_in_bounds, built_in, written, values)
    except TemplateBroken as broken:
        _log.warning("email_template_broken", tenant=tenant.id, template=written.name, cause=str(broken))
        event = Event(
            type="fn",
            created_at=now,
            description=f"The e-mail template {written.name} was left out, the built-in one sent: {broken}"[
                :500
            ],
            details={"template": written.name},
        )
        await tenant.database.write(record, event)
        return built_in


def _in_bounds(built_in: Letter, written: Written, values: Mapping[str, Any]) -> Letter:
    from tenant_runtime.mail.liquid import render

    html = render(written.body, values, escape=True)
    subject = render(written.subject, values, escape=False) if written.subject else ""
    name, address = _mailbox(render(written.sender, values, escape=False)) if written.sender else ("", "")
    return replace(
        built_in,
        subject=clean(subject, LONGEST_SUBJECT) or built_in.subject,
        html=html,
        text=plain_text(html),
        sender_name=clean(name) or built_in.sender_name,
        sender_address=address,
    )


def _mailbox(text: str) -> tuple[str, str]:
    """Values are not quoted as a header wants them, so nothing in a name means anything but the brackets after it."""
    found = _NAMED.fullmatch(clean(text, LONGEST_SENDER))
    return (found["name"].strip(), found["address"]) if found is not None else ("", text.strip())


# --- what a template may read ----------------------------------------------------------------------------------------


def _about(connection: Connection, payload: Mapping[str, Any]) -> tuple[Row[Any] | None, Mapping[str, Any]]:
    """Whom the letter is to, as far as it is an account's, and what the client that it is about has of its own."""
    user_id = payload.get("user_id")
    if user_id is None and payload.get("connection_id") is not None:
        at = {"at": payload["connection_id"], "of": payload["to"]}
        user_id = connection.execute(_WHO, at).scalar_one_or_none()
    user = connection.execute(_USER, {"of": user_id}).one_or_none() if user_id is not None else None
    client_id = payload.get("client_id")
    metadata = connection.execute(_METADATA, {"of": client_id}).scalar_one_or_none() if client_id else None
    return user, metadata or {}


def _of_tenant(tenant: Tenant, current: Configuration) -> dict[str, Any]:
    settings = current.settings
    return {
        "tenant": tenant.id,
        "friendly_name": settings.friendly_name or tenant.display_name,
        "support_email": settings.support_email,
        "support_url": settings.support_url,
        "home_url": settings.default_redirection_uri,
        "custom_domain": {"domain": urlsplit(tenant.primary_issuer).netloc},
    }


def _of_user(user: Row[Any] | None, to: str) -> dict[str, Any]:
    """Nobody's password, and nothing of how they sign in."""
    shown = {"email": to} if user is None else {name: getattr(user, name) for name in _SHOWN}
    return {"user": shown, "user_metadata": shown.get("user_metadata") or {}}


def _of_flow(
    current: Configuration, payload: Mapping[str, Any], contents: Contents, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    client_id = payload.get("client_id")
    client = current.clients.get(client_id or "")
    connection = current.connections.get(payload.get("connection_id") or "")
    name = client.name if client is not None else contents.values.get("client", "")
    application = {"name": name, "clientID": client_id, "clientMetadata": metadata}
    return {
        "application": {
            **application,
            "client_id": client_id,
            "client_metadata": metadata,
            "metadata": metadata,
        },
        "connection": {"name": connection.name if connection is not None else None},
        "code": contents.code,
        "url": contents.link,
        "link": contents.link,
    }
