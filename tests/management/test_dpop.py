"""RFC 9449 section 7 at the Management API: tokens that are bound to a key, of this tenant and of tenant one."""

from typing import Any

import httpx
import pytest

from tenant_runtime import models
from tests.holder import Holder
from tests.management.world import PLATFORM_TOO, Place, World
from tests.no_proofs import NO_PROOFS_OF_A_TOKEN, Made, Wanted

pytestmark = pytest.mark.anyio

ROLE = {"name": "Clerk"}


def address(place: Place, path: str = "/roles") -> str:
    return f"{place.tenant.issuer}api/v2{path}"


def bound(place: Place, holder: Holder, *permissions: str, **claims: Any) -> str:
    return place.token(*([set(permissions)] if permissions else []), cnf={"jkt": holder.jkt}, **claims)


async def show(
    place: Place, token: str, *proofs: str, method: str = "GET", scheme: str = "DPoP", path: str = "/roles"
) -> httpx.Response:
    headers = [("authorization", f"{scheme} {token}"), *(("dpop", proof) for proof in proofs)]
    body = ROLE if method == "POST" else None
    return await place.http.request(method, f"/api/v2{path}", headers=headers, json=body)


async def show_well(place: Place, holder: Holder, token: str, method: str = "GET") -> httpx.Response:
    return await show(place, token, holder.proof(method, address(place), token), method=method)


def refused(answer: httpx.Response, code: str) -> bool:
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'DPoP error="{code}", error_description="'), challenge
    assert ', algs="ES256 PS256 EdDSA"' in challenge
    return (answer.status_code, answer.json()["errorCode"]) == (401, code)


@pytest.fixture
async def holder(world: World) -> Holder:
    """One that was told the nonce of Acme already."""
    holder = Holder(world.clock.now)
    answer = await show_well(world.acme, holder, bound(world.acme, holder))
    assert refused(answer, "use_dpop_nonce")
    holder.nonce = answer.headers["dpop-nonce"]
    return holder


async def test_the_holder_may_read_and_write(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    assert (await show_well(acme, holder, token)).status_code == 200
    assert (await show_well(acme, holder, token, "POST")).status_code == 201
    assert [row.name for row in await acme.rows(models.Role, name="Clerk")] == ["Clerk"]


async def test_the_query_is_no_part_of_the_address(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    proof = holder.proof("GET", address(acme), token)
    assert (await show(acme, token, proof, path="/roles?page=0&per_page=1")).status_code == 200


async def test_a_path_is_compared_as_it_is_understood(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    for spelling in ("auth0|nobody", "auth0%7Cnobody", "auth0%7cnobody"):
        proof = holder.proof("GET", address(acme, f"/users/{spelling}"), token)
        assert (await show(acme, token, proof, path="/users/auth0%7Cnobody")).status_code == 404
    other = holder.proof("GET", address(acme, "/users/auth0%7Csomebody"), token)
    assert refused(await show(acme, token, other, path="/users/auth0%7Cnobody"), "invalid_dpop_proof")


async def test_a_proof_for_one_method_is_none_for_another(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    proof = holder.proof("GET", address(acme), token)
    assert refused(await show(acme, token, proof, method="POST"), "invalid_dpop_proof")
    assert await acme.rows(models.Role, name="Clerk") == []


async def test_nobody_else_may_use_it(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    stranger = Holder(holder.clock, nonce=holder.nonce)
    assert refused(await show_well(acme, stranger, token), "invalid_token")
    assert refused(await show(acme, token), "invalid_dpop_proof")
    assert refused(await show(acme, token, scheme="Bearer"), "invalid_token")
    downgraded = holder.proof("GET", address(acme), token)
    assert refused(await show(acme, token, downgraded, scheme="Bearer"), "invalid_token")
    assert (await show_well(acme, holder, token)).status_code == 200


async def test_a_token_without_a_key_is_no_token_of_this_scheme(acme: Place, holder: Holder) -> None:
    token = acme.token()
    assert refused(await show_well(acme, holder, token), "invalid_token")
    assert (await show(acme, token, scheme="Bearer")).status_code == 200


@pytest.mark.parametrize("cnf", [{}, {"x5t#S256": "x"}, {"jkt": 1}, "key", None, []])
async def test_a_binding_that_is_not_understood_is_not_undone(
    acme: Place, holder: Holder, cnf: object
) -> None:
    token = acme.sign({**acme.claims(), "cnf": cnf})
    assert (await show(acme, token, scheme="Bearer")).status_code == 401
    assert refused(await show_well(acme, holder, token), "invalid_token")


@pytest.mark.parametrize("make", NO_PROOFS_OF_A_TOKEN.values(), ids=NO_PROOFS_OF_A_TOKEN.keys())
async def test_what_is_no_proof_is_refused_and_changes_nothing(
    acme: Place, holder: Holder, make: Made
) -> None:
    token = bound(acme, holder)
    answer = await show(acme, token, make(holder, Wanted("POST", address(acme), token)), method="POST")
    assert refused(answer, "invalid_dpop_proof"), answer.text
    assert await acme.rows(models.UsedId) == []
    assert await acme.rows(models.Role, name="Clerk") == []
    assert (await show_well(acme, holder, token, "POST")).status_code == 201


async def test_two_proofs_are_refused(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    one, other = (holder.proof("GET", address(acme), token) for _ in range(2))
    assert refused(await show(acme, token, one, other), "invalid_dpop_proof")
    assert (await show(acme, token, one)).status_code == 200


async def test_a_proof_counts_once(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    proof = holder.proof("POST", address(acme), token)
    assert (await show(acme, token, proof, method="POST")).status_code == 201
    assert refused(await show(acme, token, proof, method="POST"), "invalid_dpop_proof")
    assert len(await acme.rows(models.UsedId)) == 1
    assert (await show_well(acme, holder, token)).status_code == 200


async def test_want_of_a_permission_is_told_in_the_same_scheme(acme: Place, holder: Holder) -> None:
    answer = await show_well(acme, holder, bound(acme, holder, "read:users"))
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"].startswith('DPoP error="insufficient_scope"')


async def test_an_operators_token_is_proved_to_the_tenant_it_is_used_on(world: World, holder: Holder) -> None:
    acme, token = world.acme, bound(world.one, holder, *PLATFORM_TOO)
    assert (await show_well(acme, holder, token)).status_code == 200
    proof = holder.proof("GET", address(acme), token)
    there = await show(world.globex, token, proof)
    assert refused(there, "invalid_dpop_proof")
    foreign_nonce = holder.proof("GET", address(world.globex), token)
    assert refused(await show(world.globex, token, foreign_nonce), "use_dpop_nonce")
    assert (await show(acme, token, proof)).status_code == 200
    assert refused(await show(acme, token, scheme="Bearer"), "invalid_token")


async def test_a_refused_conversation_leaves_nothing_in_the_log(acme: Place, holder: Holder) -> None:
    token = bound(acme, holder)
    await show(acme, token, holder.proof("POST", address(acme), token, nonce=None), method="POST")
    assert await acme.events() == []
