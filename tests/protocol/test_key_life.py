"""The life of signing keys: what verifiers see of a rotation, day by day, and with a clock that jumps."""

import base64
import hashlib
from pathlib import Path
from random import Random
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from core.crypto import jwt
from entrypoints.demo_content import Demo
from keystead_sdk import TokenInvalid, TokenVerifier
from tenant_runtime.oauth.keys.life import LONGEST_TOKEN_MS, MARGIN_MS, Key, Timetable, rotation, steps_due
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.keyholders import ALGORITHMS, ends_at, keyholder, kid_of, stolen_key
from tests.relying_party import payload

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated"),  # RFC 9864 names it Ed25519; clients say EdDSA
]

HOUR, DAY = 3600, 86400
YEARS = 3653 * DAY
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
HASHES = {"RS256": "sha256", "PS256": "sha256", "ES256": "sha256", "EdDSA": "sha512"}


async def test_a_rotated_key_is_published_a_day_before_it_signs_and_the_old_one_stays_a_month(
    installation: Installation,
) -> None:
    holder, clock = keyholder(installation), installation.clock
    await holder.set_algorithm("RS256", token_lifetime=30 * DAY)
    (old,) = await holder.published()
    new = (await holder.rotate())["kid"]
    assert set(await holder.published()) == {old, new}
    assert kid_of(await holder.api_token()) == old
    clock.advance(24 * HOUR - 60)
    longest = await holder.api_token()
    assert kid_of(longest) == old, "not a minute early"
    clock.advance(120)
    assert kid_of(await holder.api_token()) == new
    assert list(await holder.published()) == [new, old], "who signs comes first"
    clock.advance(ends_at(longest) - clock.now() - 1)
    assert await holder.verifies(longest), "to its last second"
    clock.advance(2 * HOUR)
    assert set(await holder.published()) == {new}
    assert not await holder.verifies(longest)
    shown = await holder.keys()
    assert (shown[old]["state"], shown[new]["state"]) == ("retired", "current")


async def test_a_verifier_that_keeps_the_key_set_for_its_max_age_never_notices_a_rotation(
    installation: Installation,
) -> None:
    """It does not even ask again because of a `kid` that it does not know."""
    holder, clock = keyholder(installation), installation.clock
    kept, fetched_at = await holder.published(), clock.now()
    await holder.rotate()
    kids = set[str]()
    for seconds in (200, 250, HOUR, 22 * HOUR, HOUR - 100, 50, 49, 5, 200, 301, 2 * DAY, 29 * DAY):
        clock.advance(seconds)
        token = await holder.api_token()
        if clock.now() - fetched_at >= 300:
            kept, fetched_at = await holder.published(), clock.now()
        assert kid_of(token) in kept
        assert jws.deserialize_compact(token, KeySet.import_key_set({"keys": list(kept.values())}))
        kids.add(kid_of(token))
    assert len(kids) == 2


async def test_the_sdk_follows_rotations_and_revocations(installation: Installation) -> None:
    holder, clock = keyholder(installation), installation.clock
    verifier = TokenVerifier(
        issuer=holder.tenant.issuer,
        audience=holder.tenant.api_audience,
        client=installation.http,
        clock=clock.now,
    )
    await verifier.verify(await holder.api_token())
    await holder.rotate()
    for _ in range(26):
        clock.advance(HOUR)
        await verifier.verify(await holder.api_token())
    clock.advance(60)
    await holder.rotate(immediately=True)
    token = await holder.api_token()
    await verifier.verify(token)
    await holder.revoke(kid_of(token))
    clock.advance(601)
    with pytest.raises(TokenInvalid):
        await verifier.verify(token)
    await verifier.verify(await holder.api_token())


@pytest.mark.parametrize(("hours", "state"), [(0, "current"), (0.5, "next"), (1e300, "next")])
async def test_how_long_a_key_is_published_before_it_signs_is_the_installations_to_say(
    data_dir: Path, golden: tuple[Path, Demo], hours: float, state: str
) -> None:
    settings = settings_for(data_dir, key_publication_hours=hours)
    async with serving(settings, golden[1]) as installation:
        holder = keyholder(installation)
        made = (await holder.rotate())["kid"]
        assert (await holder.keys())[made]["state"] == state
        assert (await holder.rotate())["kid"] == made, "asked again, also where nothing is waited for"
        installation.clock.advance(HOUR)
        assert (kid_of(await holder.api_token()) == made) is (hours < 1)


