"""What a client may say of itself (RFC 7591 section 2, OpenID Connect Dynamic Client Registration 1.0 section 2, and
what RFC 9126, RFC 9449 and OpenID Connect Back-Channel Logout 1.0 add), and what this server makes of it.

Members that are not known are left out. A known one that cannot be honoured is refused, never quietly changed: the
answer then says what holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from core.errors import InvalidClientMetadata, InvalidRedirectUri
from core.outbound import Outbound
from tenant_runtime.configuration import DEVICE_CODE
from tenant_runtime.oauth.authorization.acr import SUPPORTED
from tenant_runtime.oauth.keys.signing import ALGORITHMS
from tenant_runtime.registration.addresses import check_link, check_outward, check_redirects, is_native
from tenant_runtime.registration.client_keys import NewKey, keys_of

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Address: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[!-~]+\Z")]
Addresses: TypeAlias = Annotated[list[Address], Meta(max_length=50)]
Texts: TypeAlias = Annotated[list[Text], Meta(max_length=20)]
ScopeText: TypeAlias = Annotated[str, Meta(max_length=4096, pattern=r"^[ !#-\[\]-~]*\Z")]
AuthMethod = Literal[
    "none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"
]

CODE, REFRESH = "authorization_code", "refresh_token"
DEVICE = DEVICE_CODE
GRANT_TYPES = (CODE, REFRESH, DEVICE)
"""Those by which a person decides. None by which a client acts for itself: nobody vouches for it."""

SAID = (
    "client_uri",
    "contacts",
    "default_acr_values",
    "default_max_age",
    "backchannel_logout_session_required",
    "policy_uri",
    "request_object_signing_alg",
    "request_uris",
    "require_auth_time",
    "scope",
    "sector_identifier_uri",
    "software_id",
    "software_version",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_signed_response_alg",
)
"""Members that are kept as they came, in `clients.registration`."""


class ClientMetadata(msgspec.Struct, frozen=True, kw_only=True):
    redirect_uris: Addresses = msgspec.field(default_factory=list)
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    token_endpoint_auth_signing_alg: Text | None = None
    grant_types: Annotated[list[str], Meta(max_length=10)] | None = None
    response_types: Annotated[list[str], Meta(max_length=10)] | None = None
    application_type: Literal["web", "native"] | None = None
    client_name: Text | None = None
    client_uri: Address | None = None
    logo_uri: Address | None = None
    tos_uri: Address | None = None
    policy_uri: Address | None = None
    contacts: Texts | None = None
    scope: ScopeText | None = None
    jwks_uri: Address | None = None
    jwks: dict[str, Any] | None = None
    software_id: Text | None = None
    software_version: Text | None = None
    software_statement: Any = None
    subject_type: Literal["public"] = "public"
    sector_identifier_uri: Address | None = None
    id_token_signed_response_alg: Text = "RS256"
    userinfo_signed_response_alg: Text | None = None
    request_object_signing_alg: Text | None = None
    request_uris: Addresses | None = None
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False
    post_logout_redirect_uris: Addresses = msgspec.field(default_factory=list)
    backchannel_logout_uri: Address | None = None
    backchannel_logout_session_required: bool | None = None
    initiate_login_uri: Address | None = None
    default_max_age: Annotated[int, Meta(ge=0, le=2_000_000_000)] | None = None
    require_auth_time: bool | None = None
    default_acr_values: Texts | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """`columns` are those of `clients` that the client decides about."""

    columns: Mapping[str, Any]
    keys: tuple[NewKey, ...] = field(default=())

    @property
    def auth_method(self) -> str:
        method: str = self.columns["token_endpoint_auth_method"]
        return method

    @property
    def has_secret(self) -> bool:
        return self.auth_method.startswith("client_secret")


def understood(members: Mapping[str, Any]) -> ClientMetadata:
    try:
        return msgspec.convert(members, ClientMetadata)
    except msgspec.ValidationError as wrong:
        raise InvalidClientMetadata(str(wrong)) from None


def registered(said: ClientMetadata, outbound: Outbound) -> Registered:
    """Raises `InvalidClientMetadata` and `InvalidRedirectUri`."""
    if said.software_statement is not None:
        raise InvalidClientMetadata(
            "No issuer of software statements is trusted here.", code="unapproved_software_statement"
        )
    _check_addresses(said, outbound)
    _check_algorithms(said)
    _check_acr(said.default_acr_values)
    grant_types, response_types = _grants(said)
    return Registered(_columns(said, grant_types, response_types), _keys(said))


def _grants(said: ClientMetadata) -> tuple[list[str], list[str]]:
    """They must agree (RFC 7591 section 2.1): a code is what `code` leads to."""
    grant_types = list(dict.fromkeys(said.grant_types if said.grant_types is not None else [CODE]))
    refused = [name for name in grant_types if name not in GRANT_TYPES]
    if refused or not grant_types:
        raise InvalidClientMetadata(f"The grant_types may be: {', '.join(GRANT_TYPES)}.")
    expected = ["code"] if CODE in grant_types else []
    if said.response_types is not None and said.response_types != expected:
        raise InvalidClientMetadata(
            "The only response_types is code, for clients with the grant type authorization_code."
        )
    if CODE in grant_types and not said.redirect_uris:
        raise InvalidRedirectUri("The redirect_uris are missing.")
    return grant_types, expected


def _check_addresses(said: ClientMetadata, outbound: Outbound) -> None:
    check_redirects(said.redirect_uris)
    if said.application_type == "web" and any(not uri.startswith("http") for uri in said.redirect_uris):
        raise InvalidRedirectUri("A web application has no redirect address with a scheme of its own.")
    try:
        check_redirects(said.post_logout_redirect_uris)
    except InvalidRedirectUri as wrong:
        raise InvalidClientMetadata(f"post_logout_redirect_uris: {wrong.description}") from None
    for member in ("client_uri", "tos_uri", "policy_uri"):
        check_link(member, getattr(said, member))
    for member in ("logo_uri", "jwks_uri", "sector_identifier_uri", "backchannel_logout_uri"):
        check_outward(outbound, member, getattr(said, member))
    for address in said.request_uris or ():
        check_outward(outbound, "request_uris", address.partition("#")[0])
    if said.initiate_login_uri is not None and not said.initiate_login_uri.startswith("https://"):
        raise InvalidClientMetadata("The initiate_login_uri must be https.")
    check_link("initiate_login_uri", said.initiate_login_uri)


def _check_algorithms(said: ClientMetadata) -> None:
    for member in (
        "id_token_signed_response_alg",
        "userinfo_signed_response_alg",
        "request_object_signing_alg",
    ):
        if getattr(said, member) not in (None, *ALGORITHMS):
            raise InvalidClientMetadata(f"The {member} must be one of {', '.join(ALGORITHMS)}.")
    known = _ASSERTION_ALGORITHMS.get(said.token_endpoint_auth_method, ())
    if said.token_endpoint_auth_signing_alg not in (None, *known):
        raise InvalidClientMetadata(
            "The token_endpoint_auth_signing_alg does not fit the token_endpoint_auth_method."
        )


def _check_acr(values: list[str] | None) -> None:
    """What can be had, everybody has; so a wish for one of it is kept without being looked at again."""
    if values and set(values).isdisjoint(SUPPORTED):
        raise InvalidClientMetadata(f"The default_acr_values must have one of {', '.join(SUPPORTED)}.")


_ASSERTION_ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "private_key_jwt": ALGORITHMS,
    "client_secret_jwt": ("HS256",),
}


def _keys(said: ClientMetadata) -> tuple[NewKey, ...]:
    if said.jwks is not None and said.jwks_uri is not None:
        raise InvalidClientMetadata("A client has jwks or a jwks_uri, not both.")
    if said.jwks is not None:
        return keys_of(said.jwks, said.token_endpoint_auth_signing_alg)
    if said.token_endpoint_auth_method == "private_key_jwt" and said.jwks_uri is None:
        raise InvalidClientMetadata("A client that proves itself by a key must have jwks or a jwks_uri.")
    return ()


def _columns(said: ClientMetadata, grant_types: list[str], response_types: list[str]) -> dict[str, Any]:
    application_type = said.application_type or _application_type(said)
    kept = {name: getattr(said, name) for name in SAID}
    return {
        "name": said.client_name or _name(said),
        "app_type": _app_type(application_type, said.token_endpoint_auth_method),
        "logo_uri": said.logo_uri,
        "is_first_party": False,
        "token_endpoint_auth_method": said.token_endpoint_auth_method,
        "jwks_uri": said.jwks_uri,
        "grant_types": grant_types,
        "callbacks": list(dict.fromkeys(said.redirect_uris)),
        "allowed_logout_urls": list(dict.fromkeys(said.post_logout_redirect_uris)),
        "initiate_login_uri": said.initiate_login_uri,
        "require_pkce": True,
        "require_proof_of_possession": said.dpop_bound_access_tokens,
        "require_pushed_authorization_requests": said.require_pushed_authorization_requests,
        "oidc_logout": {"backchannel_logout_urls": [said.backchannel_logout_uri]}
        if said.backchannel_logout_uri
        else {},
        "jwt_configuration": {"alg": said.id_token_signed_response_alg},
        "registration": {
            "application_type": application_type,
            "response_types": response_types,
            **{name: value for name, value in kept.items() if value is not None},
        },
    }


def _application_type(said: ClientMetadata) -> str:
    """Programs on a person's device often do not say that they are (RFC 8252)."""
    return "native" if any(map(is_native, said.redirect_uris)) else "web"


def _app_type(application_type: str, auth_method: str) -> str:
    if application_type == "native":
        return "native"
    return "spa" if auth_method == "none" else "regular_web"


def _name(said: ClientMetadata) -> str:
    """Something to call it by: where it lives."""
    hosts = (urlsplit(uri).hostname for uri in (said.client_uri, *said.redirect_uris) if uri)
    return next((host for host in hosts if host), "An application")
