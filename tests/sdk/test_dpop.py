"""RFC 9449 section 7 at an API that uses the SDK: a bound token is its holder's, each proof counts once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency

from keystead_sdk import (
    BadRequest,
    KeysteadError,
    LocalNonces,
    LocalReplays,
    Misused,
    NonceRequired,
    Principal,
    ProofInvalid,
    ProofOfPossession,
    ReplaysFull,
    Shown,
    TokenInvalid,
    TokenMissing,
    TokenVerifier,
)
from keystead_sdk.litestar import KeysteadPlugin, require_permission
from keystead_sdk.testing import FakeIssuer, KeyHolder
from tests.holder import Holder, new_key
from tests.no_proofs import NO_PROOFS_OF_A_TOKEN, Made, Wanted

pytestmark = pytest.mark.anyio

ORIGIN = "https://acme.example.com"
URL = f"{ORIGIN}/invoices"


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> FakeIssuer:
    return FakeIssuer("https://issuer.example.com/", clock=clock)


@pytest.fixture
def holder(clock: Clock) -> Holder:
    return Holder(clock)


@pytest.fixture
def verifier(issuer: FakeIssuer) -> TokenVerifier:
    return issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN]))


def bound(issuer: FakeIssuer, holder: Holder, **claims: Any) -> str:
    return issuer.token(cnf={"jkt": holder.jkt}, **claims)


def shown(
    token: str, *proofs: str, scheme: str = "DPoP", path: str = "/invoices", method: str = "GET"
) -> Shown:
    return Shown(method=method, path=path, authorization=[f"{scheme} {token}"], proofs=proofs)


async def principal(verifier: TokenVerifier, request: Shown) -> Principal:
    return (await verifier.verify_request(request)).principal


async def refused(verifier: TokenVerifier, request: Shown, kind: type[KeysteadError]) -> str:
    with pytest.raises(kind) as caught:
        await verifier.verify_request(request)
    return caught.value.challenge()


# --- Whose token -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
async def test_the_holder_is_let_in(
    verifier: TokenVerifier, issuer: FakeIssuer, clock: Clock, algorithm: str
) -> None:
    holder = Holder(clock, algorithm, new_key(algorithm))
    token = bound(issuer, holder, permissions=["read:invoices"])
    found = await principal(verifier, shown(token, holder.proof("GET", URL, token)))
    assert (found.key_thumbprint, found.scheme) == (holder.jkt, "DPoP")
    assert found.has_permission("read:invoices")


async def test_bearer_tokens_are_taken_as_before(verifier: TokenVerifier, issuer: FakeIssuer) -> None:
    found = await principal(verifier, shown(issuer.token(), scheme="bearer"))
    assert (found.key_thumbprint, found.scheme) == (None, "Bearer")
    assert (await verifier.verify(issuer.token())).key_thumbprint is None


async def test_nobody_else_may_use_it(verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder) -> None:
    token, stranger = bound(issuer, holder), Holder(holder.clock)
    other = await refused(verifier, shown(token, stranger.proof("GET", URL, token)), TokenInvalid)
    assert other.startswith('DPoP error="invalid_token"')
    assert 'algs="ES256 PS256 EdDSA"' in other
    none = await refused(verifier, shown(token), ProofInvalid)
    assert none.startswith('DPoP error="invalid_dpop_proof"')
    proof = holder.proof("GET", URL, token)
    downgraded = await refused(verifier, shown(token, proof, scheme="Bearer"), TokenInvalid)
    assert downgraded.startswith('DPoP error="invalid_token"')
    with pytest.raises(TokenInvalid):
        await verifier.verify(token)
    assert await principal(verifier, shown(token, proof))


async def test_a_token_without_a_key_is_no_token_of_this_scheme(
    verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder
) -> None:
    token = issuer.token()
    await refused(verifier, shown(token, holder.proof("GET", URL, token)), TokenInvalid)


@pytest.mark.parametrize("cnf", [{}, {"x5t#S256": "x"}, {"jkt": 1}, {"jkt": "x", "kid": "y"}, "key", 0])
async def test_a_binding_that_is_not_understood_is_not_undone(
    verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder, cnf: object
) -> None:
    token = issuer.token(cnf=cnf)
    await refused(verifier, shown(token, scheme="Bearer"), TokenInvalid)
    await refused(verifier, shown(token, holder.proof("GET", URL, token)), TokenInvalid)


async def test_without_a_way_to_check_proofs_bound_tokens_stay_out(
    issuer: FakeIssuer, holder: Holder
) -> None:
    verifier, token = issuer.verifier(), bound(issuer, holder)
    assert await refused(verifier, shown(token, holder.proof("GET", URL, token)), TokenMissing) == "Bearer"
    await refused(verifier, shown(token, scheme="Bearer"), TokenInvalid)


async def test_an_api_may_insist_on_proofs(issuer: FakeIssuer, holder: Holder) -> None:
    verifier = issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN]), require_dpop=True)
    bearer = await refused(verifier, shown(issuer.token(), scheme="Bearer"), TokenMissing)
    assert bearer == 'DPoP algs="ES256 PS256 EdDSA"'
    with pytest.raises(TokenInvalid):
        await verifier.verify(issuer.token())
    token = bound(issuer, holder)
    assert await principal(verifier, shown(token, holder.proof("GET", URL, token)))


async def test_one_well_formed_authorization_header_is_needed(
    verifier: TokenVerifier, issuer: FakeIssuer
) -> None:
    token = issuer.token()
    nobody = Shown(method="GET", path="/", authorization=[])
    assert await refused(verifier, nobody, TokenMissing) == 'Bearer, DPoP algs="ES256 PS256 EdDSA"'
    await refused(verifier, Shown(method="GET", path="/", authorization=["DPoP "]), BadRequest)
    twice = Shown(method="GET", path="/", authorization=[f"DPoP {token}", f"Bearer {token}"])
    await refused(verifier, twice, BadRequest)


# --- The proof -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NO_PROOFS_OF_A_TOKEN.values(), ids=NO_PROOFS_OF_A_TOKEN.keys())
async def test_what_is_no_proof_is_refused(
    verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder, make: Made
) -> None:
    token = bound(issuer, holder)
    await refused(verifier, shown(token, make(holder, Wanted("GET", URL, token))), ProofInvalid)
    assert await principal(verifier, shown(token, holder.proof("GET", URL, token)))


async def test_two_proofs_are_refused(verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder) -> None:
    token = bound(issuer, holder)
    one, other = (holder.proof("GET", URL, token) for _ in range(2))
    await refused(verifier, shown(token, one, other), ProofInvalid)
    assert await principal(verifier, shown(token, one))


@pytest.mark.parametrize(
    "spelling",
    [
        f"{URL}?page=2",
        f"{URL}#x",
        "HTTPS://Acme.Example.Com/invoices",
        "https://acme.example.com:443/%69nvoices",
    ],
)
async def test_spellings_of_one_address_are_one(
    verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder, spelling: str
) -> None:
    token = bound(issuer, holder)
    assert await principal(verifier, shown(token, holder.proof("GET", spelling, token)))


@pytest.mark.parametrize("seconds", [-60, -10, 10, 60])
async def test_clocks_may_differ_a_little(
    verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder, seconds: int
) -> None:
    token = bound(issuer, holder)
    proof = holder.proof("GET", URL, token, iat=holder.clock() + seconds, extra={"a": 1})
    assert await principal(verifier, shown(token, proof))


# --- Once ------------------------------------------------------------------------------------------------------------


async def test_a_proof_counts_once(verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder) -> None:
    token = bound(issuer, holder)
    proof = holder.proof("GET", URL, token)
    asked = [verifier.verify_request(shown(token, proof)) for _ in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, ProofInvalid) for answer in answers) == 4
    await refused(verifier, shown(token, proof), ProofInvalid)


async def test_a_proof_with_a_bad_token_is_not_remembered(
    verifier: TokenVerifier, issuer: FakeIssuer, holder: Holder
) -> None:
    token = bound(issuer, holder)
    forged = FakeIssuer(issuer.issuer, clock=holder.clock)
    bad = bound(forged, holder)
    for one in (bad, token):
        proof = holder.proof("GET", URL, one, jti="same")
        if one is bad:
            await refused(verifier, shown(bad, proof), TokenInvalid)
        else:
            assert await principal(verifier, shown(token, proof))


async def test_processes_may_share_what_they_remember(issuer: FakeIssuer, holder: Holder) -> None:
    replays, token = LocalReplays(), bound(issuer, holder)
    one, other = (
        issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN], replays=replays)) for _ in range(2)
    )
    proof = holder.proof("GET", URL, token)
    assert await principal(one, shown(token, proof))
    await refused(other, shown(token, proof), ProofInvalid)


async def test_memory_is_bounded_and_never_forgets_too_early(
    issuer: FakeIssuer, holder: Holder, clock: Clock
) -> None:
    dpop = ProofOfPossession(origins=[ORIGIN], replays=LocalReplays(most=2, clock=clock))
    verifier, token = issuer.verifier(dpop=dpop), bound(issuer, holder)
    first, second, third = (holder.proof("GET", URL, token) for _ in range(3))
    await principal(verifier, shown(token, first))
    await principal(verifier, shown(token, second))
    await refused(verifier, shown(token, third), ReplaysFull)
    await refused(verifier, shown(token, first), ProofInvalid)
    clock.time += 61
    assert await principal(verifier, shown(token, holder.proof("GET", URL, token)))


async def test_a_proof_is_not_forgotten_because_the_clock_ran_ahead_for_a_moment(
    issuer: FakeIssuer, holder: Holder, clock: Clock
) -> None:
    verifier = issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN]))
    token = bound(issuer, holder)
    proof = holder.proof("GET", URL, token)
    assert await principal(verifier, shown(token, proof))
    for jump in (300.0, 3600.0, 3653 * 86400.0):
        clock.time += jump
        later = bound(issuer, holder)
        assert await principal(verifier, shown(later, holder.proof("GET", URL, later)))
        clock.time -= jump
        await refused(verifier, shown(token, proof), ProofInvalid)


# --- Nonces ----------------------------------------------------------------------------------------------------------


async def test_with_nonces_every_proof_carries_one(issuer: FakeIssuer, holder: Holder, clock: Clock) -> None:
    dpop = ProofOfPossession(origins=[ORIGIN], nonces=LocalNonces())
    verifier, token = issuer.verifier(dpop=dpop), bound(issuer, holder)
    for nonce in (None, "x", "", "²", "60000000.AAAAAAAAAAAAAAAAAAAAAA"):
        proof = holder.proof("GET", URL, token, nonce=nonce)
        with pytest.raises(NonceRequired) as caught:
            await verifier.verify_request(shown(token, proof))
        assert caught.value.challenge().startswith('DPoP error="use_dpop_nonce"')
        holder.nonce = caught.value.headers["DPoP-Nonce"]
    fresh = await verifier.verify_request(shown(token, holder.proof("GET", URL, token)))
    assert fresh.headers == {}
    clock.time += 200
    old = await verifier.verify_request(shown(token, holder.proof("GET", URL, token)))
    assert old.headers["DPoP-Nonce"] != holder.nonce
    clock.time += 200
    await refused(verifier, shown(token, holder.proof("GET", URL, token)), NonceRequired)


async def test_nonces_of_one_key_are_good_everywhere(issuer: FakeIssuer, holder: Holder) -> None:
    token = bound(issuer, holder)
    one, other = (
        issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN], nonces=LocalNonces(b"k" * 32)))
        for _ in range(2)
    )
    with pytest.raises(NonceRequired) as caught:
        await one.verify_request(shown(token, holder.proof("GET", URL, token)))
    holder.nonce = caught.value.nonce
    assert await principal(other, shown(token, holder.proof("GET", URL, token)))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda issuer: issuer.verifier(require_dpop=True),
        lambda issuer: ProofOfPossession(origins=[]),
        lambda issuer: ProofOfPossession(origins="https://api.example.com"),
        lambda issuer: ProofOfPossession(origins=["https://api.example.com/v1"]),
        lambda issuer: ProofOfPossession(origins=["http://api.example.com"]),
        lambda issuer: LocalNonces(b"short"),
    ],
)
def test_mistakes_are_found_at_the_start(issuer: FakeIssuer, mistake: Callable[[FakeIssuer], object]) -> None:
    with pytest.raises(Misused):
        mistake(issuer)


# --- Litestar --------------------------------------------------------------------------------------------------------


@get("/invoices", guards=[require_permission("read:invoices")])
async def invoices(principal: NamedDependency[Principal]) -> dict[str, str | None]:
    return {"sub": principal.subject, "key": principal.key_thumbprint}


@asynccontextmanager
async def running(verifier: TokenVerifier) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([invoices], plugins=[KeysteadPlugin(verifier)], logging_config=None)
    transport = httpx.ASGITransport(app=app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


async def test_a_litestar_application_checks_proofs(issuer: FakeIssuer, clock: Clock) -> None:
    holder = KeyHolder(clock=clock)
    token = issuer.token(cnf=holder.cnf, permissions=["read:invoices"])
    dpop = ProofOfPossession(origins=[ORIGIN], nonces=LocalNonces())
    async with running(issuer.verifier(dpop=dpop)) as client:
        first = await client.get("/invoices", headers=holder.headers(token, "GET", URL))
        assert (first.status_code, first.json()["error"]) == (401, "use_dpop_nonce")
        assert first.headers["WWW-Authenticate"].startswith('DPoP error="use_dpop_nonce"')
        holder.nonce = first.headers["DPoP-Nonce"]
        headers = holder.headers(token, "GET", URL)
        good = await client.get("/invoices?page=1", headers=headers)
        assert good.json() == {"sub": "auth0|0123456789abcdef01234567", "key": holder.cnf["jkt"]}
        assert "DPoP-Nonce" not in good.headers
        again = await client.get("/invoices", headers=headers)
        assert (again.status_code, again.json()["error"]) == (401, "invalid_dpop_proof")
        clock.time += 200
        later = await client.get("/invoices", headers=holder.headers(token, "GET", URL))
        assert later.status_code == 200
        assert later.headers["DPoP-Nonce"] not in (holder.nonce, "")


async def test_the_host_header_does_not_say_where_the_api_is(issuer: FakeIssuer, clock: Clock) -> None:
    holder = KeyHolder(clock=clock)
    token = issuer.token(cnf=holder.cnf, permissions=["read:invoices"])
    async with running(issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN]))) as client:
        headers = holder.headers(token, "GET", "https://evil.example/invoices")
        answer = await client.get("/invoices", headers={**headers, "Host": "evil.example"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_dpop_proof")


async def test_a_missing_permission_is_told_in_the_scheme_of_the_token(
    issuer: FakeIssuer, clock: Clock
) -> None:
    holder = KeyHolder(clock=clock)
    token = issuer.token(cnf=holder.cnf)
    async with running(issuer.verifier(dpop=ProofOfPossession(origins=[ORIGIN]))) as client:
        answer = await client.get("/invoices", headers=holder.headers(token, "GET", URL))
        assert answer.status_code == 403
        assert answer.headers["WWW-Authenticate"].startswith('DPoP error="insufficient_scope"')
        assert answer.headers["WWW-Authenticate"].endswith('scope="read:invoices"')
