"""What may be said of a client: Auth0's members, those that are acted on and those that are only kept.

A member that is neither is refused. Defaults follow the type of application.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta

from core.errors import InvalidInput
from core.outbound import Outbound, OutboundRefused
from core.settings import is_loopback
from tenant_runtime.configuration import FAPI
from tenant_runtime.management.addresses import check_callbacks, check_link, check_origins
from tenant_runtime.management.clients.keys import (
    MOST_KEYS,
    CredentialNamed,
    KeyChange,
    keys_of_set,
    new_key,
)
from tenant_runtime.management.editing import (
    Address,
    Addresses,
    Body,
    LongText,
    Maybe,
    Name,
    Object,
    ShortText,
    named,
)
from tenant_runtime.models import Client
from tenant_runtime.oauth.clients.assertions import BY_KEY
from tenant_runtime.oauth.clients.keys import FAPI_ALGORITHMS
from tenant_runtime.oauth.keys.signing import ALGORITHMS

AppType = Literal["native", "spa", "regular_web", "non_interactive", "resource_server"]
AuthMethod = Literal[
    "none", "client_secret_post", "client_secret_basic", "client_secret_jwt", "private_key_jwt"
]
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
    scope_claims: Maybe[bool] = UNSET
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


class PrivateKeyJwt(Body):
    credentials: Annotated[list[CredentialNamed], Meta(max_length=MOST_KEYS)]


class AuthenticationMethods(Body):
    """Auth0's way to say `private_key_jwt` and by which keys."""

    private_key_jwt: Maybe[PrivateKeyJwt | None] = UNSET


class SignedRequestObject(Body):
    required: Maybe[bool] = UNSET
    credentials: Maybe[Annotated[list[CredentialNamed], Meta(max_length=MOST_KEYS)] | None] = UNSET


Initiator = Literal[
    "rp-logout",
    "idp-logout",
    "password-changed",
    "session-expired",
    "session-revoked",
    "account-deleted",
    "account-deactivated",
    "email-identifier-changed",
    "mfa-phone-unenrolled",
]


class LogoutInitiators(Body):
    mode: Maybe[Literal["all", "custom"]] = UNSET
    selected_initiators: Maybe[Annotated[list[Initiator], Meta(max_length=20)]] = UNSET


class OldLogout(Body):
    """Auth0's earlier name for a part of `oidc_logout`."""

    backchannel_logout_urls: Maybe[Annotated[list[Address], Meta(max_length=5)] | None] = UNSET


class OidcLogout(OldLogout):
    backchannel_logout_initiators: Maybe[LogoutInitiators | None] = UNSET
    backchannel_logout_session_metadata: Maybe[Object | None] = UNSET


class ClientPatch(Body):
    name: Maybe[Name] = UNSET
    description: Maybe[Annotated[str, Meta(max_length=1000)] | None] = UNSET
    app_type: Maybe[AppType] = UNSET
    logo_uri: Maybe[LongText | None] = UNSET
    is_first_party: Maybe[bool] = UNSET
    token_endpoint_auth_method: Maybe[AuthMethod | None] = UNSET
    client_authentication_methods: Maybe[AuthenticationMethods | None] = UNSET
    jwks: Maybe[Object | None] = UNSET
    jwks_uri: Maybe[Address | None] = UNSET
    compliance_level: Maybe[ShortText | None] = UNSET
    require_proof_of_possession: Maybe[bool | None] = UNSET
    require_pushed_authorization_requests: Maybe[bool | None] = UNSET
    signed_request_object: Maybe[SignedRequestObject | None] = UNSET
    oidc_logout: Maybe[OidcLogout | None] = UNSET
    oidc_backchannel_logout: Maybe[OldLogout | None] = UNSET
    resource_server_identifier: Maybe[Address | None] = UNSET
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
    oidc_conformant: KeptFlag = UNSET
    organization_discovery_methods: KeptList = UNSET
    par_request_expiry: Maybe[int | None] = UNSET
    redirection_policy: KeptText = UNSET
    session_transfer: KeptObject = UNSET
    skip_non_verifiable_callback_uri_confirmation_prompt: KeptFlag = UNSET
    sso: KeptFlag = UNSET
    sso_disabled: KeptFlag = UNSET
    third_party_security_mode: KeptText = UNSET
    token_exchange: KeptObject = UNSET
    token_quota: KeptObject = UNSET


class ClientIn(ClientPatch, kw_only=True):
    name: Name


COLUMNS = frozenset(Client.__table__.c.keys())
KEYS = frozenset({"jwks", "client_authentication_methods"})
"""What is neither a column nor kept: it becomes rows of `client_keys`."""

WITH_SECRET = ("client_secret_post", "client_secret_basic", "client_secret_jwt")
NO_COMPLIANCE = "none"
_FAPI_GRANTS = frozenset({"authorization_code", "refresh_token", "client_credentials"})
_LISTS = ("callbacks", "allowed_logout_urls", "web_origins", "allowed_origins")
_OBJECTS = ("jwt_configuration", "refresh_token", "client_metadata", "signed_request_object", "oidc_logout")
_WHEN_NULL: Mapping[str, Any] = {
    **{name: [] for name in _LISTS},
    "organization_usage": "allow",
    "organization_require_behavior": "no_prompt",
    "require_proof_of_possession": False,
    "require_pushed_authorization_requests": False,
}


