"""An authorization request's parameters: read once, into values that never change.

`sent` reads what came (query of a GET, form of a POST); `understood` gives it meaning. Between the two stand the
client and its redirect address, because only then may an error travel by redirect (RFC 6749 section 4.1.2.1).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from core.errors import InvalidRequest, InvalidScope, InvalidTarget
from tenant_runtime.oauth.body import ONE_RESOURCE
from tenant_runtime.organizations.claims import PLACES

MAX_FIELDS = 100
MAX_LENGTH = 2048
MAX_LENGTHS = {"state": 4096, "nonce": 2048, "claims": 8192, "scope": 8192, "id_token_hint": 16 * 1024}
MAX_SCOPES = 200
MAX_AGE_DIGITS = 9

PROMPTS = frozenset({"none", "login", "consent", "select_account", "create"})
KNOWN = frozenset(
    {
        "acr_values",
        "audience",
        "claims",
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "connection",
        "dpop_jkt",
        "id_token_hint",
        "invitation",
        "login_hint",
        "max_age",
        "nonce",
        "organization",
        "prompt",
        "redirect_uri",
        "request",
        "request_uri",
        "resource",
        "response_mode",
        "response_type",
        "scope",
        "screen_hint",
        "state",
        "ui_locales",
    }
)

PUSHED = "pushed"
SIGNED = "signed"
"""Beside the parameters, under names that no request can bring: the digest of the pushed request (RFC 9126) they are
from, and that they were signed (RFC 9101). They stay with the request while the person logs in."""

ADDRESS_PROVED = "address proved"
"""Likewise: the invitation was named by the secret of its letter. What is kept of the request names it by its id."""

INVALID_INVITATION = "The invitation is not valid."

_SCOPE_VALUE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.2
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Sent:
    """The known parameters that have a value, and which were sent more than once. Others are ignored
    (RFC 6749 section 3.1)."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    @property
    def state(self) -> str | None:
        """None where it cannot be given back as it was."""
        state = self.values.get("state")
        return state if state is not None and not _is_too_long("state", state) else None

    @property
    def is_indirect(self) -> bool:
        """Whether the parameters that count are elsewhere: in a request object, or pushed before."""
        return "request" in self.values or "request_uri" in self.values

    @property
    def pushed(self) -> str | None:
        return self.values.get(PUSHED)

    @property
    def is_signed(self) -> bool:
        return SIGNED in self.values

    def marked(self, **marks: str) -> "Sent":
        return Sent({**self.values, **marks}, self.repeated)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationParameters:
    """What the client asks for, apart from who it is and where the answer goes."""

    scope: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    login_hint: str = ""
    ui_locales: str = ""
    id_token_hint: str | None = None
    claims: Mapping[str, Any] | None = field(default=None, hash=False)
    code_challenge: str | None = None
    audience: str | None = None
    resource: str | None = None
    acr_values: tuple[str, ...] = ()
    dpop_jkt: str | None = None
    organization: str | None = None
    invitation: str | None = None
    address_proved: bool = False
    screen_hint: str | None = None
    connection: str | None = None

    @property
    def is_silent(self) -> bool:
        return "none" in self.prompt

    @property
    def wants_signup(self) -> bool:
        return self.screen_hint == "signup" or "create" in self.prompt


def sent(encoded: bytes) -> Sent:
    """A parameter without a value counts as not sent, except `organization`: an empty one is a mistake that must
    not become a login without any."""
    fields = encoded.split(b"&") if encoded else []
    if len(fields) > MAX_FIELDS:
        raise InvalidRequest("The request has too many parameters.")
    try:
        return from_pairs(_decoded(field) for field in fields)
    except UnicodeDecodeError:
        raise InvalidRequest("The request's parameters are not UTF-8.") from None


def _decoded(field: bytes) -> tuple[str, str]:
    name, _, value = field.partition(b"=")
    return _text(name), _text(value)


def _text(raw: bytes) -> str:
    if b"%" in raw or b"+" in raw:
        raw = unquote_to_bytes(raw.replace(b"+", b" "))
    return raw.decode("utf-8")


