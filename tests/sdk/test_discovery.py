"""When keys are fetched, from where, and what happens when they cannot be."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from keystead_sdk import DiscoveredKeys, KeySet, KeysUnavailable, TokenInvalid, TokenVerifier
from keystead_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio
START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> FakeIssuer:
    return FakeIssuer("https://acme.example.com/", clock=clock)


def key_fetches(issuer: FakeIssuer) -> int:
    return sum(address.endswith("jwks.json") for address in issuer.fetched)


async def test_keys_are_fetched_once_for_many_who_wait(issuer: FakeIssuer) -> None:
    verifier, token = issuer.verifier(), issuer.token()
    await asyncio.gather(*(verifier.verify(token) for _ in range(50)))
    assert key_fetches(issuer) == 1


async def test_a_rotated_key_is_found_and_a_removed_one_forgotten(issuer: FakeIssuer, clock: Clock) -> None:
    verifier, old = issuer.verifier(), issuer.token()
    await verifier.verify(old)
    clock.now += 31
    issuer.rotate()
    await verifier.verify(issuer.token())
    await verifier.verify(old)
    assert key_fetches(issuer) == 2
    clock.now += 31
    issuer.rotate(keep=False)
    await verifier.verify(issuer.token())
    with pytest.raises(TokenInvalid):
        await verifier.verify(old)


async def test_unknown_keys_cause_no_storm_of_fetches(issuer: FakeIssuer, clock: Clock) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.token())
    issuer.rotate()
    for second in range(90):
        clock.now = START + second
        token = issuer.sign(
            {"alg": "ES256", "typ": "at+jwt", "kid": f"made-up-{second}"}, good(issuer, clock)
        )
        with pytest.raises(TokenInvalid):
            await verifier.verify(token)
    assert key_fetches(issuer) == 3


async def test_keys_are_asked_for_again_when_old(issuer: FakeIssuer, clock: Clock) -> None:
    verifier = issuer.verifier()
    for later in (0, 599, 601, 1199, 1202):
        clock.now = START + later
        await verifier.verify(issuer.token())
    assert key_fetches(issuer) == 3


async def test_held_keys_outlive_an_issuer_that_is_away_but_not_for_ever(clock: Clock) -> None:
    issuer, away = FakeIssuer(clock=clock), False

    async def fetch(address: str) -> bytes:
        if away:
            raise OSError("unreachable")
        return await issuer.fetch(address)

    verifier = issuer.verifier(fetch=fetch)
    await verifier.verify(issuer.token())
    away = True
    clock.now += 3600
    await verifier.verify(issuer.token())
    clock.now += 86_400
    with pytest.raises(KeysUnavailable):
        await verifier.verify(issuer.token())
    away = False
    clock.now += 30
    await verifier.verify(issuer.token())


async def test_keys_that_were_fetched_while_the_clock_was_ahead_are_old_and_not_useless(clock: Clock) -> None:
    issuer, away = FakeIssuer(clock=clock), False

    async def fetch(address: str) -> bytes:
        if away:
            raise OSError("unreachable")
        return await issuer.fetch(address)

    verifier = issuer.verifier(fetch=fetch)
    for _ in range(2):
        clock.now += 3653 * 86_400
        away = False
        await verifier.verify(issuer.token())
        clock.now = START
        before, token = key_fetches(issuer), issuer.token()
        away = True
        await verifier.verify(token)
        assert key_fetches(issuer) == before
        away = False
        clock.now += 31
        issuer.rotate(keep=False)
        await verifier.verify(issuer.token())
        with pytest.raises(TokenInvalid):
            await verifier.verify(token)
        clock.now = START + 700


async def test_an_issuer_never_reached_is_tried_again_soon(clock: Clock) -> None:
    issuer, tries = FakeIssuer(clock=clock), 0

    async def fetch(address: str) -> bytes:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("unreachable")
        return await issuer.fetch(address)

    verifier = issuer.verifier(fetch=fetch)
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(issuer.token())
    assert tries == 1
    clock.now += 5
    await verifier.verify(issuer.token())


async def test_a_caller_that_goes_away_does_not_take_the_fetch_along(clock: Clock) -> None:
    issuer, gate = FakeIssuer(clock=clock), asyncio.Event()

    async def fetch(address: str) -> bytes:
        await gate.wait()
        return await issuer.fetch(address)

    verifier = issuer.verifier(fetch=fetch)
    first, second = (asyncio.create_task(verifier.verify(issuer.token())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert (await second).subject
    with pytest.raises(asyncio.CancelledError):
        await first


METADATA: list[dict[str, Any]] = [
    {"issuer": "https://acme.example.com", "jwks_uri": "https://acme.example.com/.well-known/jwks.json"},
    {"issuer": "https://acme.example.com/", "jwks_uri": "https://evil.test/.well-known/jwks.json"},
    {"issuer": "https://acme.example.com/", "jwks_uri": "http://acme.example.com/.well-known/jwks.json"},
    {
        "issuer": "https://acme.example.com/",
        "jwks_uri": "https://acme.example.com:8443/.well-known/jwks.json",
    },
    {"issuer": "https://acme.example.com/", "jwks_uri": "https://u@acme.example.com/.well-known/jwks.json"},
    {"issuer": "https://acme.example.com/", "jwks_uri": "file:///etc/passwd"},
    {"issuer": "https://acme.example.com/", "jwks_uri": ["https://acme.example.com/.well-known/jwks.json"]},
    {"issuer": "https://acme.example.com/"},
    {"issuer": "https://acme.example.com/", "jwks_uri": "https://acme.example.com/jwks", "x": "y" * 300_000},
]


@pytest.mark.parametrize("metadata", METADATA)
async def test_metadata_of_another_issuer_or_keys_of_elsewhere_are_not_used(
    issuer: FakeIssuer, metadata: dict[str, Any]
) -> None:
    async def fetch(address: str) -> bytes:
        if address.endswith("openid-configuration"):
            return json.dumps(metadata).encode()
        return json.dumps(issuer.jwks()).encode()

    with pytest.raises(KeysUnavailable):
        await issuer.verifier(fetch=fetch).verify(issuer.token())


async def test_keys_may_be_kept_at_another_origin_when_that_is_allowed(issuer: FakeIssuer) -> None:
    async def fetch(address: str) -> bytes:
        if address == "https://keys.example.net/acme":
            return json.dumps(issuer.jwks()).encode()
        return json.dumps({"issuer": issuer.issuer, "jwks_uri": "https://keys.example.net/acme"}).encode()

    await issuer.verifier(fetch=fetch, key_origins=["https://keys.example.net"]).verify(issuer.token())


@pytest.mark.parametrize(
    "address", ["http://acme.example.com/", "ftp://acme.example.com/", "acme", "https://"]
)
async def test_issuers_without_tls_are_not_asked(clock: Clock, address: str) -> None:
    issuer = FakeIssuer(address, clock=clock)
    with pytest.raises(KeysUnavailable):
        await issuer.verifier().verify(issuer.token())
    assert issuer.fetched == []


async def test_the_local_machine_needs_no_tls(clock: Clock) -> None:
    issuer = FakeIssuer("http://acme.localhost:8000/", clock=clock)
    await issuer.verifier().verify(issuer.token())


async def test_the_number_of_issuers_remembered_is_bounded(clock: Clock) -> None:
    issuers = {
        f"https://{n}.example.com/": FakeIssuer(f"https://{n}.example.com/", clock=clock) for n in range(5)
    }

    async def fetch(address: str) -> bytes:
        return await issuers[address.partition(".well-known")[0]].fetch(address)

    source = DiscoveredKeys(fetch=fetch, clock=clock, max_issuers=3)
    for address, issuer in [*issuers.items(), *reversed(issuers.items())]:
        await source.keys(address, issuer.key.kid or "")
    assert [key_fetches(issuer) for issuer in issuers.values()] == [2, 2, 1, 1, 1]


async def test_over_http_redirects_and_endless_answers_are_refused(issuer: FakeIssuer, clock: Clock) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield b" " * 8192
            sent.append(1)

    sent: list[int] = []
    answers = [
        httpx.Response(302, headers={"Location": "http://169.254.169.254/"}),
        httpx.Response(500),
        httpx.Response(200, content=endless()),
    ]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answers.pop(0)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
        verifier = issuer.verifier(client=client, fetch=None)
        for _ in range(3):
            with pytest.raises(KeysUnavailable):
                await verifier.verify(issuer.token())
            clock.now += 5
    assert asked == ["https://acme.example.com/.well-known/openid-configuration"] * 3
    assert len(sent) < 50


async def test_over_http_a_token_is_verified(issuer: FakeIssuer, clock: Clock) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=await issuer.fetch(str(request.url)))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        verifier = TokenVerifier(issuer=issuer.issuer, audience=issuer.audience, client=client, clock=clock)
        assert (await verifier.verify(issuer.token())).issuer == issuer.issuer


def test_keys_that_must_not_verify_are_left_out(issuer: FakeIssuer) -> None:
    good_key = issuer.jwks()["keys"][0]
    with pytest.warns(UserWarning, match="2048"):
        weak = RSAKey.generate_key(1024, auto_kid=True)
    members = [
        {**OctKey.generate_key(256).as_dict(), "kid": "symmetric"},
        {**good_key, "kid": "encrypts", "use": "enc"},
        {**good_key, "kid": "private", "d": "AAAA"},
        {**good_key, "kid": "off-curve", "x": good_key["y"], "y": good_key["x"]},
        {**good_key, "kid": "wrong-algorithm", "alg": "RS256"},
        {**good_key, "kid": "twice"},
        {**good_key, "kid": "twice"},
        {**good_key, "kid": ["a"]},
        {**weak.as_dict(private=False), "kid": "weak"},
        {"kty": "RSA", "kid": "empty"},
        {"kty": "EC", "crv": {}, "kid": "odd"},
        "text",
        good_key,
    ]
    keys = KeySet.from_jwks({"keys": members})
    assert len(keys) == 1
    assert keys.find(good_key["kid"], "ES256") is not None
    assert keys.find(good_key["kid"], "RS256") is None


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": "x"}, {"keys": [{}] * 101}])
def test_a_document_that_is_no_key_set_is_an_error(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="key set"):
        KeySet.from_jwks(document)


def good(issuer: FakeIssuer, clock: Clock) -> dict[str, Any]:
    now = int(clock.now)
    return {"iss": issuer.issuer, "sub": "s", "aud": issuer.audience, "iat": now, "exp": now + 60}
