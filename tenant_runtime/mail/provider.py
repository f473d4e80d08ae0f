"""Whose server takes a tenant's letters: its own provider's, tenant one's for all, or the installation's.

Each of the first two is one document, taken whole or not at all: nothing of tenant one's is ever combined with what a
tenant says, neither its password with a host of the tenant's nor its host with a sender of the tenant's
(`specs/bad-inputs.md` 120).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Any, Literal, TypeAlias

import msgspec

from core.mail import SmtpServer
from core.tenants import Tenant
from tenant_runtime.documents import Document, Documents, open_secret
from tenant_runtime.documents.documents import fitting

Layer: TypeAlias = Literal["tenant", "control_plane"]


class EmailProvider(msgspec.Struct, frozen=True, kw_only=True):
    """Auth0's shape (`/api/v2/emails/provider`). `credentials` hold texts, a port, and secrets that are sealed."""

    name: str | None = None
    enabled: bool = True
    default_from_address: str | None = None
    credentials: Mapping[str, Any] = msgspec.field(default_factory=dict)
    settings: Mapping[str, Any] = msgspec.field(default_factory=dict)


SECRETS = ("smtp_pass", "api_key")
PROVIDER = Document("emails:provider", EmailProvider, frozenset(f"credentials.{name}" for name in SECRETS))


@dataclass(frozen=True, slots=True)
class Service:
    """Where a mail service takes letters by SMTP, with the key of its API as the password."""

    host: str
    user: str
    regions: Mapping[str, str] | None = None

    def host_in(self, region: str | None) -> str:
        return (self.regions or {}).get(region or "", self.host)


SUBMISSION = 587
SERVICES: Mapping[str, Service] = {
    "sendgrid": Service("smtp.sendgrid.net", "apikey"),
    "mandrill": Service("smtp.mandrillapp.com", "keystead"),
    "sparkpost": Service("smtp.sparkpostmail.com", "SMTP_Injection", {"eu": "smtp.eu.sparkpostmail.com"}),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider that is switched on: whose word it is, and the server it comes to."""

    layer: Layer
    sender: str
    server: SmtpServer

    @property
    def sender_domain(self) -> str:
        return parseaddr(self.sender)[1].rpartition("@")[2].lower()


def said_by(documents: Documents, layer: Layer) -> EmailProvider | None:
    said = (documents.own if layer == "tenant" else documents.inherited).get(PROVIDER.key)
    return None if said is None else msgspec.convert(fitting(PROVIDER, said), EmailProvider)


def standing(
    tenant: Tenant, documents: Documents, is_vouched_for: Callable[[str, int], bool]
) -> Standing | None:
    """None: the installation's mail server is the tenant's. `is_vouched_for`: this server may do without TLS."""
    layers: tuple[Layer, ...] = ("tenant", "control_plane")
    for layer in layers:
        provider = said_by(documents, layer)
        if provider is not None and provider.enabled and provider.name and provider.default_from_address:
            secret = _secret(tenant, documents, layer)
            server = _server(provider, secret, is_vouched_for)
            return Standing(layer, provider.default_from_address, server)
    return None


def address_of(provider: EmailProvider) -> tuple[str, int]:
    """Host and port of its server."""
    credentials = provider.credentials
    service = SERVICES.get(provider.name or "")
    if service is not None:
        return service.host_in(credentials.get("region")), SUBMISSION
    return str(credentials.get("smtp_host") or ""), int(credentials.get("smtp_port") or SUBMISSION)


def is_mailbox(text: str) -> bool:
    """`login@example.com` or `Example <login@example.com>`, as a header can hold it."""
    name, address = parseaddr(text)
    try:
        parsed = Address(name, addr_spec=address)
    except (MessageError, ValueError, IndexError):
        return False
    return bool(text.isprintable() and parsed.username and "." in parsed.domain and parsed.domain.isascii())


def _secret(tenant: Tenant, documents: Documents, layer: Layer) -> str | None:
    """Of this layer alone, whatever stands above or below it."""
    only = Documents({}, documents.own) if layer == "tenant" else Documents(documents.inherited, {})
    for name in SECRETS:
        secret = open_secret(tenant, only, PROVIDER, f"credentials.{name}")
        if secret is not None:
            return secret
    return None


def _server(
    provider: EmailProvider, secret: str | None, is_vouched_for: Callable[[str, int], bool]
) -> SmtpServer:
    host, port = address_of(provider)
    service = SERVICES.get(provider.name or "")
    user = service.user if service is not None else provider.credentials.get("smtp_user")
    return SmtpServer(
        host=host,
        port=port,
        username=str(user) if user else None,
        password=secret,
        is_implicit=port == 465,
        is_plain=False,
        takes_any=port != 465 and is_vouched_for(host, port),
    )