def from_pairs(pairs: Iterable[tuple[str, str]]) -> Sent:
    values: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in pairs:
        if name not in KNOWN:
            continue
        if name in values:
            repeated.add(name)
        elif value or name == "organization":
            values[name] = value
    for name in repeated:
        del values[name]
    return Sent(values, frozenset(repeated))


def understood(request: Sent) -> AuthorizationParameters:
    """Raises what may travel by redirect."""
    _check_form(request)
    prompt = _prompt(request.get("prompt"))
    return AuthorizationParameters(
        scope=_scope(request.get("scope")),
        state=request.state,
        nonce=request.get("nonce"),
        prompt=prompt,
        max_age=_max_age(request.get("max_age")),
        login_hint=request.get("login_hint") or "",
        ui_locales=request.get("ui_locales") or "",
        id_token_hint=request.get("id_token_hint"),
        claims=_claims(request.get("claims")),
        code_challenge=_code_challenge(request),
        audience=request.get("audience"),
        resource=request.get("resource"),
        acr_values=tuple((request.get("acr_values") or "").split()),
        dpop_jkt=_dpop_jkt(request.get("dpop_jkt")),
        organization=_organization(request),
        invitation=request.get("invitation"),
        address_proved=ADDRESS_PROVED in request.values,
        screen_hint=request.get("screen_hint"),
        connection=request.get("connection"),
    )


def _check_form(request: Sent) -> None:
    if "resource" in request.repeated:
        raise InvalidTarget(ONE_RESOURCE)
    if request.repeated:
        raise InvalidRequest(f"A parameter was sent more than once: {', '.join(sorted(request.repeated))}.")
    for name, value in request.values.items():
        if _is_too_long(name, value):
            raise InvalidRequest(f"The parameter {name} is too long.")


def _is_too_long(name: str, value: str) -> bool:
    return len(value) > MAX_LENGTHS.get(name, MAX_LENGTH)


def _scope(value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    scopes = tuple(dict.fromkeys(part for part in value.split(" ") if part))
    if len(scopes) > MAX_SCOPES or not all(map(_SCOPE_VALUE.fullmatch, scopes)):
        raise InvalidScope("The scope is malformed or too long.")
    return scopes


def _prompt(value: str | None) -> frozenset[str]:
    prompts = frozenset((value or "").split())
    if not prompts <= PROMPTS:
        raise InvalidRequest("The prompt is unknown.")
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequest("The prompt none stands alone.")
    return prompts


def _max_age(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_AGE_DIGITS):
        raise InvalidRequest("The parameter max_age must be a number of seconds.")
    return int(value)


def _claims(value: str | None) -> Mapping[str, Any] | None:
    """OpenID Connect Core 1.0, section 5.5. Members of other names are ignored, as it asks."""
    if value is None:
        return None
    try:
        members = msgspec.json.decode(value, type=dict[str, Any])
        return {
            place: msgspec.convert(members[place] or {}, dict[str, dict[str, Any] | None])
            for place in PLACES
            if place in members
        }
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise InvalidRequest("The parameter claims is malformed.") from None


def _code_challenge(request: Sent) -> str | None:
    """S256 only: `plain`, also by leaving the method out, would show the verifier (RFC 9700 section 2.1.1)."""
    challenge, method = request.get("code_challenge"), request.get("code_challenge_method")
    if challenge is None and method is None:
        return None
    if method != "S256":
        raise InvalidRequest("The code_challenge_method must be S256.")
    if challenge is None or not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("The code_challenge must be 43 to 128 characters of base64url.")
    return challenge


def _dpop_jkt(value: str | None) -> str | None:
    """RFC 9449 section 10: a SHA-256 thumbprint."""
    if value is not None and not _THUMBPRINT.fullmatch(value):
        raise InvalidRequest("The dpop_jkt must be the SHA-256 thumbprint of a key.")
    return value


def _organization(request: Sent) -> str | None:
    organization = request.get("organization")
    if organization is None and request.get("invitation") is not None:
        raise InvalidRequest(INVALID_INVITATION)
    if organization is not None and not organization.strip():
        raise InvalidRequest("The parameter organization is empty.")
    return organization
