"""RFC 9449 at the token endpoint: whose tokens they become, which proofs are none, and what counts once."""

import asyncio
from typing import Any

import httpx
import pytest

from tenant_runtime import models
from tests.holder import Holder, new_key
from tests.no_proofs import NO_PROOFS, Made, Wanted
from tests.protocol.issuer import (
    API,
    CALLBACK,
    SPA_ORIGIN,
    VERIFIER,
    Issuer,
    Issuers,
    claims_of,
    second_worker,
)

pytestmark = pytest.mark.anyio

OFFLINE = {"audience": API, "scope": "openid offline_access read:invoices"}


def address(issuer: Issuer) -> str:
    return f"{issuer.tenant.issuer}oauth/token"


async def ask(issuer: Issuer, client_id: str, proofs: list[str], **form: str) -> httpx.Response:
    """A request with these proofs and nothing more clever."""
    body = {"client_id": client_id, **form}
    if client_id in issuer.secrets:
        body["client_secret"] = issuer.secrets[client_id]
    return await issuer.http.post("/oauth/token", data=body, headers=[("dpop", proof) for proof in proofs])


async def prove(issuer: Issuer, holder: Holder, client_id: str, **form: str) -> httpx.Response:
    body = {"client_id": client_id, **form}
    if client_id in issuer.secrets:
        body["client_secret"] = issuer.secrets[client_id]
    return await holder.send(issuer.http, "POST", address(issuer), data=body)


async def redeem(issuer: Issuer, holder: Holder, client_id: str = "web", **code: Any) -> httpx.Response:
    form = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER, "grant_type": "authorization_code"}
    return await prove(issuer, holder, client_id, code=await issuer.code(client_id, **code), **form)


async def refresh(issuer: Issuer, holder: Holder, token: str, client_id: str = "web") -> httpx.Response:
    return await prove(issuer, holder, client_id, grant_type="refresh_token", refresh_token=token)


async def machine(issuer: Issuer, proofs: list[str]) -> httpx.Response:
    return await ask(issuer, "m2m", proofs, grant_type="client_credentials", audience=API)


@pytest.fixture
def holder(issuers: Issuers) -> Holder:
    return Holder(issuers.clock.now)


@pytest.fixture
async def ready(issuers: Issuers, holder: Holder) -> Holder:
    """One that was told the nonce of Acme already."""
    answer = await machine(issuers.acme, [holder.proof("POST", address(issuers.acme))])
    holder.nonce = answer.headers["dpop-nonce"]
    return holder


def refused(answer: httpx.Response, error: str = "invalid_dpop_proof") -> bool:
    return (answer.status_code, answer.json()["error"]) == (400, error)


# --- Binding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
async def test_a_jwt_names_the_key_it_is_bound_to(issuers: Issuers, algorithm: str) -> None:
    holder = Holder(issuers.clock.now, algorithm, new_key(algorithm))
    body = (await redeem(issuers.acme, holder, **OFFLINE)).json()
    assert body["token_type"] == "DPoP"
    assert claims_of(body["access_token"])["cnf"] == {"jkt": holder.jkt}


async def test_an_opaque_token_is_bound_by_its_row(issuers: Issuers, holder: Holder) -> None:
    body = (await redeem(issuers.acme, holder)).json()
    assert body["token_type"] == "DPoP"
    (row,) = await issuers.acme.rows(models.AccessToken)
    assert row.dpop_jkt == holder.jkt


async def test_a_machines_token_is_bound_too(issuers: Issuers, holder: Holder) -> None:
    answer = await prove(issuers.acme, holder, "m2m", grant_type="client_credentials", audience=API)
    assert answer.json()["token_type"] == "DPoP"
    assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": holder.jkt}


async def test_without_a_proof_nothing_is_bound(issuers: Issuers) -> None:
    body = await issuers.acme.tokens(**OFFLINE)
    assert body["token_type"] == "Bearer"
    assert "cnf" not in claims_of(body["access_token"])
    assert await issuers.acme.rows(models.UsedId) == []


