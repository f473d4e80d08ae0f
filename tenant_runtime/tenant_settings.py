"""A tenant's settings: what each key is when nobody set it, and how values are layered.

Effective = defaults <- inherited from the control plane <- the tenant's own (`specs/tenancy.md` section 6). Names
and meanings are Auth0's (`/api/v2/tenants/settings`). A key that is missing has its documented default, never
another tenant's value.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Provenance = Literal["default", "control_plane", "tenant"]


class BrandingColors(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    primary: str | None = None
    page_background: str | None = None


class BrandingFont(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    url: str | None = None


class Branding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    colors: BrandingColors = BrandingColors()
    logo_url: str | None = None
    favicon_url: str | None = None
    font: BrandingFont = BrandingFont()


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """Switches. `inherit_global_permissions_in_organizations`: tokens of an organization also carry what the user
    holds in the tenant as a whole."""

    inherit_global_permissions_in_organizations: bool = False
    revoke_refresh_token_grant: bool = False
    enable_client_connections: bool = False
    disable_clickjack_protection_headers: bool = False
    enable_sso: bool = True


class ErrorPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    url: str | None = None
    show_log_link: bool = False


class ClientRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """Clients that nobody of the tenant makes. `mode`: nobody registers clients, who holds an initial access token
    does, or anybody does (RFC 7591). `max_clients` of each kind."""

    mode: Literal["off", "initial_token", "open"] = "off"
    client_id_metadata_documents: bool = False
    max_clients: Annotated[int, Meta(ge=1, le=100_000)] = 1000


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every key with its default. Lifetimes of sessions are hours, as Auth0 has them."""

    friendly_name: str | None = None
    picture_url: str | None = None
    support_email: str | None = None
    support_url: str | None = None
    help_url: str | None = None
    default_audience: str | None = None
    default_directory: str | None = None
    default_redirection_uri: str | None = None
    default_token_quota: Mapping[str, Any] | None = None
    session_lifetime: float = 168
    idle_session_lifetime: float = 72
    enabled_locales: tuple[str, ...] = ("en",)
    allowed_logout_urls: tuple[str, ...] = ()
    allow_organization_name_in_authentication_api: bool = True
    signup_enabled: bool = True
    branding: Branding = Branding()
    flags: Flags = Flags()
    error_page: ErrorPage = ErrorPage()
    sandbox_version: str | None = None
    client_registration: ClientRegistration = ClientRegistration()
    log_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 30


DEFAULTS: Mapping[str, Any] = msgspec.to_builtins(TenantSettings())
KEYS = frozenset(DEFAULTS)


def effective(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> TenantSettings:
    """The settings a tenant acts by. A stored value that no longer fits its key counts as not set."""
    return msgspec.convert(_layered(inherited, own), TenantSettings)


def _layered(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for layer in (inherited, own):
        values.update({key: value for key, value in layer.items() if key in KEYS and _fits(key, value)})
    return values


def _fits(key: str, value: Any) -> bool:
    try:
        msgspec.convert({key: value}, TenantSettings)
    except msgspec.ValidationError:
        return False
    return True


def provenance(inherited: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Provenance]:
    """Where each effective value comes from."""
    return {
        key: "tenant" if key in own else "control_plane" if key in inherited else "default" for key in KEYS
    }
