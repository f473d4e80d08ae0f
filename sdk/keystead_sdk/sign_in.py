"""Signing people in to an application that has a server: the authorization code with PKCE.

`begin` makes an address for the browser and what to remember of it, `finish` checks what the browser brought back and
redeems it, `end` makes the address at which the session is over. The caller keeps what is remembered, and the tokens,
where only this browser's requests find them: `keystead_sdk.litestar_sign_in` does so in an encrypted cookie.

Implements the client's side of RFC 6749 section 4.1, RFC 7636, RFC 9207 and OpenID Connect Core 1.0 section 3.1, with
endpoints from OpenID Connect Discovery 1.0.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import compare_digest, token_urlsafe
from typing import Any
from urllib.parse import urlencode

import httpx

from keystead_sdk.addresses import discovery_address, origin_of
from keystead_sdk.compact import read_segment
from keystead_sdk.discovery import LARGEST_ANSWER
from keystead_sdk.errors import KeysteadError
from keystead_sdk.fetching import HttpFetch
from keystead_sdk.strict_json import read_object

SECONDS = 10.0
LONGEST_ORGANIZATION = 255
"""Of an id or a name: anybody may write one into a link, and it is remembered with every request."""

_random_bytes = 32


class SignInFailed(KeysteadError):
    """`reason` is the issuer's code (`login_required`, `access_denied`), or `invalid_response`."""

    status = 400
    code = "sign_in_failed"

    def __init__(self, description: str, reason: str = "invalid_response") -> None:
        super().__init__(description)
        self.reason = reason


class IssuerUnavailable(KeysteadError):
    status = 503
    code = "temporarily_unavailable"

    def __init__(self) -> None:
        super().__init__("The issuer does not answer at the moment.")


@dataclass(frozen=True, slots=True)
class Begun:
    address: str
    remembered: dict[str, str]


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    id_token: str


class SignIn:
    """`application` is the application's own address; people come back to `callback` below it."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str = "",
        application: str,
        audience: str,
        scope: str = "openid profile email",
        clock: Callable[[], float] = time.time,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        origin_of(application)
        self.application = f"{application.removesuffix('/')}/"
        self._issuer = issuer
        self._credentials = {"client_id": client_id} | (
            {"client_secret": client_secret} if client_secret else {}
        )
        self._audience = audience
        self._scope = scope
        self._clock = clock
        self._client = client
        self._metadata: Mapping[str, Any] = {}

    @property
    def redirect_uri(self) -> str:
        return f"{self.application}callback"

    async def begin(self, organization: str | None = None) -> Begun:
        """With an organization nobody types anything: whoever is signed in changes to it, or `finish` says
        `login_required`."""
        if organization is not None and len(organization) > LONGEST_ORGANIZATION:
            raise SignInFailed("There is no such organization.", "invalid_request")
        state, nonce, verifier = (token_urlsafe(_random_bytes) for _ in range(3))
        asked = {
            "response_type": "code",
            "client_id": self._credentials["client_id"],
            "redirect_uri": self.redirect_uri,
            "scope": self._scope,
            "audience": self._audience,
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        silently = {"organization": organization, "prompt": "none"} if organization else {}
        address = _with_query(await self._endpoint("authorization_endpoint"), asked | silently)
        wanted = {"organization": organization} if organization else {}
        return Begun(address, {"state": state, "nonce": nonce, "verifier": verifier} | wanted)

    async def finish(self, answer: Mapping[str, str], remembered: Mapping[str, str]) -> Tokens:
        """`answer` is the query of the callback. What is remembered is good for one answer: forget it before."""
        state = remembered.get("state", "")
        if not state or not compare_digest(answer.get("state", "").encode(), state.encode()):
            raise SignInFailed("This sign-in was not begun in this browser, or is over.")
        await self._check_issuer(answer)
        if "error" in answer:
            raise SignInFailed(answer.get("error_description") or answer["error"], answer["error"])
        tokens = await self._redeem(answer.get("code", ""), remembered["verifier"])
        self._check_claims(claims_of(tokens.id_token), remembered["nonce"])
        return tokens

    async def end(self, id_token: str) -> str:
        """OpenID Connect RP-Initiated Logout 1.0; from there back to the application."""
        asked = {"id_token_hint": id_token, "post_logout_redirect_uri": self.application}
        return _with_query(await self._endpoint("end_session_endpoint"), asked)

    async def _check_issuer(self, answer: Mapping[str, str]) -> None:
        """RFC 9207: an answer of another issuer would have this one's code sent there, or the other way round."""
        is_promised = (await self._discovered()).get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", "" if is_promised else self._issuer) != self._issuer:
            raise SignInFailed("Another issuer answered.")

    async def _redeem(self, code: str, verifier: str) -> Tokens:
        form = self._credentials | {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self.redirect_uri,
        }
        answer = await self._post(await self._endpoint("token_endpoint"), form)
        access_token, id_token = answer.get("access_token"), answer.get("id_token")
        if isinstance(access_token, str) and isinstance(id_token, str):
            return Tokens(access_token, id_token)
        description, error = answer.get("error_description"), answer.get("error")
        raise SignInFailed(
            str(description or error or "The issuer gave no tokens."), str(error or "invalid_response")
        )

    def _check_claims(self, claims: Mapping[str, Any], nonce: str) -> None:
        """OpenID Connect Core 1.0 section 3.1.3.7. The signature need not be checked (6): the token came from the
        issuer itself, over a connection of ours."""
        audience, expires = claims.get("aud"), claims.get("exp")
        client_id = self._credentials["client_id"]
        if claims.get("iss") != self._issuer or client_id not in (
            audience if isinstance(audience, tuple) else (audience,)
        ):
            raise SignInFailed("The ID token is of another issuer or for another client.")
        if claims.get("azp", client_id) != client_id or claims.get("nonce") != nonce:
            raise SignInFailed("The ID token is not for this sign-in.")
        if not isinstance(expires, int | float) or expires <= self._clock():
            raise SignInFailed("The ID token has expired.")

    async def _endpoint(self, name: str) -> str:
        address = (await self._discovered()).get(name)
        if not isinstance(address, str):
            raise SignInFailed(f"The issuer has no {name}.")
        origin_of(address)
        return address

    async def _discovered(self) -> Mapping[str, Any]:
        """Read once: an issuer's endpoints stay where they are."""
        if not self._metadata:
            try:
                metadata = read_object(
                    await HttpFetch(LARGEST_ANSWER, self._client)(discovery_address(self._issuer))
                )
            except (httpx.HTTPError, ValueError):
                raise IssuerUnavailable from None
            if metadata.get("issuer") != self._issuer:
                raise IssuerUnavailable
            self._metadata = metadata
        return self._metadata

    async def _post(self, address: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            if self._client is not None:
                answer = await self._client.post(address, data=dict(form), timeout=SECONDS)
            else:
                async with httpx.AsyncClient(timeout=SECONDS) as client:
                    answer = await client.post(address, data=dict(form))
            return read_object(answer.content)
        except (httpx.HTTPError, ValueError):
            raise IssuerUnavailable from None


def claims_of(id_token: str) -> Mapping[str, Any]:
    """Of an ID token that `finish` gave: who signed in (`sub`, `name`, `sid`). Anything else is not to be believed."""
    try:
        return read_segment(id_token.split(".")[1])
    except (ValueError, IndexError):
        raise SignInFailed("The ID token cannot be read.") from None


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
