"""What the Dynamic OP plan has beyond Basic and Config, against all tenants at once: each registers its own client."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from core.settings import Settings
from entrypoints.demo_content import Demo
from entrypoints.network import Api, client_credentials
from tests.conformance.conftest import Module, Suite, copied_suite
from tests.conformance.op import CALLBACK, CALLBACK_WITH_QUERY, Client, Op
from tests.conformance.shared_checks import check_signature, check_token_answer
from tests.elsewhere import Elsewhere, elsewhere
from tests.relying_party import challenge

pytestmark = pytest.mark.anyio

VERIFIER = "v" * 64
PKCE = {"code_challenge": challenge(VERIFIER), "code_challenge_method": "S256"}
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[Elsewhere]:
    """Where the clients publish their keys, sectors and requests."""
    async with elsewhere() as made:
        yield made


@pytest.fixture(scope="module")
async def open_suite(
    secure: tuple[Path, Settings, Demo], site: Elsewhere, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Suite]:
    golden, settings, demo = secure
    allowed = replace(settings, outbound_allowed=frozenset({site.host}))
    async with copied_suite((golden, allowed, demo), tmp_path_factory.mktemp("dynamic")) as suite:
        operator = await suite.installation.operator()
        await operator.patch("/tenants/settings", {"client_registration": {"mode": "open"}})
        for tenant_id in ("acme", "globex"):
            api = await suite.installation.manager(tenant_id)
            await api.patch("/tenants/settings", {"client_registration": {"mode": "open"}})
        yield suite


@pytest.fixture(autouse=True)
def _site(site: Elsewhere) -> None:
    global SITE
    SITE = site


SITE: Elsewhere


async def ask(op: Op, **members: Any) -> httpx.Response:
    body = {"redirect_uris": [CALLBACK], **members}
    return await op.http.post(op.metadata["registration_endpoint"], json=body)


async def registered(op: Op, **members: Any) -> Client:
    answer = await ask(op, **members)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return Client(body["client_id"], body.get("client_secret", ""), body["token_endpoint_auth_method"])


async def code(op: Op, client: Client, **changes: str | None) -> str:
    """Signs in and consents where that is asked."""
    await op.open(client, **{**PKCE, **changes})
    if op.page is not None and 'name="email"' in op.page:
        await op.log_in()
    if op.page is not None:
        await op.browser.submit(button=("decision", "allow"))
    return op.landed()["code"]


async def tokens(op: Op, client: Client) -> dict[str, Any]:
    return check_token_answer(await op.redeem(await code(op, client), client, code_verifier=VERIFIER))


async def idtoken_rs256(op: Op) -> None:
    client = await registered(op, id_token_signed_response_alg="RS256")
    await op.id_claims(await tokens(op, client), client, algorithms=("RS256",))


async def userinfo_rs256(op: Op) -> None:
    """Signed userinfo has `iss`, `aud` and the content type of a JWT."""
    client = await registered(op, userinfo_signed_response_alg="RS256")
    body = await tokens(op, client)
    answer = await op.userinfo(body["access_token"])
    assert answer.headers["content-type"].startswith("application/jwt")
    claims = check_signature(answer.text, await op.keys(), ("RS256",))
    assert (claims["iss"], claims["aud"]) == (op.issuer, client.client_id)
    assert claims["sub"] == (await op.id_claims(body, client))["sub"]


async def redirect_uri_must_be_named(op: Op) -> None:
    """`ensure-redirect-uri-in-authorization-request`, `redirect-uri-query-…`."""
    client = await registered(op, redirect_uris=[CALLBACK, CALLBACK_WITH_QUERY])
    for address in (None, f"{CALLBACK}?foo=baz", f"{CALLBACK_WITH_QUERY}&a=b"):
        answer = await op.open(client, redirect_uri=address, **PKCE)
        assert (op.browser.landed, answer.status_code) == (None, 400)


async def redirect_uri_regfrag(op: Op) -> None:
    answer = await ask(op, redirect_uris=[f"{CALLBACK}#fragment"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


async def registration_links(op: Op) -> None:
    """`registration-logo-uri`, `-policy-uri`, `-tos-uri`: kept, and shown where people sign in."""
    links = {
        name: f"https://rp.example.net/{name}" for name in ("logo_uri", "policy_uri", "tos_uri", "client_uri")
    }
    client = await registered(op, client_name="A registered client", **links)
    await op.open(client, **PKCE)
    assert op.page is not None
    for name in ("logo_uri", "policy_uri", "tos_uri"):
        assert links[name] in op.page


async def registration_jwks_uri(op: Op) -> None:
    """And `refresh-token-rp-key-rotation`, `ensure-client-assertion-with-iss-aud-succeeds`."""
    first, second = (RSAKey.generate_key(2048, {"kid": name, "use": "sig"}) for name in ("one", "two"))
    path = f"/{secrets.token_hex(4)}.json"
    address = SITE.put(path, {"keys": [first.as_dict(private=False)]})
    client = await registered(
        op,
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=address,
        grant_types=["authorization_code", "refresh_token"],
    )
    made = await code(op, client, scope="openid offline_access")
    form = {"grant_type": "authorization_code", "code": made, "redirect_uri": CALLBACK}
    body = check_token_answer(await signed(op, client, first, code_verifier=VERIFIER, **form))
    SITE.put(path, {"keys": [second.as_dict(private=False)]})
    await op.advance(60)
    again = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    check_token_answer(await signed(op, client, second, **again))
    assert (await signed(op, client, RSAKey.generate_key(2048, {"kid": "two"}), **again)).status_code == 401


async def signed(op: Op, client: Client, key: RSAKey, **form: str) -> httpx.Response:
    now = int(op.clock.now())
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": op.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(12),
    }
    assertion = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
    proof = {"client_assertion_type": ASSERTION, "client_assertion": assertion}
    return await op.http.post(op.metadata["token_endpoint"], data={**form, **proof})


async def registration_sector(op: Op) -> None:
    """`registration-sector-uri`, `-sector-bad`: the document lists every redirect address."""
    good = SITE.put(f"/{secrets.token_hex(4)}.json", [CALLBACK])
    bad = SITE.put(f"/{secrets.token_hex(4)}.json", ["https://rp.example.net/elsewhere"])
    assert (await ask(op, sector_identifier_uri=good)).status_code == 201
    answer = await ask(op, sector_identifier_uri=bad)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def request_uri_signed_rs256(op: Op) -> None:
    """`request-uri-signed-rs256`; the unsigned one is refused."""
    key = RSAKey.generate_key(2048, {"kid": "request", "use": "sig"})
    path, unsigned_path = (f"/{secrets.token_hex(4)}.jwt" for _ in range(2))
    addresses = [SITE.address(path), SITE.address(unsigned_path)]
    client = await registered(
        op,
        jwks={"keys": [key.as_dict(private=False)]},
        token_endpoint_auth_method="private_key_jwt",
        request_uris=addresses,
    )
    op.address(client)
    inside = {
        "client_id": client.client_id,
        "iss": client.client_id,
        "aud": op.issuer,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": op.state,
        **PKCE,
    }
    kind = {"content_type": "application/oauth-authz-req+jwt"}
    SITE.put(path, jwt.encode({"alg": "RS256", "kid": "request"}, inside, key).encode(), **kind)
    SITE.put(unsigned_path, b"eyJhbGciOiJub25lIn0.e30.", **kind)
    state = op.state
    for address in addresses:
        sent = {"client_id": client.client_id, "request_uri": address}
        answer = await op.browser.open(f"{op.metadata['authorization_endpoint']}?{httpx.QueryParams(sent)}")
        if address == addresses[1]:
            assert (op.browser.landed, answer.status_code) == (None, 400)
            continue
        await op.log_in()
        await op.browser.submit(button=("decision", "allow"))
        op.state = state
        assert "code" in op.landed()


MODULES = (
    idtoken_rs256, userinfo_rs256, redirect_uri_must_be_named, redirect_uri_regfrag, registration_links,
    registration_jwks_uri, registration_sector, request_uri_signed_rs256,
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
async def test_dynamic(open_suite: Suite, module: Module) -> None:
    await open_suite.run(module)


async def test_server_rotate_keys(open_suite: Suite) -> None:
    """`server-rotate-keys`: the set has the new key and still the old one, and what was signed still verifies."""

    async def rotate(op: Op) -> None:
        client = await registered(op)
        before, body = await op.keys(), await tokens(op, client)
        demo = open_suite.installation.demo
        place = next(place for place in (demo.control_plane, *demo.tenants) if place.issuer == op.issuer)
        machine = place.clients["m2m"]
        token = await client_credentials(
            op.http, op.issuer, machine.client_id, machine.client_secret or "", place.management_audience
        )
        await Api(op.http, f"{op.issuer}api/v2", token).post("/keys/signing/rotate", {"immediately": True})
        after = await op.keys()
        kids = [{key["kid"] for key in keys["keys"]} for keys in (before, after)]
        assert kids[0] < kids[1]
        await op.id_claims(body, client)
        await op.id_claims(await tokens(op, client), client)

    await open_suite.run(rotate)
