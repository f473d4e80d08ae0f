"""auth0-python from PyPI, pointed at a tenant by its domain alone."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest
from auth0.authentication import GetToken, RevokeToken, Users
from auth0.authentication.exceptions import Auth0Error
from auth0.authentication.pushed_authorization_requests import PushedAuthorizationRequests
from auth0.authentication.token_verifier import AsymmetricSignatureVerifier, TokenVerifier

from entrypoints.demo_content import CALLBACK
from tests.clients.conftest import Served
from tests.relying_party import challenge, payload

pytestmark = pytest.mark.anyio
SCOPE = "openid profile email offline_access read:invoices"
VERIFIER = "v" * 64
PKCE = ("code_challenge", "code_challenge_method")


def domain(served: Served) -> str:
    return served.tenant.issuer.removeprefix("https://").rstrip("/")


def get_token(served: Served, client: str = "web", **options: Any) -> GetToken:
    chosen = served.tenant.clients[client]
    return GetToken(domain(served), chosen.client_id, chosen.client_secret, **options)


def parameters(served: Served, **changes: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": served.tenant.clients["web"].client_id,
        "redirect_uri": CALLBACK,
        "scope": SCOPE,
        "audience": served.tenant.api_audience,
        "nonce": "n-1",
        "state": "s-1",
        "code_challenge": challenge(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }


async def code_for(served: Served, asked: dict[str, str]) -> str:
    landed = await served.sign_in(f"{served.tenant.issuer}authorize?{urlencode(asked)}", stops=(CALLBACK,))
    return landed["code"]


async def test_a_whole_session(served: Served) -> None:
    tokens_of, south = get_token(served, "spa"), served.tenant.organizations[1]
    code = await code_for(served, parameters(served, client_id=tokens_of.client_id, organization=south.id))
    tokens = await asyncio.to_thread(tokens_of.authorization_code_pkce, VERIFIER, code, CALLBACK)
    verifier = TokenVerifier(
        AsymmetricSignatureVerifier(f"{served.tenant.issuer}.well-known/jwks.json"),
        served.tenant.issuer,
        tokens_of.client_id,
    )
    claims = await asyncio.to_thread(
        lambda: verifier.verify(tokens["id_token"], nonce="n-1", organization=south.id)
    )
    person = await asyncio.to_thread(Users(domain(served)).userinfo, tokens["access_token"])
    assert person["sub"] == claims["sub"]
    again = await asyncio.to_thread(tokens_of.refresh_token, tokens["refresh_token"])
    assert payload(again["access_token"])["org_id"] == south.id
    await asyncio.to_thread(
        RevokeToken(domain(served), tokens_of.client_id).revoke_refresh_token, again["refresh_token"]
    )
    with pytest.raises(Auth0Error) as refused:
        await asyncio.to_thread(tokens_of.refresh_token, again["refresh_token"])
    assert refused.value.error_code == "invalid_grant"


async def test_a_machine(served: Served) -> None:
    token = await asyncio.to_thread(get_token(served).client_credentials, served.tenant.api_audience)
    assert payload(token["access_token"])["aud"] == served.tenant.api_audience


async def test_a_pushed_request(served: Served) -> None:
    """This client knows no PKCE with a secret, so the application goes without."""
    web = served.tenant.clients["web"]
    async with served.http() as http:
        await (await served.manager(http)).patch(f"/clients/{web.client_id}", {"require_pkce": False})
    pushing = PushedAuthorizationRequests(domain(served), web.client_id, web.client_secret)
    asked = {
        name: value
        for name, value in parameters(served).items()
        if name not in ("response_type", "redirect_uri", "client_id", *PKCE)
    }
    pushed = await asyncio.to_thread(lambda: pushing.pushed_authorization_request("code", CALLBACK, **asked))
    code = await code_for(served, {"client_id": web.client_id, "request_uri": pushed["request_uri"]})
    tokens = await asyncio.to_thread(get_token(served).authorization_code, code, CALLBACK)
    assert payload(tokens["id_token"])["nonce"] == "n-1"
