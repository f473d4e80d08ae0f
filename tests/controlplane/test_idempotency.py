"""`Idempotency-Key` on the platform's POSTs: sent again, a request has its first answer."""

import asyncio
import secrets
from typing import Any

import pytest

from core import failpoints
from tests.controlplane.conftest import Platform, platform_of

pytestmark = pytest.mark.anyio


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


def fresh_id() -> str:
    return f"t{secrets.token_hex(4)}"


async def test_a_tenant_is_made_once_and_answered_twice(platform: Platform) -> None:
    body, headers = {"id": fresh_id()}, key()
    first = await platform("POST", "/tenants", body, headers=headers)
    await platform("PATCH", f"/tenants/{body['id']}", {"display_name": "Changed since"})
    second = await platform("POST", "/tenants", body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    operations = (await platform("GET", f"/tenants/{body['id']}/operations")).json()
    assert [item["kind"] for item in operations].count("create") == 1


async def test_ten_at_once_make_one_tenant_and_have_one_answer(platform: Platform) -> None:
    body, headers = {"id": fresh_id()}, key()
    answers = await asyncio.gather(*(platform("POST", "/tenants", body, headers=headers) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["state"] == "active"


async def test_another_body_is_422_and_another_caller_has_keys_of_their_own(platform: Platform) -> None:
    body, headers = {"id": fresh_id()}, key()
    await platform("POST", "/tenants", body, headers=headers)
    other = await platform("POST", "/tenants", {"id": fresh_id()}, headers=headers)
    assert other.status_code == 422, other.text
    admin = await platform.person("Platform Admin")
    answer = await platform("POST", "/tenants", body, headers=headers, caller=admin)
    assert answer.status_code == 409


async def test_a_request_that_was_refused_leaves_its_key_free(platform: Platform) -> None:
    headers = key()
    for body, status in ({"id": "NO"}, 400), ({"id": "acme"}, 409), ({"id": fresh_id()}, 201):
        assert (await platform("POST", "/tenants", body, headers=headers)).status_code == status
    headers = key()
    assert (await platform("POST", "/tenants/control_plane/suspend", headers=headers)).status_code == 403
    assert (await platform("POST", "/tenants/globex/suspend", headers=headers)).status_code == 200
    await platform("POST", "/tenants/globex/resume")


@pytest.mark.parametrize("value", ["", "with space", "x" * 256, "\u00fc".encode()])
async def test_a_key_is_one_value_of_visible_characters(platform: Platform, value: Any) -> None:
    body = {"id": fresh_id()}
    answer = await platform("POST", "/tenants", body, headers={"Idempotency-Key": value})
    assert answer.status_code == 400, answer.text
    assert (await platform("GET", f"/tenants/{body['id']}")).status_code == 404


async def test_every_other_post_has_its_first_answer_again(platform: Platform) -> None:
    for path in ("/tenants/initech/suspend", "/tenants/initech/resume", "/tenants/initech/retry",
                 "/tenants/initech/converge", "/fleet/converge"):  # fmt: skip
        headers = key()
        first = await platform("POST", path, headers=headers)
        again = await platform("POST", path, headers=headers)
        assert first.status_code in (200, 202), first.text
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        other = await platform("POST", f"{path}?x=1", headers=headers)
        assert other.status_code == 422
    headers = key()
    await platform("POST", "/tenants/initech/suspend", headers=headers)
    await platform("POST", "/tenants/initech/resume")
    assert (await platform("POST", "/tenants/initech/suspend", headers=headers)).json()[
        "state"
    ] == "suspended"
    assert (await platform("GET", "/tenants/initech")).json()["state"] == "active"


async def test_answers_are_sealed_in_the_registry(platform: Platform) -> None:
    body, headers = {"id": fresh_id(), "display_name": f"name {secrets.token_hex(6)}"}, key()
    await platform("POST", "/tenants", body, headers=headers)
    kept = await platform.installation.running.platform.registry.read(_bodies)
    assert kept
    assert not any(body["display_name"].encode() in item for item in kept)
    assert not any(headers["Idempotency-Key"].encode() in item for item in kept)


def _bodies(connection: Any) -> list[bytes]:
    rows = connection.exec_driver_sql("SELECT digest, request_digest, body FROM idempotency_keys").all()
    return [b"|".join((row[0].encode(), row[1].encode(), bytes(row[2] or b""))) for row in rows]


async def test_a_key_is_forgotten_after_a_day(fresh: Platform) -> None:
    headers = key()
    await fresh("POST", "/tenants", {"id": "first"}, headers=headers)
    fresh.installation.clock.advance(25 * 3600)
    later = await platform_of(fresh.installation)
    answer = await later("POST", "/tenants", {"id": "second"}, headers=headers)
    assert answer.status_code == 201


async def test_a_claim_of_a_dead_request_stands_in_nobodys_way_for_long(fresh: Platform) -> None:
    def claim(connection: Any, digest: str, request_digest: str, now: int) -> None:
        connection.exec_driver_sql(
            "UPDATE idempotency_keys SET status = NULL, body = NULL, expires_at = ?", (now,)
        )

    headers = key()
    assert (await fresh("POST", "/tenants/acme/suspend", headers=headers)).status_code == 200
    now = int(fresh.installation.clock.now() * 1000)
    registry = fresh.installation.running.platform.registry
    await registry.write(claim, "", "", now + 15_000)
    assert (await fresh("POST", "/tenants/acme/suspend", headers=headers)).status_code == 409
    fresh.installation.clock.advance(16)
    assert (await fresh("POST", "/tenants/acme/suspend", headers=headers)).status_code == 200


async def test_a_creation_that_failed_at_a_step_is_answered_as_it_stands(fresh: Platform) -> None:
    headers = key()
    failpoints.configure("provision.organization.before=raise@1")
    try:
        first = await fresh("POST", "/tenants", {"id": "slow"}, headers=headers)
    finally:
        failpoints.configure("")
    assert first.status_code == 201
    assert first.json()["state"] == "failed"
    assert first.json()["error"].startswith("organization: ")
    assert (await fresh("POST", "/tenants", {"id": "slow"}, headers=headers)).json() == first.json()
    assert (await fresh("POST", "/tenants/slow/retry")).json()["state"] == "active"