@pytest.mark.parametrize("client_id", ["web", "spa"])
async def test_a_refresh_token_is_its_holders_alone(issuers: Issuers, holder: Holder, client_id: str) -> None:
    body = (await redeem(issuers.acme, holder, client_id, **OFFLINE)).json()
    stranger = Holder(issuers.clock.now)
    for answer in (
        await issuers.acme.refresh(body["refresh_token"], client_id),
        await refresh(issuers.acme, stranger, body["refresh_token"], client_id),
    ):
        assert refused(answer, "invalid_grant")
    kept = await refresh(issuers.acme, holder, body["refresh_token"], client_id)
    assert kept.json()["token_type"] == "DPoP"
    assert claims_of(kept.json()["access_token"])["cnf"] == {"jkt": holder.jkt}
    again = await refresh(issuers.acme, holder, kept.json()["refresh_token"], client_id)
    assert again.status_code == 200


async def test_a_refresh_token_without_holder_gets_the_first_who_proves_a_key(
    issuers: Issuers, holder: Holder
) -> None:
    body = await issuers.acme.tokens("spa", **OFFLINE)
    bound = (await refresh(issuers.acme, holder, body["refresh_token"], "spa")).json()
    assert bound["token_type"] == "DPoP"
    assert refused(await issuers.acme.refresh(bound["refresh_token"], "spa"), "invalid_grant")
    assert (await refresh(issuers.acme, holder, bound["refresh_token"], "spa")).status_code == 200


async def test_a_code_that_was_asked_for_with_a_key_is_redeemed_with_it(
    issuers: Issuers, holder: Holder
) -> None:
    bound = {"dpop_jkt": holder.jkt}
    assert refused(await issuers.acme.redeem(await issuers.acme.code(**bound)), "invalid_grant")
    assert refused(await redeem(issuers.acme, Holder(issuers.clock.now), **bound), "invalid_grant")
    assert (await redeem(issuers.acme, holder, **bound)).status_code == 200


async def test_a_client_may_be_made_to_prove_a_key_always(issuers: Issuers, holder: Holder) -> None:
    for name in ("web", "m2m"):
        await issuers.acme.change(models.Client, {"client_id": name}, require_proof_of_possession=True)
    assert refused(await issuers.acme.redeem(await issuers.acme.code()))
    assert refused(await issuers.acme.machine(audience=API))
    body = (await redeem(issuers.acme, holder, **OFFLINE)).json()
    assert body["token_type"] == "DPoP"
    assert refused(await issuers.acme.refresh(body["refresh_token"]))
    assert (await refresh(issuers.acme, holder, body["refresh_token"])).status_code == 200


async def test_an_api_may_take_bound_tokens_alone(issuers: Issuers, holder: Holder) -> None:
    attributes = {"proof_of_possession": {"mechanism": "dpop", "required": True}}
    await issuers.acme.change(models.ResourceServer, {"identifier": API}, attributes=attributes)
    assert refused(await issuers.acme.redeem(await issuers.acme.code(**OFFLINE)))
    assert refused(await issuers.acme.machine(audience=API))
    body = (await redeem(issuers.acme, holder, **OFFLINE)).json()
    assert body["token_type"] == "DPoP"
    assert (await refresh(issuers.acme, holder, body["refresh_token"])).status_code == 200


@pytest.mark.parametrize("code", [{}, OFFLINE], ids=["opaque", "JWT"])
async def test_introspection_tells_whose_a_token_is(
    issuers: Issuers, holder: Holder, code: dict[str, str]
) -> None:
    token = (await redeem(issuers.acme, holder, "web", **code)).json()["access_token"]
    form = {"token": token, "client_id": "web", "client_secret": issuers.acme.secrets["web"]}
    told = (await issuers.acme.http.post("/oauth/introspect", data=form)).json()
    assert (told["active"], told["token_type"], told["cnf"]) == (True, "DPoP", {"jkt": holder.jkt})


# --- The proof -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NO_PROOFS.values(), ids=NO_PROOFS.keys())
async def test_what_is_no_proof_is_refused_and_changes_nothing(
    issuers: Issuers, ready: Holder, make: Made
) -> None:
    answer = await machine(issuers.acme, [make(ready, Wanted("POST", address(issuers.acme)))])
    assert refused(answer), answer.text
    assert await issuers.acme.rows(models.UsedId) == []
    assert (await machine(issuers.acme, [ready.proof("POST", address(issuers.acme))])).status_code == 200


async def test_two_headers_are_refused(issuers: Issuers, ready: Holder) -> None:
    url = address(issuers.acme)
    proof = ready.proof("POST", url)
    assert refused(await machine(issuers.acme, [proof, ready.proof("POST", url)]))
    assert refused(await machine(issuers.acme, [proof, proof]))
    assert (await machine(issuers.acme, [proof])).status_code == 200