async def test_lowering_lifetimes_before_a_rotation_does_not_cut_what_was_issued(
    installation: Installation,
) -> None:
    holder = keyholder(installation)
    await holder.set_algorithm("RS256", token_lifetime=30 * DAY)
    token = await holder.api_token()
    await holder.set_algorithm("RS256", token_lifetime=60)
    await holder.rotate(immediately=True)
    installation.clock.advance(29 * DAY)
    await holder.api_token()
    assert await holder.verifies(token)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_living_token_is_verifiable_whenever_keys_are_rotated(
    installation: Installation, seed: int
) -> None:
    holder, dice = keyholder(installation), Random(seed)
    issued = list[str]()
    for _ in range(25):
        if dice.random() < 0.5:
            body = {"immediately": dice.random() < 0.5, "algorithm": dice.choice(["RS256", "ES256"])}
            assert (await holder.call("POST", "/keys/signing/rotate", body)).status_code in (201, 409)
        await holder.set_algorithm(dice.choice(ALGORITHMS), token_lifetime=dice.choice([60, DAY, 30 * DAY]))
        issued.append(await holder.api_token())
        installation.clock.advance(dice.choice([0, 10, HOUR, DAY + 1, 4 * DAY]))
        keys = KeySet.import_key_set({"keys": list((await holder.published()).values())})
        for token in issued:
            if ends_at(token) > installation.clock.now():
                assert jws.deserialize_compact(token, keys, algorithms=ALGORITHMS)
    assert len({kid_of(token) for token in issued}) > 5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithm_signs_before_and_after_a_rotation(
    installation: Installation, algorithm: str
) -> None:
    holder, rp = keyholder(installation), installation.relying_party("acme")
    await holder.set_algorithm(algorithm)
    client = {"jwt_configuration": {"alg": algorithm}}
    changed = await holder.call("PATCH", f"/clients/{rp.client.client_id}", client)
    assert changed.status_code == 200, changed.text
    before = await rp.sign_in()
    await holder.rotate(algorithm=algorithm, immediately=True)
    after = await rp.sign_in(prompt="login")
    kids = set[str]()
    for answer in (before, after):
        for token in (answer.access_token, answer.body["id_token"]):
            assert await holder.verifies(token)
            assert (await holder.published())[kid_of(token)]["alg"] == algorithm
            kids.add(kid_of(token))
        digest = hashlib.new(HASHES[algorithm], answer.access_token.encode()).digest()
        half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
        assert answer.id_claims["at_hash"] == half
        assert (await rp.userinfo(answer.access_token)).status_code == 200
    assert len(kids) == 2


async def test_an_algorithm_that_was_rotated_before_anybody_used_it_signs_with_that_key(
    installation: Installation,
) -> None:
    holder = keyholder(installation)
    made = await holder.rotate(algorithm="ES256")
    await holder.set_algorithm("ES256")
    assert kid_of(await holder.api_token()) == made["kid"]
    assert sum(key["alg"] == "ES256" for key in (await holder.published()).values()) == 1


async def test_a_token_of_a_key_that_left_the_key_set_is_refused_here(installation: Installation) -> None:
    """Whoever holds its private part may write what they like."""
    holder = keyholder(installation)
    key, claims = await stolen_key(installation), payload(await holder.token())
    await holder.rotate(immediately=True)
    forged = jwt.sign({**claims, "exp": claims["exp"] + 60 * DAY}, key, typ="at+jwt")
    assert (await holder.call("GET", "/roles", token=forged)).status_code == 200, "it is published yet"
    installation.clock.advance(31 * DAY)
    assert key.kid not in await holder.published()
    assert (await holder.call("GET", "/roles", token=forged)).status_code == 401


