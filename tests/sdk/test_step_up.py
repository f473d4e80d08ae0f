"""RFC 9470: a good token whose person must log in again, more strongly or more lately."""

import time
from typing import Any

import httpx
import pytest
from litestar import Litestar, get

from keystead_sdk import (
    AuthenticationInsufficient,
    Misused,
    ProofOfPossession,
    require_authentication,
)
from keystead_sdk.litestar import KeysteadPlugin
from keystead_sdk.litestar import require_authentication as requires
from keystead_sdk.testing import FakeIssuer, KeyHolder

pytestmark = pytest.mark.anyio

STRONG, STRONGER = "urn:example:mfa", "urn:example:phr"
NOW = 1_800_000_000


@pytest.fixture(scope="module")
def issuer() -> FakeIssuer:
    return FakeIssuer()


async def ask(issuer: FakeIssuer, token: dict[str, Any], **wanted: Any) -> None:
    principal = await issuer.verifier().verify(issuer.token(**token))
    require_authentication(principal, now=NOW, **wanted)


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        ({"acr": STRONG}, {"acr_values": [STRONG]}),
        ({"acr": STRONGER}, {"acr_values": [STRONG, STRONGER]}),
        ({"auth_time": NOW - 300}, {"max_age": 300}),
        ({"auth_time": NOW}, {"max_age": 0}),
        ({"acr": STRONG, "auth_time": NOW - 10}, {"acr_values": [STRONG], "max_age": 60}),
    ],
)
async def test_what_was_asked_for_is_enough(
    issuer: FakeIssuer, token: dict[str, Any], wanted: dict[str, Any]
) -> None:
    await ask(issuer, token, **wanted)


@pytest.mark.parametrize(
    ("token", "wanted", "told"),
    [
        ({}, {"acr_values": [STRONG]}, f'acr_values="{STRONG}"'),
        ({"acr": "1"}, {"acr_values": [STRONG, STRONGER]}, f'acr_values="{STRONG} {STRONGER}"'),
        ({"acr": [STRONG]}, {"acr_values": [STRONG]}, f'acr_values="{STRONG}"'),
        ({"auth_time": NOW - 301}, {"max_age": 300}, 'max_age="300"'),
        ({}, {"max_age": 300}, 'max_age="300"'),
        ({"auth_time": True}, {"max_age": 300}, 'max_age="300"'),
        ({"auth_time": str(NOW)}, {"max_age": 300}, 'max_age="300"'),
        ({"acr": STRONG, "auth_time": 0}, {"acr_values": [STRONG], "max_age": 9}, 'max_age="9"'),
        (
            {"acr": "1", "auth_time": NOW},
            {"acr_values": [STRONG], "max_age": 9},
            f'acr_values="{STRONG}", max_age="9"',
        ),
    ],
)
async def test_what_is_missing_is_named(
    issuer: FakeIssuer, token: dict[str, Any], wanted: dict[str, Any], told: str
) -> None:
    with pytest.raises(AuthenticationInsufficient) as caught:
        await ask(issuer, token, **wanted)
    found = caught.value.challenge()
    assert (caught.value.status, caught.value.code) == (401, "insufficient_user_authentication")
    assert found.startswith('Bearer error="insufficient_user_authentication", error_description="')
    assert found.endswith(told)


@pytest.mark.parametrize(
    "wanted", [{}, {"acr_values": "one"}, {"acr_values": ['a"b']}, {"acr_values": ["a b"]}, {"max_age": -1}]
)
def test_mistakes_are_found_at_the_start(wanted: dict[str, Any]) -> None:
    with pytest.raises(Misused):
        requires(**wanted)


@get("/transfer", guards=[requires(acr_values=[STRONG], max_age=300)])
async def transfer() -> str:
    return "done"


async def test_a_route_can_need_a_stronger_login(issuer: FakeIssuer) -> None:
    holder = KeyHolder()
    verifier = issuer.verifier(dpop=ProofOfPossession(origins=["https://api.test"]))
    app = Litestar([transfer], plugins=[KeysteadPlugin(verifier)], logging_config=None)
    transport = httpx.ASGITransport(app=app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="https://api.test") as client:
        weak = await client.get("/transfer", headers=issuer.headers(acr="1", auth_time=int(time.time())))
        assert (weak.status_code, weak.json()["error"]) == (401, "insufficient_user_authentication")
        told = weak.headers["WWW-Authenticate"]
        assert told.startswith('Bearer error="insufficient_user_authentication"')
        assert told.endswith(f'acr_values="{STRONG}", max_age="300"')
        strong = issuer.headers(acr=STRONG, auth_time=int(time.time()))
        assert (await client.get("/transfer", headers=strong)).text == "done"
        url, bound = "https://api.test/transfer", issuer.token(cnf=holder.cnf)
        again = await client.get("/transfer", headers=holder.headers(bound, "GET", url))
        assert again.headers["WWW-Authenticate"].startswith('DPoP error="insufficient_user_authentication"')
