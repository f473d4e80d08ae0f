"""RFC 6749 section 6 and RFC 9700 section 4.14: rotation, reuse, and the switch of organization."""

import asyncio
from typing import Any

import pytest

from core.ids import digest
from tenant_runtime import models
from tests.engines.servers import written_for
from tests.protocol.issuer import API, OPEN_API, Issuers, add_client, claims_of, second_worker

pytestmark = pytest.mark.anyio


async def _token(issuers: Issuers, client_id: str = "web", **code: Any) -> str:
    token: str = (await issuers.acme.tokens(client_id, **code))["refresh_token"]
    return token


async def _policy(issuers: Issuers, client_id: str = "web", **values: Any) -> None:
    await issuers.acme.change(models.Client, {"client_id": client_id}, refresh_token=values)


async def test_a_refresh_rotates_the_token(issuers: Issuers) -> None:
    first = await _token(issuers, audience=API)
    answer = await issuers.acme.refresh(first)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["cache-control"]
    body = answer.json()
    assert body["refresh_token"] != first
    assert (await issuers.acme.refresh(body["refresh_token"])).status_code == 200
    assert await issuers.acme.events() == ["seacft", "sertft", "sertft"]


async def test_the_refreshed_id_token_is_about_the_same_login(issuers: Issuers) -> None:
    before = await issuers.acme.tokens(nonce="n-1")
    issuers.clock.time += 100
    after = (await issuers.acme.refresh(before["refresh_token"])).json()
    old, new = claims_of(before["id_token"]), claims_of(after["id_token"])
    for name in ("iss", "sub", "aud", "auth_time", "sid"):
        assert new[name] == old[name]
    assert new["iat"] == old["iat"] + 100
    assert "nonce" not in new


async def test_of_a_hundred_refreshes_at_once_one_succeeds_and_the_family_ends(issuers: Issuers) -> None:
    token = await _token(issuers)
    answers = await asyncio.gather(*(issuers.acme.refresh(token) for _ in range(100)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {a.json()["error"] for a in answers if a not in good} == {"invalid_grant"}
    assert (await issuers.acme.refresh(good[0].json()["refresh_token"])).json()["error"] == "invalid_grant"


async def test_of_a_hundred_refreshes_on_two_workers_one_succeeds(issuers: Issuers) -> None:
    token = await _token(issuers)
    async with second_worker(issuers.acme, issuers.services) as other:
        workers = (issuers.acme, other)
        answers = await asyncio.gather(*(workers[n % 2].refresh(token) for n in range(100)))
        [good] = [answer.json() for answer in answers if answer.status_code == 200]
        for worker in workers:
            assert (await worker.refresh(good["refresh_token"])).json()["error"] == "invalid_grant"


async def test_reuse_ends_the_family_for_good_although_the_answer_is_an_error(issuers: Issuers) -> None:
    first = await _token(issuers)
    second = (await issuers.acme.refresh(first)).json()
    assert (await issuers.acme.refresh(first)).json()["error"] == "invalid_grant"
    assert (await issuers.acme.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await issuers.acme.userinfo(second["access_token"])).status_code == 401
    [family] = await issuers.acme.rows(models.RefreshFamily)
    assert family.revoked_at == issuers.acme.now_ms
    assert "ferrt" in await issuers.acme.events()


async def test_within_the_leeway_a_second_use_yields_a_sibling(issuers: Issuers) -> None:
    await _policy(issuers, leeway=10)
    first = await _token(issuers)
    answers = [await issuers.acme.refresh(first)]
    issuers.clock.time += 9.9
    answers.append(await issuers.acme.refresh(first))
    assert [answer.status_code for answer in answers] == [200, 200]
    siblings = [answer.json()["refresh_token"] for answer in answers]
    assert len(set(siblings)) == 2
    issuers.clock.time += 0.2
    assert (await issuers.acme.refresh(first)).json()["error"] == "invalid_grant"
    for sibling in siblings:
        assert (await issuers.acme.refresh(sibling)).json()["error"] == "invalid_grant"


async def test_a_confidential_client_may_keep_its_token(issuers: Issuers) -> None:
    await _policy(issuers, rotation_type="non-rotating")
    token = await _token(issuers)
    for _ in range(2):
        answer = await issuers.acme.refresh(token)
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()


async def test_a_public_client_always_rotates(issuers: Issuers) -> None:
    await _policy(issuers, "spa", rotation_type="non-rotating")
    token = await _token(issuers, "spa")
    assert "refresh_token" in (await issuers.acme.refresh(token, "spa")).json()
    assert (await issuers.acme.refresh(token, "spa")).json()["error"] == "invalid_grant"


async def test_a_family_has_an_absolute_age_however_often_it_is_used(issuers: Issuers) -> None:
    await _policy(issuers, token_lifetime=1000, idle_token_lifetime=500)
    token = await _token(issuers)
    for _ in range(3):
        issuers.clock.time += 300
        token = (await issuers.acme.refresh(token)).json()["refresh_token"]
    issuers.clock.time += 100
    assert (await issuers.acme.refresh(token)).json()["error"] == "invalid_grant"


async def test_a_family_that_is_not_used_ends(issuers: Issuers) -> None:
    await _policy(issuers, token_lifetime=1000, idle_token_lifetime=500)
    token = await _token(issuers)
    issuers.clock.time += 500
    assert (await issuers.acme.refresh(token)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "policy",
    [
        {"infinite_token_lifetime": True, "infinite_idle_token_lifetime": True},
        {"expiration_type": "non-expiring", "token_lifetime": 1, "idle_token_lifetime": 1},
    ],
)
async def test_a_client_may_have_tokens_without_end(issuers: Issuers, policy: dict[str, Any]) -> None:
    await _policy(issuers, **policy)
    token = await _token(issuers)
    issuers.clock.time += 10 * 365 * 86_400
    assert (await issuers.acme.refresh(token)).status_code == 200


@pytest.mark.parametrize("client_id", ["web2", "spa"])
async def test_another_client_cannot_use_a_token_and_does_not_spoil_it(
    issuers: Issuers, client_id: str
) -> None:
    token = await _token(issuers)
    answer = await issuers.acme.refresh(token, client_id)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await issuers.acme.refresh(token)).status_code == 200


async def test_a_token_is_nothing_at_another_tenant(issuers: Issuers) -> None:
    token = await _token(issuers, "spa")
    assert (await issuers.globex.refresh(token, "spa")).json()["error"] == "invalid_grant"
    assert (await issuers.acme.refresh(token, "spa")).status_code == 200


async def test_scope_may_be_narrowed_and_comes_back_with_the_next_refresh(issuers: Issuers) -> None:
    token = await _token(
        issuers, audience=OPEN_API, scope="openid offline_access read:invoices write:invoices"
    )
    less = (await issuers.acme.refresh(token, scope="read:invoices")).json()
    assert less["scope"] == "read:invoices"
    assert "id_token" not in less
    again = (await issuers.acme.refresh(less["refresh_token"])).json()
    assert again["scope"] == "openid offline_access read:invoices write:invoices"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "read:invoices write:invoices"}, "invalid_scope"),
        ({"scope": "read:invoices profile"}, "invalid_scope"),
        ({"audience": API}, "invalid_grant"),
        ({"audience": "https://nowhere.example.com/"}, "invalid_grant"),
        ({"organization": "org_south"}, None),
        ({"organization": "org_west"}, "access_denied"),
        ({"organization": "org_nowhere"}, "invalid_request"),
        ({"scope": "read:invoices made:up"}, None),
    ],
)
async def test_more_than_was_authorized_is_refused_and_the_token_stays_good(
    issuers: Issuers, form: dict[str, str], error: str | None
) -> None:
    token = await _token(issuers, audience=OPEN_API, scope="openid offline_access read:invoices")
    answer = await issuers.acme.refresh(token, **form)
    assert answer.json().get("error") == error
    if error is not None:
        assert (await issuers.acme.refresh(token)).status_code == 200


