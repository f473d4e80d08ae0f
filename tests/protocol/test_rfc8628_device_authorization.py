"""RFC 8628: a device asks for approval and waits for it. The person's side is in `tests/login/test_device_pages.py`."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, update

from core.ids import digest
from tenant_runtime import models
from tenant_runtime.management.endings import end_membership
from tenant_runtime.oauth.device import authorization as device_authorization
from tests.holder import Holder
from tests.protocol.issuer import API, CODE_GRANTS, Issuer, Issuers, add_client, claims_of, second_worker

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def with_devices(*issuers: Issuer) -> None:
    """`tv` is public and `box` confidential, of one name in every tenant; `reader` takes codes only."""
    for issuer in issuers:
        await issuer.add(
            models.Connection, id="con_users", name="Users", strategy="auth0", enabled_for_all_clients=True
        )
        for client_id, method in (("tv", "none"), ("tv2", "none"), ("box", "client_secret_post")):
            await add_client(
                issuer,
                client_id,
                app_type="native",
                token_endpoint_auth_method=method,
                grant_types=[DEVICE, *CODE_GRANTS],
            )


async def start(issuer: Issuer, client_id: str = "tv", **form: str) -> httpx.Response:
    body = {"client_id": client_id, "scope": "openid offline_access", **form}
    if client_id in issuer.secrets:
        body.setdefault("client_secret", issuer.secrets[client_id])
    return await issuer.http.post("/oauth/device/code", data=body)


async def started(issuer: Issuer, client_id: str = "tv", **form: str) -> dict[str, Any]:
    answer = await start(issuer, client_id, **form)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def decide(issuer: Issuer, code: str, *, is_approved: bool = True, **values: Any) -> None:
    """What the page writes (`login.devices.decisions`)."""
    row = {
        "is_approved": is_approved,
        "user_id": "auth0|ann",
        "session_id": "sess_ann",
        "amr": ["pwd"],
        "authenticated_at": issuer.now_ms - 1000,
    }
    await issuer.change(models.DeviceCode, {"digest": digest(code)}, **(row | values))


async def approved(issuer: Issuer, client_id: str = "tv", **form: str) -> str:
    code: str = (await started(issuer, client_id, **form))["device_code"]
    await decide(issuer, code)
    return code


async def poll(issuer: Issuer, code: str, client_id: str = "tv", **form: str) -> httpx.Response:
    return await issuer.token(client_id, grant_type=DEVICE, device_code=code, **form)


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def test_the_answer_is_what_section_3_2_asks_for(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    answer = await start(acme)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", body["user_code"])
    assert body["verification_uri"] == "https://acme.example.com/activate"
    assert body["verification_uri_complete"] == f"{body['verification_uri']}?user_code={body['user_code']}"
    assert (body["expires_in"], body["interval"]) == (900, 5)
    assert len(body["device_code"]) >= 43
    assert answer.headers["cache-control"] == "no-store"
    metadata = (await acme.http.get("/.well-known/openid-configuration")).json()
    assert metadata["device_authorization_endpoint"] == "https://acme.example.com/oauth/device/code"
    assert DEVICE in metadata["grant_types_supported"]


async def test_neither_code_is_stored(issuers: Issuers) -> None:
    await with_devices(issuers.acme)
    body = await started(issuers.acme)
    (row,) = await issuers.acme.rows(models.DeviceCode)
    stored = repr(tuple(row))
    letters = body["user_code"].replace("-", "")
    assert body["device_code"] not in stored
    assert letters not in stored
    assert digest(letters) not in stored  # so few letters are tried out in seconds


async def test_who_may_not_ask_is_told_so_and_nothing_is_stored(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    await add_client(
        acme, "closed", token_endpoint_auth_method="none", grant_types=[DEVICE], organization_usage="deny"
    )
    wrong: list[tuple[httpx.Response, tuple[int, str]]] = [
        (await start(acme, "web"), (400, "unauthorized_client")),
        (await start(acme, "nobody"), (401, "invalid_client")),
        (await start(acme, "box", client_secret="wrong"), (401, "invalid_client")),
        (await start(acme, "tv", client_secret="any"), (401, "invalid_client")),
        (await start(acme, scope='a"b'), (400, "invalid_scope")),
        (await start(acme, audience="https://unknown.example.com"), (403, "access_denied")),
        (await start(acme, resource="https://unknown.example.com"), (400, "invalid_target")),
        (await start(acme, resource="no uri"), (400, "invalid_target")),
        (await start(acme, "closed", organization="org_north"), (400, "invalid_request")),
        (await start(acme, organization=" "), (400, "invalid_request")),
        (await start(acme, scope=" ".join(f"s{n}" for n in range(300))), (400, "invalid_scope")),
    ]  # fmt: skip
    for answer, expected in wrong:
        assert error_of(answer) == expected, answer.text
    assert (await acme.http.get("/oauth/device/code")).status_code == 405
    twice = "client_id=tv&scope=openid&scope=email"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert error_of(await acme.http.post("/oauth/device/code", content=twice, headers=form)) == (
        400,
        "invalid_request",
    )
    assert await acme.rows(models.DeviceCode) == []


async def test_a_device_waits_and_is_slowed_down_when_it_hurries(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    code = (await started(acme))["device_code"]
    assert error_of(await poll(acme, code)) == (400, "authorization_pending")
    issuers.clock.time += 5
    assert error_of(await poll(acme, code)) == (400, "authorization_pending")
    issuers.clock.time += 1
    assert error_of(await poll(acme, code)) == (400, "slow_down")
    issuers.clock.time += 6  # five were enough before; it is ten from now on
    assert error_of(await poll(acme, code)) == (400, "slow_down")
    issuers.clock.time += 15
    assert error_of(await poll(acme, code)) == (400, "authorization_pending")
    await decide(acme, code)
    assert (await poll(acme, code)).status_code == 200
    assert await acme.events() == ["sede"]  # waiting is no failure


async def test_an_approved_device_has_tokens_of_the_person(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    asked = await started(
        acme, audience=API, scope="openid offline_access read:invoices write:invoices nonsense"
    )
    await decide(acme, asked["device_code"], organization_id="org_north")
    body = (await poll(acme, asked["device_code"])).json()
    claims = claims_of(body["access_token"])
    assert claims["sub"] == "auth0|ann"
    assert claims["client_id"] == "tv"
    assert claims["org_id"] == "org_north"
    assert "sid" not in claims
    assert claims["scope"] == "openid offline_access write:invoices"  # what she holds there
    assert claims_of(body["id_token"])["aud"] == "tv"
    refreshed = await acme.refresh(body["refresh_token"], "tv")
    assert refreshed.status_code == 200
    assert claims_of(refreshed.json()["access_token"])["org_id"] == "org_north"


async def test_without_offline_access_there_is_no_refresh_token(issuers: Issuers) -> None:
    await with_devices(issuers.acme)
    code = await approved(issuers.acme, scope="openid")
    body = (await poll(issuers.acme, code)).json()
    assert "refresh_token" not in body
    assert (await issuers.acme.userinfo(body["access_token"])).json()["sub"] == "auth0|ann"


async def test_denied_and_expired_are_said_by_name(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    denied = (await started(acme))["device_code"]
    await decide(acme, denied, is_approved=False)
    for _ in range(2):
        assert error_of(await poll(acme, denied)) == (400, "access_denied")
    late, late_and_approved = (await started(acme))["device_code"], await approved(acme)
    issuers.clock.time += 900
    assert error_of(await poll(acme, late)) == (400, "expired_token")
    assert error_of(await poll(acme, late_and_approved)) == (400, "expired_token")
    assert await acme.rows(models.RefreshFamily) == []


async def test_a_code_is_its_clients_and_its_tenants_alone(issuers: Issuers) -> None:
    """`specs/bad-inputs.md` 72, and the same client ids in both tenants."""
    acme, globex = issuers.acme, issuers.globex
    await with_devices(acme, globex)
    code = await approved(acme)
    assert error_of(await poll(acme, code, "tv2")) == (400, "invalid_grant")
    assert error_of(await poll(acme, code, "box")) == (400, "invalid_grant")
    assert error_of(await poll(globex, code)) == (400, "invalid_grant")
    form = {"grant_type": DEVICE, "device_code": code, "client_id": "tv"}
    other = await acme.http.post("/oauth/token", data=form, auth=("box", acme.secrets["box"]))
    assert error_of(other) == (400, "invalid_grant")
    assert (await poll(acme, code)).status_code == 200  # nobody burnt it


async def test_each_kind_of_code_has_a_namespace_of_its_own(issuers: Issuers) -> None:
    """`specs/bad-inputs.md` 61."""
    acme = issuers.acme
    await with_devices(acme)
    device = await started(acme, "box")
    await decide(acme, device["device_code"])
    refresh_token = (await acme.tokens())["refresh_token"]
    code = await acme.code("box")
    for value in (
        code,
        refresh_token,
        device["user_code"],
        device["user_code"].replace("-", ""),
        "x",
        "x" * 5000,
    ):
        assert error_of(await poll(acme, value, "box")) == (400, "invalid_grant")
    assert error_of(await acme.redeem(device["device_code"], "box")) == (400, "invalid_grant")
    assert error_of(await acme.refresh(device["device_code"], "box")) == (400, "invalid_grant")
    assert (await acme.redeem(code, "box")).status_code == 200
    assert (await poll(acme, device["device_code"], "box")).status_code == 200
    assert error_of(await acme.token("box", grant_type=DEVICE)) == (400, "invalid_request")


async def test_of_a_hundred_polls_at_once_over_two_workers_one_succeeds(issuers: Issuers) -> None:
    """`specs/faults.md` F8."""
    acme = issuers.acme
    await with_devices(acme)
    code = await approved(acme, "box")
    async with second_worker(acme, issuers.services) as other:
        answers = await asyncio.gather(*(poll((acme, other)[n % 2], code, "box") for n in range(100)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {error_of(answer) for answer in answers if answer not in good} == {(400, "invalid_grant")}
    body = good[0].json()
    assert error_of(await acme.refresh(body["refresh_token"], "box")) == (400, "invalid_grant")
    assert (await acme.userinfo(body["access_token"])).status_code == 401


async def test_a_second_use_ends_what_the_first_was_given(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    code = await approved(acme)
    body = (await poll(acme, code)).json()
    assert (await acme.userinfo(body["access_token"])).status_code == 200
    assert error_of(await poll(acme, code, "tv2")) == (400, "invalid_grant")  # not theirs: ends nothing
    assert (await acme.userinfo(body["access_token"])).status_code == 200
    assert error_of(await poll(acme, code)) == (400, "invalid_grant")
    assert (await acme.userinfo(body["access_token"])).status_code == 401
    assert error_of(await acme.refresh(body["refresh_token"], "tv")) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("model", "where", "values"),
    [
        (models.User, {"user_id": "auth0|ann"}, {"blocked": True}),
        (models.User, {"user_id": "auth0|ann"}, {"sessions_valid_from": 1_900_000_000_000}),
        (models.Session, {"id": "sess_ann"}, {"ended_at": 1}),
        (models.Organization, {"id": "org_north"}, {"suspended_at": 1}),
    ],
)
async def test_what_happened_to_the_person_since_counts(
    issuers: Issuers, model: Any, where: dict[str, Any], values: dict[str, Any]
) -> None:
    acme = issuers.acme
    await with_devices(acme)
    code = (await started(acme))["device_code"]
    await decide(acme, code, organization_id="org_north")
    await acme.change(model, where, **values)
    assert error_of(await poll(acme, code)) == (400, "invalid_grant")
    assert await acme.rows(models.RefreshToken) == []


async def test_who_left_the_organization_or_was_deleted_has_nothing(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    left, deleted = (await started(acme))["device_code"], (await started(acme))["device_code"]
    await decide(acme, left, organization_id="org_north")
    await decide(acme, deleted, user_id="auth0|bob", session_id="sess_bob")
    await acme.remove(models.Membership, id="mem_north_ann")
    await acme.remove(models.User, user_id="auth0|bob")
    assert error_of(await poll(acme, left)) == (400, "invalid_grant")
    assert error_of(await poll(acme, deleted)) == (400, "invalid_grant")
    await acme.tenant.database.write(
        end_membership, acme.tenant.data_key, "org_north", "auth0|ann", acme.now_ms
    )
    again = {"organization_id": "org_north", "user_id": "auth0|ann", "created_at": acme.now_ms}
    await acme.add(models.Membership, id="mem_again", **again)
    assert error_of(await poll(acme, left)) == (400, "invalid_grant"), "who comes back approves anew"


async def test_a_client_that_lost_the_grant_is_refused(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    code = await approved(acme)
    await acme.tenant.database.alone(_without_grant)
    assert error_of(await poll(acme, code)) == (400, "unauthorized_client")


def _without_grant(connection: Connection) -> None:
    table = models.Client.__table__
    connection.execute(update(table).where(table.c.client_id == "tv").values(grant_types=CODE_GRANTS))


async def prove(issuer: Issuer, holder: Holder, path: str, **form: str) -> httpx.Response:
    body = {"client_id": "tv", **form}
    return await holder.send(issuer.http, "POST", f"{issuer.tenant.issuer}{path}", data=body)


async def test_a_device_that_proves_a_key_gets_tokens_for_that_key(issuers: Issuers) -> None:
    """RFC 9449: at the start it binds the code, at the end the tokens."""
    acme = issuers.acme
    await with_devices(acme)
    holder, thief = Holder(issuers.clock.now), Holder(issuers.clock.now)
    started_by = await prove(acme, holder, "oauth/device/code", scope="openid offline_access", audience=API)
    assert started_by.status_code == 200, started_by.text
    code = started_by.json()["device_code"]
    form = {"grant_type": DEVICE, "device_code": code}
    for wrong in (await poll(acme, code), await prove(acme, thief, "oauth/token", **form)):
        assert error_of(wrong) == (400, "invalid_grant")
    await decide(acme, code)
    assert error_of(await poll(acme, code)) == (400, "invalid_grant")
    body = (await prove(acme, holder, "oauth/token", **form)).json()
    assert body["token_type"] == "DPoP"
    assert claims_of(body["access_token"])["cnf"] == {"jkt": holder.jkt}
    assert error_of(await acme.refresh(body["refresh_token"], "tv")) == (400, "invalid_grant")


async def test_a_proof_at_the_token_endpoint_alone_binds_too(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    holder = Holder(issuers.clock.now)
    code = await approved(acme, audience=API)
    body = (await prove(acme, holder, "oauth/token", grant_type=DEVICE, device_code=code)).json()
    assert claims_of(body["access_token"])["cnf"] == {"jkt": holder.jkt}


async def test_a_proof_for_another_address_starts_nothing(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    holder = Holder(issuers.clock.now)
    await prove(acme, holder, "oauth/device/code")  # is told a nonce
    proof = holder.proof("POST", f"{acme.tenant.issuer}oauth/token")
    answer = await acme.http.post("/oauth/device/code", data={"client_id": "tv"}, headers={"DPoP": proof})
    assert error_of(answer) == (400, "invalid_dpop_proof")
    assert len(await acme.rows(models.DeviceCode)) == 1


async def test_how_many_wait_is_bounded_per_client_and_tenant(
    issuers: Issuers, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = issuers.acme, issuers.globex
    await with_devices(acme, globex)
    monkeypatch.setattr(device_authorization, "MOST_WAITING", 4)
    assert [(await start(acme)).status_code for _ in range(3)] == [200, 200, 429]
    refused = await start(acme)
    assert "retry-after" in refused.headers
    assert [(await start(acme, "tv2")).status_code for _ in range(2)] == [200, 200]
    assert (await start(acme, "box")).status_code == 429
    assert (await start(globex)).status_code == 200
    await acme.tenant.database.alone(_became_a_stranger, "tv2")
    issuers.clock.time += 900
    assert [(await start(acme)).status_code for _ in range(2)] == [200, 200]
    assert (await start(acme, "tv2")).status_code == 429  # who came on their own share half of the room
    assert (await start(acme, "box")).status_code == 200


def _became_a_stranger(connection: Connection, client_id: str) -> None:
    table = models.Client.__table__
    connection.execute(update(table).where(table.c.client_id == client_id).values(origin="registration"))


async def test_a_device_goes_on_when_the_browser_that_approved_it_is_signed_out(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_devices(acme)
    tokens = (await poll(acme, await approved(acme))).json()
    await acme.change(models.Session, {"id": "sess_ann"}, ended_at=acme.now_ms)
    assert (await acme.userinfo(tokens["access_token"])).status_code == 200
    assert (await acme.refresh(tokens["refresh_token"], "tv")).status_code == 200


async def test_a_device_has_no_permission_that_the_page_did_not_name(issuers: Issuers) -> None:
    """Also of a first-party client: whoever is talked into approving a stranger's device gives what they read."""
    acme = issuers.acme
    await with_devices(acme)
    await acme.add(models.UserRole, user_id="auth0|ann", role_id="rol_writer")
    tokens = (await poll(acme, await approved(acme, audience=API, scope="openid read:invoices"))).json()
    assert claims_of(tokens["access_token"])["permissions"] == ["read:invoices"]
