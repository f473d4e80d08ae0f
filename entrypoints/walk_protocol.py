"""What the walk shows of the newer protocols: a pushed request, a bound token, introspection, a rotated key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from entrypoints.demo_content import DemoClient
from entrypoints.network import Api, ApiError, client_credentials
from keystead_sdk.testing import KeyHolder

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Of one issuer, as a client talks to it."""

    http: httpx.AsyncClient
    issuer: str

    async def push(self, request: Mapping[str, str]) -> str:
        """RFC 9126: the whole request goes from server to server; the browser carries a reference."""
        answer = await self.http.post(f"{self.issuer}oauth/par", data=dict(request))
        return str(_good(answer)["request_uri"])

    async def redeem_bound(self, holder: KeyHolder, form: Mapping[str, str]) -> str:
        """RFC 9449: the access token, bound to the holder's key."""
        tokens = _good(await self._proven(holder, "POST", "oauth/token", None, data=dict(form)))
        expect(tokens["token_type"] == "DPoP", f"the token is of the type {tokens['token_type']}")
        return str(tokens["access_token"])

    async def ask_bound(self, holder: KeyHolder, token: str, path: str) -> httpx.Response:
        return await self._proven(holder, "GET", path, token)

    async def _proven(
        self, holder: KeyHolder, method: str, path: str, token: str | None, **options: Any
    ) -> httpx.Response:
        """Sent again with the nonce that the first answer asks for; each issuer has its own."""
        url = f"{self.issuer}{path}"
        holder.nonce = None
        answer = await self.http.request(method, url, headers=_headers(holder, method, url, token), **options)
        holder.nonce = answer.headers.get("dpop-nonce")
        if answer.is_success or holder.nonce is None:
            return answer
        return await self.http.request(method, url, headers=_headers(holder, method, url, token), **options)

    async def introspect(self, client: DemoClient, token: str) -> dict[str, Any]:
        """RFC 7662: the holder of the token asks whether it is good at this moment."""
        form = {"token": token, "client_id": client.client_id, "client_secret": client.client_secret or ""}
        return _good(await self.http.post(f"{self.issuer}oauth/introspect", data=form))


async def rotate_a_key(api: Api, endpoints: Endpoints, audience: str, say: Say) -> None:
    """A token that the old key signed stays good; the next one is signed by the new key."""
    client = await _program(api, audience)
    old = await _token(endpoints, client, audience)
    await api.post("/keys/signing/rotate", {"immediately": True})
    told = await endpoints.introspect(client, old)
    expect(told["active"], "the token that the old key signed is no longer good")
    new = await _token(endpoints, client, audience)
    expect(_key_id(old) != _key_id(new), "the new token is signed by the old key")
    say("rotated the tenant's signing key: introspection says that the token from before is good")


async def _program(api: Api, audience: str) -> DemoClient:
    made = await api.post("/clients", {"name": "Walking program", "app_type": "non_interactive"})
    grant = {"client_id": made["client_id"], "audience": audience, "scope": ["read:things"]}
    await api.post("/client-grants", grant)
    return DemoClient(made["client_id"], made["client_secret"])


async def _token(endpoints: Endpoints, client: DemoClient, audience: str) -> str:
    secret = client.client_secret or ""
    return await client_credentials(endpoints.http, endpoints.issuer, client.client_id, secret, audience)


def _key_id(token: str) -> str:
    return token.partition(".")[0]


def _headers(holder: KeyHolder, method: str, url: str, token: str | None) -> dict[str, str]:
    if token is not None:
        return holder.headers(token, method, url)
    return {"DPoP": holder.proof("", method, url, ath=None)}


def _good(answer: httpx.Response) -> dict[str, Any]:
    expect(answer.is_success, f"{answer.url} answered {answer.status_code}: {answer.text}")
    told: dict[str, Any] = answer.json()
    return told


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ApiError(otherwise)
