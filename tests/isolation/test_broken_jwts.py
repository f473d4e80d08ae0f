"""JWTs that are wrong in one way, signed by the right key, wherever one is taken: none is accepted, none is a fault
of the server, none takes long (`specs/bad-inputs.md` 16 to 34)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import pytest

from core.crypto.keys import SigningKey
from entrypoints.demo_content import Demo
from tests.isolation import kinds
from tests.isolation.broken_jwts import Good, broken
from tests.isolation.kinds import Make, Outcome, Use
from tests.isolation.sides import KEY, Side, two_sides
from tests.keyholders import stolen_key

pytestmark = pytest.mark.anyio

MOST_SECONDS = 0.05
"""Of the processor."""

TRIES = 4
"""What else the process had to do meanwhile, such as to read a changed configuration, is no fault of the input."""

Key = Callable[[Side], Awaitable[SigningKey]]


async def tenants_key(side: Side) -> SigningKey:
    return await stolen_key(side.mail.installation, side.tenant.id)


async def clients_key(side: Side) -> SigningKey:
    return KEY


HEADERS = ("alg", "kid", "typ", "crit", "b64", "zip", "enc")
TIMES = ("exp", "iat", "nbf")


@dataclass(frozen=True, kw_only=True)
class Place:
    make: Make
    key: Key
    use: Use
    headers: tuple[str, ...] = HEADERS
    claims: tuple[str, ...]
    """What is judged; of these nothing is good that is not `harmless`."""

    harmless: Collection[str] = ()
    others: tuple[str, ...] = ()
    """What is read besides; any of these may be wrong without harm to anybody, but no fault."""


GOOD_TIMES = {"claim exp: next century", "claim iat: a number", "claim nbf: a number"}
OF_ONE_KEY = {"header kid: missing", "header kid: null"}
WITHOUT_TYPE = {"header typ: missing", "header typ: empty"}
MAY_BE_MISSING = {
    *(f"claim {name}: missing" for name in ("iss", "aud", "exp", "iat", "redirect_uri")),
    "claim redirect_uri: empty",
}
AROUND_A_HEADER = {"a line more"}
TOKEN = ("iss", "sub", *TIMES, "cnf", "sid", "org_id")
OF_TOKEN = ("jti", "client_id", "scope", "act")
OF_A_PERSON = {
    *GOOD_TIMES,
    *(f"claim sid: {value}" for value in ("missing", "null", "empty", "10 kB", "NUL")),
    "claim org_id: null",
}
PLACES = {
    "client assertion": Place(
        make=kinds.client_assertion,
        key=clients_key,
        use=kinds.authenticate,
        claims=("iss", "sub", "aud", "jti", *TIMES),
        harmless={*OF_ONE_KEY, *WITHOUT_TYPE, *GOOD_TIMES, "claim iat: missing", "claim jti: NUL"},
    ),
    "request object": Place(
        make=kinds.request_object,
        key=clients_key,
        use=kinds.authorize_signed,
        claims=(
            "iss",
            "aud",
            *TIMES,
            "client_id",
            "response_type",
            "redirect_uri",
            "code_challenge",
            "request",
        ),
        others=("scope", "claims", "max_age", "request_uri", "prompt", "nonce"),
        harmless={*OF_ONE_KEY, *WITHOUT_TYPE, *GOOD_TIMES, *MAY_BE_MISSING},
    ),
    "proof": Place(
        make=kinds.proof,
        key=clients_key,
        use=kinds.prove,
        headers=("alg", "typ", "crit", "b64", "zip", "enc", "jwk"),
        claims=("jti", "htm", "htu", "iat", "nonce"),
        harmless={"a stranger's, by jwk", "claim jti: NUL"},
    ),
    "subject token": Place(
        make=kinds.access_token,
        key=tenants_key,
        use=kinds.exchange,
        claims=TOKEN,
        harmless=OF_A_PERSON,
        others=OF_TOKEN,
    ),
    "bearer at userinfo": Place(
        make=kinds.access_token,
        key=tenants_key,
        use=kinds.userinfo,
        claims=TOKEN,
        harmless=OF_A_PERSON | AROUND_A_HEADER,
        others=OF_TOKEN,
    ),
    "token, introspected": Place(
        make=kinds.access_token,
        key=tenants_key,
        use=kinds.introspect,
        claims=TOKEN,
        harmless=OF_A_PERSON,
        others=OF_TOKEN,
    ),
    "Management API": Place(
        make=kinds.management_token,
        key=tenants_key,
        use=kinds.manage,
        claims=("iss", "sub", *TIMES, "cnf", "aud"),
        harmless={*GOOD_TIMES, *AROUND_A_HEADER, "claim iat: missing"},
        others=(*OF_TOKEN, "sid", "org_id"),
    ),
    "hint": Place(
        make=kinds.id_token,
        key=tenants_key,
        use=kinds.hint_of_session,
        claims=("iss", "sub", "aud"),
        harmless=WITHOUT_TYPE,
        others=("exp", "sid"),
    ),
    "hint of logout": Place(
        make=kinds.id_token,
        key=tenants_key,
        use=kinds.hint_of_logout,
        claims=("iss", "sub", "aud"),
        harmless=WITHOUT_TYPE,
        others=("exp", "sid"),
    ),
}


@pytest.fixture(scope="module")
async def side(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Side]:
    async with two_sides(golden, tmp_path_factory.mktemp("broken")) as sides:
        sides.a.holder.key = KEY.jose
        yield sides.a


@pytest.mark.parametrize("place", PLACES)
async def test_a_broken_jwt_is_refused_and_no_fault(side: Side, place: str) -> None:
    where, wrong, accepted = PLACES[place], [], set()
    good = Good.of(await where.make(side), await where.key(side))
    await side.sign_in()
    others = tuple(f"claim {name}:" for name in where.others)
    for name, text in broken(good, where.headers, where.claims + where.others):
        outcome, seconds = await _timed(where.use, side, text)
        if outcome.accepted:
            await side.sign_in()
            accepted |= set() if name.startswith(others) else {name}
        if outcome.response.status_code >= 500 or seconds > MOST_SECONDS:
            wrong.append((name, outcome.response.status_code, seconds))
        assert outcome.response.headers["cache-control"] == "no-store"
    assert wrong == []
    assert sorted(accepted - set(where.harmless)) == []
    assert (await where.use(side, good.made())).accepted


async def _timed(use: Use, side: Side, text: str) -> tuple[Outcome, float]:
    seconds = []
    for _ in range(TRIES):
        started = process_time()
        outcome = await use(side, text)
        seconds.append(process_time() - started)
        if outcome.accepted:
            return outcome, 0.0
        if seconds[-1] < MOST_SECONDS:
            break
    return outcome, min(seconds)