def said_in(data: ClientPatch) -> dict[str, Any]:
    """The members that the body names, each by the one name it goes by here, but for the keys (`key_change`). null
    returns a column to its default where it has one that is not null."""
    members = {name: value for name, value in named(data).items() if name not in KEYS}
    if members.get("token_endpoint_auth_method", "") is None:
        del members["token_endpoint_auth_method"]
    methods = data.client_authentication_methods
    is_by_key = bool(methods and methods.private_key_jwt)
    if is_by_key and members.setdefault("token_endpoint_auth_method", BY_KEY) != BY_KEY:
        raise InvalidInput("`client_authentication_methods` and `token_endpoint_auth_method` contradict.")
    old = members.pop("oidc_backchannel_logout", None)
    if old and "oidc_logout" not in members:
        members["oidc_logout"] = old
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
        "require_proof_of_possession": False,
        "require_pushed_authorization_requests": False,
        "jwks_uri": None,
        "compliance_level": None,
        "resource_server_identifier": None,
        "attributes": {},
    }


def _grants(app_type: str) -> list[str]:
    match app_type:
        case "non_interactive":
            return ["client_credentials"]
        case "regular_web":
            return ["authorization_code", "refresh_token", "client_credentials"]
        case "resource_server":
            return []
    return ["authorization_code", "refresh_token"]


def key_change(data: ClientPatch, members: dict[str, Any]) -> KeyChange | None:
    """What the body says of the client's keys; None: nothing. What it says all at once replaces what was there."""
    methods, by_set = data.client_authentication_methods, data.jwks
    for_requests = _credentials(data.signed_request_object, members)
    if isinstance(by_set, dict) and methods:
        raise InvalidInput(
            "The keys of a client are in `jwks` or in `client_authentication_methods`, not in both."
        )
    change: KeyChange | None = None
    if by_set is not UNSET:
        change = KeyChange(() if by_set is None else keys_of_set(by_set), frozenset())
    elif methods is not UNSET:
        found = methods.private_key_jwt if methods else None
        change = _named_keys(found.credentials if found else [], stays=frozenset())
    elif data.jwks_uri and for_requests is None:
        change = KeyChange((), frozenset())
    if for_requests is not None:
        base = change or KeyChange()
        change = replace(base, new=base.new + for_requests.new, named=base.named | for_requests.named)
    if change is not None and data.jwks_uri and (change.new or change.named):
        raise InvalidInput("The keys of a client are here or at its `jwks_uri`, not at both.")
    return change


def _credentials(requests: Maybe[SignedRequestObject | None], members: dict[str, Any]) -> KeyChange | None:
    """The keys for request objects; what is kept of them are their ids."""
    if not requests or not requests.credentials:
        return None
    change = _named_keys(requests.credentials, stays=None)
    ids = [*sorted(change.named), *(key.id for key in change.new)]
    members["signed_request_object"] = {
        **members["signed_request_object"],
        "credentials": [{"id": id} for id in ids],
    }
    return change


def _named_keys(credentials: list[CredentialNamed], *, stays: frozenset[str] | None) -> KeyChange:
    new = tuple(new_key(given) for given in credentials if given.id is UNSET)
    return KeyChange(new, stays, frozenset(given.id for given in credentials if given.id is not UNSET))


def check(members: Mapping[str, Any], outbound: Outbound) -> None:
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
    if members.get("compliance_level") not in (None, NO_COMPLIANCE, FAPI):
        raise InvalidInput(
            f"`compliance_level` must be {NO_COMPLIANCE} or {FAPI}: others cannot be kept here."
        )
    _check_called("jwks_uri", [members.get("jwks_uri")], outbound)
    urls = (members.get("oidc_logout") or {}).get("backchannel_logout_urls") or ()
    _check_called("oidc_logout.backchannel_logout_urls", urls, outbound)


def _check_called(member: str, addresses: Iterable[str | None], outbound: Outbound) -> None:
    """An address that this server will call."""
    for address in filter(None, addresses):
        try:
            outbound.check(address)
        except OutboundRefused as error:
            raise InvalidInput(f"`{member}`: {error}") from error


def check_whole(client: Mapping[str, Any], *, has_keys: bool) -> None:
    """What holds for a client as a whole, after a change as before it."""
    is_public = client["token_endpoint_auth_method"] == "none"
    if is_public and "client_credentials" in client["grant_types"]:
        raise InvalidInput("A public client has no secret, and so cannot use the grant client_credentials.")
    if is_public and client["resource_server_identifier"] is not None:
        raise InvalidInput("A public client cannot be an API: anybody could speak for it.")
    if client["app_type"] == "resource_server" and client["resource_server_identifier"] is None:
        raise InvalidInput("A client that is an API must name it by `resource_server_identifier`.")
    if client["compliance_level"] == FAPI:
        _check_fapi(client, has_keys)


def _check_fapi(client: Mapping[str, Any], has_keys: bool) -> None:
    """FAPI 2.0 Security Profile sections 5.3 and 5.4, as far as a client's own settings say."""
    for holds, rule in (
        (client["token_endpoint_auth_method"] == BY_KEY, "prove itself by private_key_jwt"),
        (has_keys, "have keys for PS256, ES256 or EdDSA, or a `jwks_uri`"),
        (client["require_pkce"], "use PKCE"),
        (
            _FAPI_GRANTS.issuperset(client["grant_types"]),
            f"use no grants but {', '.join(sorted(_FAPI_GRANTS))}",
        ),
        (
            client["jwt_configuration"].get("alg") in (None, *FAPI_ALGORITHMS),
            f"have ID tokens signed with {', '.join(FAPI_ALGORITHMS)}",
        ),
        (
            all(map(_is_protected, client["callbacks"])),
            "have https addresses, or loopback ones, as `callbacks`",
        ),
    ):
        if not holds:
            raise InvalidInput(f"A client of compliance level {FAPI} must {rule}.")


def _is_protected(callback: str) -> bool:
    parts = urlsplit(callback)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