@pytest.mark.parametrize(
    "spelling",
    [
        "https://acme.example.com/oauth/token?x=1",
        "https://acme.example.com/oauth/token#here",
        "HTTPS://Acme.Example.COM/oauth/token",
        "https://acme.example.com:443/oauth/token",
        "https://acme.example.com/%6Fauth/token",
    ],
)
async def test_spellings_of_one_address_are_one(issuers: Issuers, ready: Holder, spelling: str) -> None:
    assert (await machine(issuers.acme, [ready.proof("POST", spelling)])).status_code == 200


@pytest.mark.parametrize("seconds", [-59, -10, 0, 10, 59])
async def test_clocks_may_differ_a_little(issuers: Issuers, ready: Holder, seconds: int) -> None:
    proof = ready.proof("POST", address(issuers.acme), iat=issuers.clock.now() + seconds)
    assert (await machine(issuers.acme, [proof])).status_code == 200


async def test_what_a_proof_holds_beyond_is_ignored(issuers: Issuers, ready: Holder) -> None:
    more = {
        "exp": 1,
        "nbf": 9_999_999_999,
        "ath": "x",
        "aud": "https://elsewhere.example",
        "extra": {"a": [1]},
    }
    proof = ready.proof("POST", address(issuers.acme), header={"kid": "mine"}, **more)
    assert (await machine(issuers.acme, [proof])).status_code == 200


# --- Once ------------------------------------------------------------------------------------------------------------


async def test_a_proof_counts_once_in_all_processes(issuers: Issuers, ready: Holder) -> None:
    proof = ready.proof("POST", address(issuers.acme))
    async with second_worker(issuers.acme, issuers.services) as other:
        assert (await machine(issuers.acme, [proof])).status_code == 200
        assert refused(await machine(other, [proof]))
        assert refused(await machine(issuers.acme, [proof]))
        assert (await machine(other, [ready.proof("POST", address(other))])).status_code == 200


async def test_of_many_at_once_one_is_first(issuers: Issuers, ready: Holder) -> None:
    proof = ready.proof("POST", address(issuers.acme))
    async with second_worker(issuers.acme, issuers.services) as other:
        asked = [machine(worker, [proof]) for worker in (issuers.acme, other) for _ in range(10)]
        answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, *[400] * 19]


async def test_a_used_proof_uses_up_no_code_and_no_refresh_token(issuers: Issuers, ready: Holder) -> None:
    acme, url = issuers.acme, address(issuers.acme)
    token = (await redeem(acme, ready, "spa", **OFFLINE)).json()["refresh_token"]
    proof = ready.proof("POST", url)
    assert (await machine(acme, [proof])).status_code == 200
    code = await acme.code("spa")
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    assert refused(await ask(acme, "spa", [proof], code=code, **form))
    assert refused(await ask(acme, "spa", [proof], grant_type="refresh_token", refresh_token=token))
    good = await ask(acme, "spa", [ready.proof("POST", url)], code=code, **form)
    assert good.status_code == 200
    assert (await refresh(acme, ready, token, "spa")).status_code == 200


async def test_two_holders_may_choose_the_same_id(issuers: Issuers, ready: Holder) -> None:
    other = Holder(issuers.clock.now, nonce=ready.nonce)
    for one in (ready, other):
        answer = await machine(issuers.acme, [one.proof("POST", address(issuers.acme), jti="same")])
        assert answer.status_code == 200


async def test_a_proof_is_remembered_until_it_is_too_old(issuers: Issuers, ready: Holder) -> None:
    proof = ready.proof("POST", address(issuers.acme), iat=int(issuers.clock.now()) + 60)
    assert (await machine(issuers.acme, [proof])).status_code == 200
    (used,) = await issuers.acme.rows(models.UsedId)
    issuers.clock.time += 119
    assert used.expires_at > issuers.acme.now_ms
    assert refused(await machine(issuers.acme, [proof]))
    issuers.clock.time += 3
    assert used.expires_at < issuers.acme.now_ms
    assert refused(await machine(issuers.acme, [proof]))


# --- Nonces ----------------------------------------------------------------------------------------------------------


async def test_a_proof_without_a_nonce_is_told_one(issuers: Issuers, holder: Holder) -> None:
    url = address(issuers.acme)
    answer = await machine(issuers.acme, [holder.proof("POST", url)])
    assert refused(answer, "use_dpop_nonce")
    assert "no-store" in answer.headers["cache-control"]
    holder.nonce = answer.headers["dpop-nonce"]
    good = await machine(issuers.acme, [holder.proof("POST", url)])
    assert good.status_code == 200
    assert "dpop-nonce" not in good.headers
    assert await issuers.acme.events() == ["seccft"]


