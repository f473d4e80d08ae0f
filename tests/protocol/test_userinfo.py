"""OpenID Connect Core 1.0 section 5.3 and RFC 6750: claims for whoever shows a token, while it is good."""

from typing import Any

import pytest

from tenant_runtime import models
from tests.protocol.issuer import API, OPEN_API, SPA_ORIGIN, Issuers, claims_of

pytestmark = pytest.mark.anyio

ALL = "openid profile email address phone"


async def test_the_subject_is_the_id_tokens(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    answer = await issuers.acme.userinfo(tokens["access_token"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "no-store" in answer.headers["cache-control"]
    assert answer.json() == {"sub": claims_of(tokens["id_token"])["sub"]}


async def test_each_scope_stands_for_its_claims(issuers: Issuers) -> None:
    await issuers.acme.change(
        models.User, {"user_id": "auth0|ann"}, phone_number="+351000", phone_verified=False
    )
    token = (await issuers.acme.tokens(scope=ALL))["access_token"]
    claims = (await issuers.acme.userinfo(token)).json()
    assert claims["name"] == "Ann"
    assert claims["nickname"] == "ann"
    assert claims["zoneinfo"] == "Europe/Lisbon"
    assert isinstance(claims["updated_at"], int)
    assert (claims["email"], claims["email_verified"]) == ("ann@example.com", True)
    assert claims["address"] == {"country": "PT"}
    assert (claims["phone_number"], claims["phone_number_verified"]) == ("+351000", False)
    assert "secret_thing" not in claims
    assert None not in claims.values()


@pytest.mark.parametrize(
    ("scope", "present", "absent"),
    [
        ("openid profile", "name", "email"),
        ("openid email", "email", "name"),
        ("openid address", "address", "email"),
        ("email openid", "email", "address"),
    ],
)
async def test_a_scope_brings_nothing_of_another(
    issuers: Issuers, scope: str, present: str, absent: str
) -> None:
    token = (await issuers.acme.tokens(scope=scope))["access_token"]
    claims = (await issuers.acme.userinfo(token)).json()
    assert present in claims
    assert absent not in claims


async def test_a_client_may_have_the_claims_of_its_scopes_in_the_id_token(issuers: Issuers) -> None:
    plain = claims_of((await issuers.acme.tokens(scope="openid profile email"))["id_token"])
    assert not {"name", "email"} & plain.keys()
    await issuers.acme.change(models.Client, {"client_id": "web"}, jwt_configuration={"scope_claims": True})
    claims = claims_of((await issuers.acme.tokens(scope="openid email"))["id_token"])
    assert (claims["email"], claims["email_verified"]) == ("ann@example.com", True)
    assert "name" not in claims


async def test_claims_may_be_asked_for_one_by_one(issuers: Issuers) -> None:
    asked = {"userinfo": {"name": {"essential": True}, "gender": None, "app_metadata": None}}
    token = (await issuers.acme.tokens(claims=asked))["access_token"]
    assert (await issuers.acme.userinfo(token)).json() == {"sub": "auth0|ann", "name": "Ann"}


@pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])
async def test_the_token_may_be_sent_in_three_ways(issuers: Issuers, code: dict[str, Any]) -> None:
    token = (await issuers.acme.tokens(**code))["access_token"]
    http, header = issuers.acme.http, {"Authorization": f"Bearer {token}"}
    answers = [
        await http.get("/userinfo", headers=header),
        await http.post("/userinfo", headers=header),
        await http.post("/userinfo", data={"access_token": token}),
        await http.get("/userinfo", headers={"Authorization": f"bearer {token}"}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_the_token_in_the_address_or_in_two_places_is_refused(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens())["access_token"]
    http, header = issuers.acme.http, {"Authorization": f"Bearer {token}"}
    assert (await http.get(f"/userinfo?access_token={token}")).status_code in (400, 401)
    answer = await http.post("/userinfo", headers=header, data={"access_token": token})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    twice = [("authorization", f"Bearer {token}")] * 2
    assert (await http.get("/userinfo", headers=twice)).status_code == 401


async def test_without_a_token_the_challenge_names_no_error(issuers: Issuers) -> None:
    answer = await issuers.acme.http.get("/userinfo")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="userinfo", resource_metadata=')


@pytest.mark.parametrize(
    "header", ["Basic eDp5", "Bearer", "Bearer ", "Bearer a b", "Token x", "Bearer ünïcode", ""]
)
async def test_a_header_that_is_no_bearer_token_is_refused(issuers: Issuers, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    answer = await issuers.acme.http.get("/userinfo", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "code", [{"scope": "profile"}, {"scope": "profile read:invoices", "audience": OPEN_API}]
)
async def test_a_token_without_openid_is_not_for_here(issuers: Issuers, code: dict[str, str]) -> None:
    token = (await issuers.acme.tokens(**code))["access_token"]
    assert (await issuers.acme.userinfo(token)).status_code in (401, 403)


async def test_a_machine_token_is_not_for_here(issuers: Issuers) -> None:
    token = (await issuers.acme.machine(audience=API)).json()["access_token"]
    assert (await issuers.acme.userinfo(token)).status_code == 401


@pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])
async def test_a_token_ends_at_its_time(issuers: Issuers, code: dict[str, Any]) -> None:
    tokens = await issuers.acme.tokens(**code)
    issuers.clock.time += tokens["expires_in"] - 1
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 200
    issuers.clock.time += 1
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 401


async def _block(issuers: Issuers) -> None:
    await issuers.acme.change(models.User, {"user_id": "auth0|ann"}, blocked=True)


async def _change_password(issuers: Issuers) -> None:
    await issuers.acme.change(models.User, {"user_id": "auth0|ann"}, sessions_valid_from=issuers.acme.now_ms)


async def _delete_user(issuers: Issuers) -> None:
    await issuers.acme.remove(models.User, user_id="auth0|ann")


async def _end_session(issuers: Issuers) -> None:
    await issuers.acme.change(models.Session, {"id": "sess_ann"}, ended_at=issuers.acme.now_ms)


async def _remove_member(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Membership, id="mem_north_ann")


async def _suspend_organization(issuers: Issuers) -> None:
    await issuers.acme.change(models.Organization, {"id": "org_north"}, suspended_at=1)


async def _delete_organization(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Organization, id="org_north")


async def _end_family(issuers: Issuers) -> None:
    await issuers.acme.change(models.RefreshFamily, {"client_id": "web"}, revoked_at=1)


async def _delete_client(issuers: Issuers) -> None:
    await issuers.acme.remove(models.Client, client_id="web")


@pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])
@pytest.mark.parametrize(
    "change",
    [
        _block,
        _change_password,
        _delete_user,
        _end_session,
        _remove_member,
        _suspend_organization,
        _delete_organization,
        _end_family,
        _delete_client,
    ],
)
async def test_what_happened_since_counts_at_once(
    issuers: Issuers, change: Any, code: dict[str, str]
) -> None:
    token = (await issuers.acme.tokens(organization_id="org_north", **code))["access_token"]
    assert (await issuers.acme.userinfo(token)).json()["org_id"] == "org_north"
    await change(issuers)
    answer = await issuers.acme.userinfo(token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_session_that_ran_its_time_and_is_gone_ends_no_token(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    await issuers.acme.remove(models.Session, id="sess_ann")
    assert (await issuers.acme.userinfo(token)).status_code == 200


async def test_an_application_in_a_browser_may_read_it(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens("spa"))["access_token"]
    answer = await issuers.acme.userinfo(token, Origin=SPA_ORIGIN)
    assert answer.headers["access-control-allow-origin"] == SPA_ORIGIN
    refused = await issuers.acme.userinfo("x", Origin=SPA_ORIGIN)
    assert refused.headers["access-control-allow-origin"] == SPA_ORIGIN
    assert "www-authenticate" in refused.headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_answered(issuers: Issuers, method: str) -> None:
    answer = await issuers.acme.http.request(method, "/userinfo")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
