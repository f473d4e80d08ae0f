"""Authlib's client, as it comes from PyPI: log in, call, refresh, switch, give back; it trusts nothing unchecked."""

import httpx
import httpx2
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from entrypoints.demo_content import CALLBACK
from tests.clients.conftest import Served

pytestmark = pytest.mark.anyio
SCOPE = "openid profile email offline_access read:invoices"


class _OurWay(httpx2.AsyncBaseTransport):
    """Authlib takes the successor of our HTTP library where it is installed."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = httpx.Request(
            request.method, str(request.url), headers=request.headers.raw, content=await request.aread()
        )
        answer = await self._http._transport.handle_async_request(asked)
        content = b"".join([part async for part in answer.aiter_raw()])
        return httpx2.Response(answer.status_code, headers=answer.headers.raw, content=content)


def client_of(served: Served, http: httpx.AsyncClient, name: str = "web") -> AsyncOAuth2Client:
    chosen = served.tenant.clients[name]
    method = "client_secret_post" if chosen.client_secret else "none"
    return AsyncOAuth2Client(
        chosen.client_id,
        chosen.client_secret,
        token_endpoint_auth_method=method,
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        transport=_OurWay(http),
    )


async def metadata_of(served: Served, http: httpx.AsyncClient) -> dict[str, str]:
    answer = await http.get(f"{served.tenant.issuer}.well-known/openid-configuration")
    return dict(answer.json())


async def checked(
    served: Served, http: httpx.AsyncClient, id_token: str, nonce: str | None
) -> dict[str, object]:
    keys = (await http.get((await metadata_of(served, http))["jwks_uri"])).json()
    token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=["RS256"])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": served.tenant.issuer},
        aud={"essential": True, "value": served.tenant.clients["web"].client_id},
        nonce={"essential": nonce is not None, "value": nonce},
    ).validate(token.claims)
    return dict(token.claims)


async def test_a_whole_session_with_a_switch_of_organization(served: Served, http: httpx.AsyncClient) -> None:
    metadata = await metadata_of(served, http)
    client, verifier, nonce = client_of(served, http), generate_token(48), generate_token(20)
    north, south = served.tenant.organizations[:2]
    address, state = client.create_authorization_url(
        metadata["authorization_endpoint"],
        code_verifier=verifier,
        nonce=nonce,
        audience=served.tenant.api_audience,
        organization=north.id,
    )
    answer = await served.sign_in(address, stops=(CALLBACK,))
    assert (answer["state"], answer["iss"]) == (state, served.tenant.issuer)
    landed = f"{CALLBACK}?{httpx.QueryParams(answer)}"
    tokens = await client.fetch_token(
        metadata["token_endpoint"], authorization_response=landed, state=state, code_verifier=verifier
    )
    claims = await checked(served, http, tokens["id_token"], nonce)
    assert claims["org_id"] == north.id
    told = await client.get(metadata["userinfo_endpoint"])
    assert told.json()["sub"] == claims["sub"]

    switched = await client.refresh_token(
        metadata["token_endpoint"], tokens["refresh_token"], body=f"organization={south.id}"
    )
    assert (await checked(served, http, switched["id_token"], None))["org_id"] == south.id
    seen = await client.introspect_token(metadata["introspection_endpoint"], switched["access_token"])
    assert (seen.json()["active"], seen.json()["org_id"]) == (True, south.id)
    assert (
        await client.revoke_token(metadata["revocation_endpoint"], switched["refresh_token"])
    ).status_code == 200
    seen = await client.introspect_token(metadata["introspection_endpoint"], switched["access_token"])
    assert seen.json() == {"active": False}


async def test_a_machine(served: Served, http: httpx.AsyncClient) -> None:
    metadata = await metadata_of(served, http)
    client = client_of(served, http)
    client.scope = "read:invoices"
    token = await client.fetch_token(
        metadata["token_endpoint"], grant_type="client_credentials", audience=served.tenant.api_audience
    )
    assert (token["token_type"], token["scope"]) == ("Bearer", "read:invoices")