async def test_a_clock_that_jumps_ahead_and_back_leaves_no_living_token_unverifiable(
    installation: Installation,
) -> None:
    holder, clock = keyholder(installation), installation.clock
    await holder.set_algorithm("RS256", token_lifetime=30 * DAY)
    first = await holder.api_token()
    await holder.rotate(immediately=True)
    second, waiting = await holder.api_token(), (await holder.rotate())["kid"]
    clock.advance(YEARS)
    future = await holder.api_token()
    assert kid_of(future) == waiting, "what was next signs early, and was published"
    assert kid_of(first) not in await holder.published()
    clock.advance(-YEARS)
    for token in (first, second):
        assert await holder.verifies(token)
    third = await holder.api_token()
    assert await holder.verifies(third)
    clock.advance(ends_at(second) - clock.now() - 1)
    assert await holder.verifies(second)
    assert await holder.verifies(third)


async def test_a_rotation_asked_for_while_the_clock_was_wrong_counts_from_the_right_time(
    installation: Installation,
) -> None:
    holder, clock = keyholder(installation), installation.clock
    clock.advance(YEARS)
    made = (await holder.rotate())["kid"]
    clock.advance(-YEARS)
    assert (await holder.rotate())["kid"] == made
    clock.advance(DAY + 60)
    assert kid_of(await holder.api_token()) == made


@pytest.mark.parametrize("years", [12.2, 13, 100])
async def test_keys_are_rotated_after_2038_and_far_beyond(installation: Installation, years: float) -> None:
    holder = keyholder(installation)
    installation.clock.advance(years * 365.25 * DAY)
    await holder.rotate(immediately=True)
    assert await holder.verifies(await holder.api_token())
    assert all(key["cert"] for key in (await holder.keys()).values())


@pytest.mark.parametrize("host", ["acme.localhost:8000", "globex.localhost:8000", "localhost:8000"])
async def test_the_key_set_is_the_hosts_own_and_has_no_private_part(
    installation: Installation, host: str
) -> None:
    """bad-inputs 36: whatever else the request says of hosts."""
    holders = [keyholder(installation, name) for name in ("acme", "globex")]
    for holder in holders:
        await holder.rotate()
        await holder.rotate(algorithm="ES256")
        await holder.rotate(algorithm="EdDSA")
    kids = {holder.tenant.id: set(await holder.published()) for holder in holders}
    assert kids["acme"].isdisjoint(kids["globex"])
    answer = await installation.http.get(
        f"http://{host}/.well-known/jwks.json",
        headers={"X-Forwarded-Host": "acme.localhost:8000", "tenant-id": "acme"},
    )
    assert answer.status_code == 200
    shown = answer.json()["keys"]
    assert all(PRIVATE.isdisjoint(key) for key in shown)
    expected = kids.get(host.partition(".")[0])
    if expected is None:
        assert {key["kid"] for key in shown}.isdisjoint(kids["acme"] | kids["globex"])
    else:
        assert {key["kid"] for key in shown} == expected


@pytest.mark.parametrize(
    "kid", [None, "unknown", "../../etc/passwd", "http://127.0.0.1:1/k", "' OR 1=1 --", "x" * 7000]
)
@pytest.mark.parametrize("extra", [{}, {"jku": "http://127.0.0.1:1/k", "x5u": "http://127.0.0.1:1/k"}])
async def test_a_header_that_leads_elsewhere_leads_nowhere(
    shared: Installation, kid: str | None, extra: dict[str, Any]
) -> None:
    """bad-inputs 20 and 21: neither file nor network; the key must be one that is published here."""
    holder, thief = keyholder(shared), await stolen_key(shared, "globex")
    header = {"alg": "RS256", "typ": "at+jwt", "jwk": dict(thief.public_jwk), **extra}
    if kid is not None:
        header["kid"] = kid
    claims = jwt.msgspec.json.encode(payload(await holder.token()))
    forged = jws.serialize_compact(header, claims, thief.jose, algorithms=["RS256"], registry=_ANY)
    assert (await holder.call("GET", "/roles", token=forged)).status_code == 401
    answer = await shared.http.get(
        f"{holder.tenant.issuer}userinfo", headers={"Authorization": f"Bearer {forged}"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["nope"], []])