async def test_a_refresh_may_switch_the_organization_and_the_new_token_names_it(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(organization_id="org_north", audience=API)
    switched = (await issuers.acme.refresh(tokens["refresh_token"], organization="South")).json()
    assert claims_of(switched["access_token"])["org_id"] == "org_south"
    assert claims_of(switched["id_token"])["org_name"] == "south"
    kept = (await issuers.acme.refresh(switched["refresh_token"])).json()
    assert claims_of(kept["access_token"])["org_id"] == "org_south"


async def test_a_client_that_denies_organizations_cannot_switch(issuers: Issuers) -> None:
    token = await _token(issuers)
    await issuers.acme.change(models.Client, {"client_id": "web"}, organization_usage="deny")
    answer = await issuers.acme.refresh(token, organization="org_north")
    assert answer.json()["error"] == "invalid_request"


async def test_permissions_are_the_members_roles_in_the_organization_at_that_moment(issuers: Issuers) -> None:
    scope = "openid offline_access read:invoices write:invoices"
    tokens = await issuers.acme.tokens(audience=API, scope=scope)
    assert claims_of(tokens["access_token"])["permissions"] == ["read:invoices"]
    assert tokens["scope"] == "openid offline_access read:invoices"
    north = (await issuers.acme.refresh(tokens["refresh_token"], organization="org_north")).json()
    assert claims_of(north["access_token"])["permissions"] == ["write:invoices"]
    await issuers.acme.remove(models.MembershipRole, membership_id="mem_north_ann")
    later = (await issuers.acme.refresh(north["refresh_token"])).json()
    assert claims_of(later["access_token"])["permissions"] == []
    assert later["scope"] == "openid offline_access"


async def test_a_tenant_may_add_what_the_user_holds_outside_the_organization(issuers: Issuers) -> None:
    flags = {"inherit_global_permissions_in_organizations": True}
    await issuers.acme.add(models.Setting, key="flags", source="tenant", value=flags)
    tokens = await issuers.acme.tokens(audience=API, organization_id="org_north")
    assert claims_of(tokens["access_token"])["permissions"] == ["read:invoices", "write:invoices"]


async def _block(issuers: Issuers) -> None:
    await issuers.acme.change(models.User, {"user_id": "auth0|ann"}, blocked=True)


async def _change_password(issuers: Issuers) -> None:
    await issuers.acme.change(models.User, {"user_id": "auth0|ann"}, sessions_valid_from=issuers.acme.now_ms)


async def _delete_user(issuers: Issuers) -> None:
    await issuers.acme.remove(models.User, user_id="auth0|ann")


async def _remove_member(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Membership, id="mem_north_ann")


async def _suspend_organization(issuers: Issuers) -> None:
    await issuers.acme.change(models.Organization, {"id": "org_north"}, suspended_at=1)


async def _end_family(issuers: Issuers) -> None:
    await issuers.acme.change(models.RefreshFamily, {"client_id": "web"}, revoked_at=1)


async def _delete_api(issuers: Issuers) -> None:
    await issuers.acme.remove(models.ResourceServer, id="open")


@pytest.mark.parametrize(
    "change",
    [_block, _change_password, _delete_user, _remove_member, _suspend_organization, _end_family, _delete_api],
)
async def test_what_happened_since_counts_at_the_next_refresh(issuers: Issuers, change: Any) -> None:
    token = await _token(issuers, organization_id="org_north", audience=OPEN_API)
    await change(issuers)
    answer = await issuers.acme.refresh(token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_deleted_client_is_no_client(issuers: Issuers) -> None:
    token = await _token(issuers)
    await issuers.acme.remove(models.Client, client_id="web")
    answer = await issuers.acme.refresh(token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_client_that_lost_the_grant_type_is_refused(issuers: Issuers) -> None:
    token = await _token(issuers)
    await issuers.acme.change(models.Client, {"client_id": "web"}, grant_types=["authorization_code"])
    assert (await issuers.acme.refresh(token)).json()["error"] == "unauthorized_client"


async def test_withdrawn_consent_ends_a_third_partys_access(issuers: Issuers) -> None:
    await add_client(issuers.acme, "partner", is_first_party=False)
    consent = {"user_id": "auth0|ann", "client_id": "partner", "audience": OPEN_API}
    await issuers.acme.add(models.Grant, id="con_1", scope=["openid"], **consent)
    tokens = await issuers.acme.tokens("partner", audience=OPEN_API)
    tokens = (await issuers.acme.refresh(tokens["refresh_token"], "partner")).json()
    token = tokens["refresh_token"]
    other = await issuers.acme.refresh(token, "partner", organization="org_north")
    assert other.json()["error"] == "consent_required"
    await issuers.acme.remove(models.Grant, id="con_1")
    assert (await issuers.acme.refresh(token, "partner")).json()["error"] == "invalid_grant"


async def test_consent_in_one_organization_gives_no_more_in_another(issuers: Issuers) -> None:
    """What was allowed for the family's organization is not allowed where less was."""
    await add_client(issuers.acme, "partner", is_first_party=False)
    consent = {"user_id": "auth0|ann", "client_id": "partner", "audience": OPEN_API}
    everything = ["openid", "profile", "email", "offline_access", "read:all"]
    await issuers.acme.add(models.Grant, id="con_1", scope=everything, **consent)
    await issuers.acme.add(models.Grant, id="con_2", scope=["openid"], organization_id="org_north", **consent)
    token = (await issuers.acme.tokens("partner", audience=OPEN_API))["refresh_token"]
    refused = await issuers.acme.refresh(token, "partner", organization="org_north")
    assert refused.json()["error"] == "consent_required"
    less = await issuers.acme.refresh(token, "partner", organization="org_north", scope="openid")
    assert (less.status_code, less.json()["scope"]) == (200, "openid")


async def test_an_ended_session_leaves_an_offline_token_that_names_no_session(issuers: Issuers) -> None:
    token = await _token(issuers, audience=API)
    await issuers.acme.change(models.Session, {"id": "sess_ann"}, ended_at=issuers.acme.now_ms)
    tokens = (await issuers.acme.refresh(token)).json()
    assert "sid" not in claims_of(tokens["access_token"])
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 200


async def test_a_code_or_an_access_token_is_no_refresh_token(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    for value in (await issuers.acme.code(), tokens["access_token"], tokens["id_token"], "x"):
        assert (await issuers.acme.refresh(value)).json()["error"] == "invalid_grant"


async def test_only_the_digest_of_a_token_is_stored(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    [row] = await issuers.acme.rows(models.RefreshToken)
    assert row.digest == digest(tokens["refresh_token"])
    written = written_for(issuers.acme.tenant.database.ref)
    assert tokens["refresh_token"].encode() not in written
    assert tokens["access_token"].encode() not in written
