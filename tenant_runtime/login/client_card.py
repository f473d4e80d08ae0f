"""What the pages show of the client that sent somebody here: what it says of itself, and what is known of it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from tenant_runtime.configuration import ClientConfiguration
from tenant_runtime.login.addresses import origin_of


@dataclass(frozen=True, slots=True)
class ClientCard:
    """`published_at` is the host of a client-id metadata document: the only thing about such a client that is proved.
    `is_stranger`: nobody of the tenant made it or vouches for it."""

    name: str = ""
    logo_url: str | None = None
    home_url: str | None = None
    policy_url: str | None = None
    terms_url: str | None = None
    published_at: str = ""
    is_stranger: bool = False


NOBODY = ClientCard()


def card_of(client: ClientConfiguration) -> ClientCard:
    said = client.registration
    return ClientCard(
        name=client.name,
        logo_url=client.logo_uri,
        home_url=said.get("client_uri"),
        policy_url=said.get("policy_uri"),
        terms_url=said.get("tos_uri"),
        published_at=host_of(client.client_id) if client.origin == "document" else "",
        is_stranger=not client.is_vouched_for,
    )


def way_on(client: ClientConfiguration | None) -> str | None:
    """Where a page leads that anybody can send somebody to: never where a stranger says."""
    if client is None or card_of(client).is_stranger:
        return None
    return client.initiate_login_uri


def host_of(address: str) -> str:
    """Host and port; empty for what is no web address."""
    return urlsplit(address).netloc if origin_of(address) else ""