async def test_a_nonce_is_the_tenants_own(issuers: Issuers, ready: Holder) -> None:
    url = address(issuers.globex)
    theirs = await machine(issuers.globex, [ready.proof("POST", url)])
    assert refused(theirs, "use_dpop_nonce")
    assert theirs.headers["dpop-nonce"] != ready.nonce
    ready.nonce = theirs.headers["dpop-nonce"]
    assert (await machine(issuers.globex, [ready.proof("POST", url)])).status_code == 200


@pytest.mark.parametrize(
    "nonce", ["", "x", "1", ".", "60000000.AAAAAAAAAAAAAAAAAAAAAA", "9" * 300, "²³.x", "-1.x"]
)
async def test_a_made_up_nonce_is_replaced(issuers: Issuers, ready: Holder, nonce: str) -> None:
    answer = await machine(issuers.acme, [ready.proof("POST", address(issuers.acme), nonce=nonce)])
    assert refused(answer, "use_dpop_nonce")
    assert answer.headers["dpop-nonce"] == ready.nonce


async def test_a_nonce_that_gets_old_is_followed_by_another(issuers: Issuers, ready: Holder) -> None:
    url, first = address(issuers.acme), ready.nonce
    issuers.clock.time += 200
    answer = await machine(issuers.acme, [ready.proof("POST", url)])
    assert answer.status_code == 200
    assert answer.headers["dpop-nonce"] != first
    issuers.clock.time += 200
    assert refused(await machine(issuers.acme, [ready.proof("POST", url)]), "use_dpop_nonce")
    ready.nonce = answer.headers["dpop-nonce"]
    assert (await machine(issuers.acme, [ready.proof("POST", url)])).status_code == 200


async def test_a_refusal_brings_the_next_nonce_as_well(issuers: Issuers, ready: Holder) -> None:
    acme, url, first = issuers.acme, address(issuers.acme), ready.nonce
    form = {"grant_type": "refresh_token", "refresh_token": "made up"}
    assert "dpop-nonce" not in (await ask(acme, "spa", [ready.proof("POST", url)], **form)).headers
    issuers.clock.time += 200
    answer = await ask(acme, "spa", [ready.proof("POST", url)], **form)
    assert refused(answer, "invalid_grant")
    assert answer.headers["dpop-nonce"] != first
    proof = ready.proof("POST", url)
    assert (await machine(acme, [proof])).status_code == 200
    again = await machine(acme, [proof])
    assert refused(again)
    ready.nonce = again.headers["dpop-nonce"]
    issuers.clock.time += 200
    assert (await machine(acme, [ready.proof("POST", url)])).status_code == 200


async def test_every_worker_knows_the_others_nonces(issuers: Issuers, ready: Holder) -> None:
    async with second_worker(issuers.acme, issuers.services) as other:
        assert (await machine(other, [ready.proof("POST", address(other))])).status_code == 200


async def test_a_browser_application_may_read_the_nonce(issuers: Issuers, holder: Holder) -> None:
    headers = {"Origin": SPA_ORIGIN, "DPoP": holder.proof("POST", address(issuers.acme))}
    form = {"client_id": "spa", "grant_type": "refresh_token", "refresh_token": "x"}
    answer = await issuers.acme.http.post("/oauth/token", data=form, headers=headers)
    assert refused(answer, "use_dpop_nonce")
    assert answer.headers["access-control-allow-origin"] == SPA_ORIGIN
    assert "dpop-nonce" in answer.headers["access-control-expose-headers"]
    preflight = {"Origin": SPA_ORIGIN, "Access-Control-Request-Method": "POST"}
    allowed = await issuers.acme.http.options("/oauth/token", headers=preflight)
    assert "dpop" in allowed.headers["access-control-allow-headers"].split(", ")


async def test_a_refused_proof_is_in_the_log(issuers: Issuers, ready: Holder) -> None:
    proof = ready.proof("POST", address(issuers.acme), htm="GET")
    assert refused(await machine(issuers.acme, [proof]))
    assert await issuers.acme.events() == ["feccft"]


async def test_the_metadata_names_the_algorithms(issuers: Issuers) -> None:
    found = (await issuers.acme.http.get("/.well-known/openid-configuration")).json()
    assert found["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "EdDSA"]
