"""Where a page leads when what a link was for is done: only to addresses that the tenant itself has registered.

Compared as whole strings (RFC 9700 section 4.1), when a ticket is made and again when it is used. What clients said
of themselves that nobody of the tenant vouches for does not count.
"""

from collections.abc import Mapping

from tenant_runtime.configuration import ClientConfiguration, Configuration
from tenant_runtime.login.addresses import origin_of
from tenant_runtime.login.client_card import way_on
from tenant_runtime.oauth.authorization.redirect_uris import is_safe, with_query


def is_known(found: Configuration, address: str) -> bool:
    if not is_safe(address) or origin_of(address) is None:
        return False
    settings = found.settings
    if address == settings.default_redirection_uri or address in settings.allowed_logout_urls:
        return True
    return any(client.is_vouched_for and _is_of(client, address) for client in found.clients.values())


def is_at_known_origin(found: Configuration, address: str) -> bool:
    """Of pages that may use a browser's session here: what `/api/auth` was told to lead to, which was looked at when it
    was asked."""
    if not is_safe(address):
        return False
    origin = origin_of(address)
    return origin is not None and any(
        origin in client.web_origins | client.allowed_origins
        for client in found.clients.values()
        if client.is_vouched_for
    )


def _is_of(client: ClientConfiguration, address: str) -> bool:
    registered = (*client.callbacks, *client.allowed_logout_urls, client.initiate_login_uri)
    return address in registered


def with_result(address: str, message: str, email: str | None) -> str:
    """Auth0's members."""
    said = {"success": "true", "code": "success", "message": message}
    return with_query(address, said if email is None else {"email": email, **said})


def way_back(found: Configuration, client_id: str | None, organization: Mapping[str, str]) -> str | None:
    """For who was given no address: the application that asked, told of the organization, or the tenant's front."""
    address = way_on(found.clients.get(client_id or ""))
    if address is None:
        return found.settings.default_redirection_uri
    return with_query(address, dict(organization))