async def test_an_extension_that_must_be_understood_is_not(shared: Installation, crit: list[str]) -> None:
    """bad-inputs 22, with a good key of the tenant itself."""
    holder, key = keyholder(shared), await stolen_key(shared)
    claims = jwt.msgspec.json.encode(payload(await holder.token()))
    header = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid, "crit": crit, "exp": 1, "nope": 1}
    forged = jws.serialize_compact(header, claims, key.jose, algorithms=["RS256"], registry=_ANY)
    assert (await holder.call("GET", "/roles", token=forged)).status_code == 401


async def test_another_tenants_key_signs_nothing_here(shared: Installation) -> None:
    """bad-inputs 19."""
    holder, other = keyholder(shared), await stolen_key(shared, "globex")
    forged = jwt.sign(payload(await holder.token()), other, typ="at+jwt")
    assert (await holder.call("GET", "/roles", token=forged)).status_code == 401


class _Anything(jws.JWSRegistry):
    """Writes headers that no honest library writes."""

    def check_header(self, header: dict[str, Any]) -> None:
        return None


_ANY = _Anything(algorithms=["RS256"])


# --- Decisions that no clock of a test can hit exactly ---------------------------------------------------------------

NOW = 1_800_000_000_000


def key(kid: str, state: Any, **times: int) -> Key:
    return Key(kid=kid, alg="RS256", state=state, created_at=NOW, **times)


def test_a_tenant_that_was_never_rotated_has_nothing_to_look_at() -> None:
    timetable = Timetable.of([key("a", "current")], None)
    assert not any(timetable.is_due(now) for now in (0, 1, NOW, NOW + YEARS * 1000))


def test_processes_whose_clocks_differ_do_not_undo_each_others_work() -> None:
    ended = NOW + LONGEST_TOKEN_MS + MARGIN_MS
    published = [key("b", "current"), key("a", "previous", retired_at=NOW)]
    assert [step.to for step in steps_due(published, ended)] == ["retired"]
    after = Timetable.of([key("b", "current")], NOW)
    assert not after.is_due(ended - 5_000), "five seconds behind"
    assert after.is_due(NOW + LONGEST_TOKEN_MS - 1), "its tokens live: it comes back"
    retired = key("a", "retired", retired_at=NOW)
    assert [step.to for step in steps_due([retired], NOW + LONGEST_TOKEN_MS - 1)] == ["previous"]
    assert steps_due([retired], ended - 5_000) == []


def test_a_rotation_by_one_who_saw_an_older_key_is_done_already() -> None:
    keys = [key("b", "current"), key("a", "previous", retired_at=NOW)]
    options = {"now_ms": NOW, "publication_ms": 0, "immediately": True}
    decided = rotation(keys, "RS256", seen="a", **options)  # type: ignore[arg-type]
    assert (decided.kid, decided.steps, decided.new) == ("b", (), None)


def test_a_rotation_at_once_that_is_asked_for_again_because_its_answer_was_lost_is_done_already() -> None:
    keys = [key("b", "current"), key("a", "previous", retired_at=NOW)]
    options: dict[str, Any] = {"seen": "b", "publication_ms": DAY * 1000}
    again = rotation(keys, "RS256", now_ms=NOW + 30_000, immediately=True, **options)
    assert (again.kid, again.steps, again.new) == ("b", (), None)
    later = rotation(keys, "RS256", now_ms=NOW + 61_000, immediately=True, **options)
    assert (later.kid, later.new) == (None, "current")
    published = rotation(keys, "RS256", now_ms=NOW + 30_000, immediately=False, **options)
    assert (published.kid, published.new) == (None, "next"), "who waits a day disturbs nobody"


def test_the_old_key_stops_before_the_new_one_begins() -> None:
    keys = [key("a", "current"), key("b", "next", activates_at=NOW)]
    assert [(step.kid, step.to) for step in steps_due(keys, NOW)] == [("a", "previous"), ("b", "current")]
    assert steps_due(keys, NOW - 1) == []
