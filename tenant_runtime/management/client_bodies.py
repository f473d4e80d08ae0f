"""What may be said of a client: Auth0's members, those that are acted on and those that are only kept.

A member that is neither is refused. Defaults follow the type of application.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta

from core.errors import InvalidInput
from tenant_runtime.management.addresses import check_callbacks, check_link, check_origins
from tenant_runtime.management.editing import (
    Address,
    Addresses,
    Body,
    LongText,
    Maybe,
    Name,
    Object,
    ShortText,
)
from tenant_runtime.models import Client
from tenant_runtime.oauth.signing import ALGORITHMS

AppType = Literal["native", "spa", "regular_web", "non_interactive"]
AuthMethod = Literal["none", "client_secret_post", "client_secret_basic"]
GrantType = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"^(authorization_code|refresh_token|client_credentials|implicit|password|(urn|https?):[\x21-\x7e]+)$",
    ),
]
"""By name, or by the address of an extension (RFC 6749 section 4.5). Auth0's tools write grants that the token
endpoint does not know, among them the two that RFC 9700 section 2.4 dropped; they are kept and open nothing."""
Usage = Literal["deny", "allow", "require"]
RequireBehavior = Literal["no_prompt", "pre_login_prompt", "post_login_prompt"]
KeptObject = Maybe[Object | None]
KeptList = Maybe[list[Any] | None]
KeptText = Maybe[LongText | None]
KeptFlag = Maybe[bool | None]


class JwtConfiguration(Body):
    alg: Maybe[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]] = (
        UNSET
    )
    lifetime_in_seconds: Maybe[Annotated[int, Meta(ge=1, le=2_592_000)]] = UNSET
    secret_encoded: Maybe[bool] = UNSET
    scopes: Maybe[Object] = UNSET


class RefreshTokenPolicy(Body):
    rotation_type: Maybe[Literal["rotating", "non-rotating"]] = UNSET
    expiration_type: Maybe[Literal["expiring", "non-expiring"]] = UNSET
    leeway: Maybe[Annotated[int, Meta(ge=0, le=60)]] = UNSET
    token_lifetime: Maybe[Annotated[int, Meta(ge=1, le=31_557_600)]] = UNSET
    idle_token_lifetime: Maybe[Annotated[int, Meta(ge=1, le=31_557_600)]] = UNSET
    infinite_token_lifetime: Maybe[bool] = UNSET
    infinite_idle_token_lifetime: Maybe[bool] = UNSET
    policies: Maybe[list[Object] | None] = UNSET


class ClientPatch(Body):
    name: Maybe[Name] = UNSET
    description: Maybe[Annotated[str, Meta(max_length=1000)] | None] = UNSET
    app_type: Maybe[AppType] = UNSET
    logo_uri: Maybe[LongText | None] = UNSET
    is_first_party: Maybe[bool] = UNSET
    token_endpoint_auth_method: Maybe[AuthMethod] = UNSET
    grant_types: Maybe[Annotated[list[GrantType], Meta(max_length=20)]] = UNSET
    callbacks: Maybe[Addresses | None] = UNSET
    allowed_logout_urls: Maybe[Addresses | None] = UNSET
    web_origins: Maybe[Addresses | None] = UNSET
    allowed_origins: Maybe[Addresses | None] = UNSET
    initiate_login_uri: Maybe[Address | None] = UNSET
    organization_usage: Maybe[Usage | None] = UNSET
    organization_require_behavior: Maybe[RequireBehavior | None] = UNSET
    require_pkce: Maybe[bool] = UNSET
    jwt_configuration: Maybe[JwtConfiguration | None] = UNSET
    refresh_token: Maybe[RefreshTokenPolicy | None] = UNSET
    client_metadata: Maybe[dict[Annotated[str, Meta(max_length=255)], ShortText | None] | None] = UNSET
    # what Auth0's clients write and this server keeps without acting on it
    addons: KeptObject = UNSET
    allowed_clients: KeptList = UNSET
    async_approval_notification_channels: KeptList = UNSET
    client_aliases: KeptList = UNSET
    compliance_level: KeptText = UNSET
    cross_origin_authentication: KeptFlag = UNSET
    cross_origin_loc: KeptText = UNSET
    custom_login_page: KeptText = UNSET
    custom_login_page_on: KeptFlag = UNSET
    custom_login_page_preview: KeptText = UNSET
    default_organization: KeptObject = UNSET
    encryption_key: KeptObject = UNSET
    express_configuration: KeptObject = UNSET
    fedcm_login: KeptObject = UNSET
    form_template: KeptText = UNSET
    is_token_endpoint_ip_header_trusted: KeptFlag = UNSET
    mobile: KeptObject = UNSET
    my_organization_configuration: KeptObject = UNSET
    native_social_login: KeptObject = UNSET
    oidc_backchannel_logout: KeptObject = UNSET
    oidc_conformant: KeptFlag = UNSET
    oidc_logout: KeptObject = UNSET
    organization_discovery_methods: KeptList = UNSET
    par_request_expiry: Maybe[int | None] = UNSET
    redirection_policy: KeptText = UNSET
    require_proof_of_possession: KeptFlag = UNSET
    require_pushed_authorization_requests: KeptFlag = UNSET
    session_transfer: KeptObject = UNSET
    signed_request_object: KeptObject = UNSET
    skip_non_verifiable_callback_uri_confirmation_prompt: KeptFlag = UNSET
    sso: KeptFlag = UNSET
    sso_disabled: KeptFlag = UNSET
    third_party_security_mode: KeptText = UNSET
    token_exchange: KeptObject = UNSET
    token_quota: KeptObject = UNSET


class ClientIn(ClientPatch, kw_only=True):
    name: Name


COLUMNS = frozenset(Client.__table__.c.keys())
KEPT = frozenset(ClientPatch.__struct_fields__) - COLUMNS
_LISTS = ("callbacks", "allowed_logout_urls", "web_origins", "allowed_origins")
_OBJECTS = ("jwt_configuration", "refresh_token", "client_metadata")
_WHEN_NULL: Mapping[str, Any] = {
    **{name: [] for name in _LISTS},
    "organization_usage": "allow",
    "organization_require_behavior": "no_prompt",
}


def without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    """null returns a column to its default where it has one that is not null."""
    return {
        name: _WHEN_NULL[name] if value is None and name in _WHEN_NULL else value
        for name, value in members.items()
    }


def defaults(app_type: str, auth_method: str | None) -> dict[str, Any]:
    """What a new client is when nothing more is said (Auth0's defaults, without the grants OAuth 2.1 dropped)."""
    method = auth_method or ("none" if app_type in ("spa", "native") else "client_secret_post")
    return {
        "app_type": app_type,
        "is_first_party": True,
        "is_global": False,
        "token_endpoint_auth_method": method,
        "grant_types": _grants(app_type),
        **{name: [] for name in _LISTS},
        **{name: {} for name in _OBJECTS},
        "organization_usage": "allow",
        "organization_require_behavior": "no_prompt",
        "require_pkce": True,
        "attributes": {},
    }


def _grants(app_type: str) -> list[str]:
    match app_type:
        case "non_interactive":
            return ["client_credentials"]
        case "regular_web":
            return ["authorization_code", "refresh_token", "client_credentials"]
    return ["authorization_code", "refresh_token"]


def check(members: Mapping[str, Any]) -> None:
    """What the types of the members cannot say."""
    for name in ("callbacks", "allowed_logout_urls"):
        check_callbacks(name, members.get(name) or ())
    for name in ("web_origins", "allowed_origins"):
        check_origins(name, members.get(name) or ())
    check_link("logo_uri", members.get("logo_uri"))
    check_link("initiate_login_uri", members.get("initiate_login_uri"))
    algorithm = (members.get("jwt_configuration") or {}).get("alg")
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise InvalidInput(f"`jwt_configuration.alg` must be one of {', '.join(ALGORITHMS)}.")


def check_whole(client: Mapping[str, Any]) -> None:
    """What holds for a client as a whole, after a change as before it."""
    is_public = client["token_endpoint_auth_method"] == "none"
    if is_public and "client_credentials" in client["grant_types"]:
        raise InvalidInput("A public client has no secret, and so cannot use the grant client_credentials.")
