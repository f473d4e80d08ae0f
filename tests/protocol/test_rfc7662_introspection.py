"""RFC 7662: what a token is worth now, told to the client it was issued to and to the API it is for; to nobody else."""

from typing import Any

import httpx
import pytest

from tenant_runtime import models
from tests.protocol.issuer import API, OPEN_API, Issuer, Issuers, add_client, second_worker

pytestmark = pytest.mark.anyio

INACTIVE = {"active": False}
KINDS = pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])


async def ask(issuer: Issuer, token: str, client_id: str = "web", **form: str) -> httpx.Response:
    body = {"token": token, "client_id": client_id, **form}
    if client_id in issuer.secrets:
        body.setdefault("client_secret", issuer.secrets[client_id])
    return await issuer.http.post("/oauth/introspect", data=body)


async def told(issuer: Issuer, token: str, client_id: str = "web", **form: str) -> dict[str, Any]:
    answer = await ask(issuer, token, client_id, **form)
    assert answer.status_code == 200, answer.text
    assert "no-store" in answer.headers["cache-control"]
    body: dict[str, Any] = answer.json()
    return body


async def add_api_client(issuer: Issuer, identifier: str = API) -> None:
    await add_client(
        issuer, "api", app_type="resource_server", grant_types=[], resource_server_identifier=identifier
    )


async def test_an_api_learns_what_a_token_says(issuers: Issuers) -> None:
    await add_api_client(issuers.acme)
    tokens = await issuers.acme.tokens(
        audience=API, organization_id="org_north", scope="openid write:invoices offline_access"
    )
    body = await told(issuers.acme, tokens["access_token"], "api")
    assert body["active"] is True
    assert body["token_type"] == "Bearer"
    assert (body["iss"], body["sub"]) == (issuers.acme.tenant.issuer, "auth0|ann")
    assert (body["client_id"], body["org_id"]) == ("web", "org_north")
    assert API in body["aud"]
    assert "write:invoices" in body["scope"].split()
    assert body["permissions"] == ["write:invoices"]
    assert body["exp"] - body["iat"] == 3600


@KINDS
async def test_a_client_learns_of_its_own_tokens(issuers: Issuers, code: dict[str, Any]) -> None:
    tokens = await issuers.acme.tokens(**code)
    body = await told(issuers.acme, tokens["access_token"])
    assert (body["active"], body["client_id"], body["sub"]) == (True, "web", "auth0|ann")
    refresh = await told(issuers.acme, tokens["refresh_token"])
    assert (refresh["active"], refresh["client_id"], refresh["sub"]) == (True, "web", "auth0|ann")
    assert "token_type" not in refresh


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
async def test_the_hint_decides_nothing(issuers: Issuers, hint: str) -> None:
    tokens = await issuers.acme.tokens()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await told(issuers.acme, token, token_type_hint=hint))["active"] is True


@KINDS
async def test_a_client_that_is_neither_learns_nothing(issuers: Issuers, code: dict[str, Any]) -> None:
    await add_api_client(issuers.acme, OPEN_API)
    tokens = await issuers.acme.tokens(**code)
    for stranger in ("web2", "api"):
        for token in (tokens["access_token"], tokens["refresh_token"]):
            assert await told(issuers.acme, token, stranger) == INACTIVE


async def test_an_api_learns_nothing_of_refresh_tokens(issuers: Issuers) -> None:
    await add_api_client(issuers.acme)
    tokens = await issuers.acme.tokens(audience=API)
    assert await told(issuers.acme, tokens["refresh_token"], "api") == INACTIVE


@KINDS
async def test_another_tenants_token_is_answered_like_an_unknown_one(
    issuers: Issuers, code: dict[str, Any]
) -> None:
    tokens = await issuers.acme.tokens(**code)
    for token in (tokens["access_token"], tokens["refresh_token"], "unknown", "a.b.c", "x" * 20_000):
        assert await told(issuers.globex, token) == INACTIVE


@pytest.mark.parametrize("client_id", ["web", "nobody"])
async def test_a_client_that_does_not_prove_itself_learns_nothing(issuers: Issuers, client_id: str) -> None:
    tokens = await issuers.acme.tokens()
    answer = await ask(issuers.acme, tokens["access_token"], client_id, client_secret="wrong")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers


async def test_a_public_client_may_not_ask(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens("spa")
    answer = await ask(issuers.acme, tokens["access_token"], "spa")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_another_tenants_client_may_not_ask(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    secret = issuers.globex.secrets["web"]
    answer = await ask(issuers.acme, tokens["access_token"], "web", client_secret=secret)
    assert answer.status_code == 401


async def _revoked(issuer: Issuer, tokens: dict[str, Any]) -> None:
    await issuer.revoke(tokens["refresh_token"])


async def _blocked(issuer: Issuer, _: dict[str, Any]) -> None:
    await issuer.change(models.User, {"user_id": "auth0|ann"}, blocked=True)


async def _deleted(issuer: Issuer, _: dict[str, Any]) -> None:
    await issuer.remove(models.User, user_id="auth0|ann")


async def _removed(issuer: Issuer, _: dict[str, Any]) -> None:
    await issuer.remove(models.Membership, id="mem_north_ann")


async def _suspended(issuer: Issuer, _: dict[str, Any]) -> None:
    await issuer.change(models.Organization, {"id": "org_north"}, suspended_at=issuer.now_ms)


async def _logged_out(issuer: Issuer, _: dict[str, Any]) -> None:
    await issuer.change(models.Session, {"id": "sess_ann"}, ended_at=issuer.now_ms)


async def _password_changed(issuer: Issuer, _: dict[str, Any]) -> None:
    await issuer.change(models.User, {"user_id": "auth0|ann"}, sessions_valid_from=issuer.now_ms + 5_000)


ENDINGS = [_revoked, _blocked, _deleted, _removed, _suspended, _logged_out, _password_changed]


@KINDS
@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_happens_to_the_person_counts_at_once(
    issuers: Issuers, code: dict[str, Any], ending: Any
) -> None:
    """Also what another process did."""
    tokens = await issuers.acme.tokens(organization_id="org_north", **code)
    assert (await told(issuers.acme, tokens["access_token"]))["active"] is True
    async with second_worker(issuers.acme, issuers.services) as other:
        await ending(other, tokens)
    assert await told(issuers.acme, tokens["access_token"]) == INACTIVE


@KINDS
async def test_a_token_whose_client_is_gone_is_worth_nothing(issuers: Issuers, code: dict[str, Any]) -> None:
    await add_api_client(issuers.acme)
    tokens = await issuers.acme.tokens(**code)
    await issuers.acme.remove(models.Client, client_id="web")
    assert await told(issuers.acme, tokens["access_token"], "api") == INACTIVE


@KINDS
async def test_time_ends_a_token(issuers: Issuers, code: dict[str, Any]) -> None:
    tokens = await issuers.acme.tokens(**code)
    issuers.clock.time += 90_000
    await issuers.acme.change(models.Session, {"id": "sess_ann"}, expires_at=issuers.acme.now_ms + 1_000_000)
    assert await told(issuers.acme, tokens["access_token"]) == INACTIVE
    issuers.clock.time += 40 * 86_400
    assert await told(issuers.acme, tokens["refresh_token"]) == INACTIVE


async def test_a_refresh_token_that_was_used_is_worth_nothing(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    await issuers.acme.refresh(tokens["refresh_token"])
    assert await told(issuers.acme, tokens["refresh_token"]) == INACTIVE


async def test_a_machines_token(issuers: Issuers) -> None:
    await add_api_client(issuers.acme)
    token = (await issuers.acme.machine(audience=API, organization="org_north")).json()["access_token"]
    for client in ("m2m", "api"):
        body = await told(issuers.acme, token, client)
        assert (body["active"], body["sub"], body["org_id"]) == (True, "m2m@clients", "org_north")
    assert await told(issuers.acme, token, "web") == INACTIVE
    await issuers.acme.change(models.Organization, {"id": "org_north"}, suspended_at=issuers.acme.now_ms)
    assert await told(issuers.acme, token, "m2m") == INACTIVE


async def test_a_secret_taken_away_in_another_process_is_no_secret(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    await told(issuers.acme, tokens["access_token"])
    async with second_worker(issuers.acme, issuers.services) as other:
        await other.remove(models.ClientSecret, client_id="web")
    for token in (tokens["access_token"], tokens["refresh_token"], "unknown"):
        assert (await ask(issuers.acme, token)).status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [({"token": ""}, 400, "invalid_request"), ({"client_id": "web2"}, 401, "invalid_client")],
)
async def test_a_malformed_question_is_refused(
    issuers: Issuers, form: dict[str, str], status: int, error: str
) -> None:
    body = {"token": "t", "client_id": "web", "client_secret": issuers.acme.secrets["web"], **form}
    answer = await issuers.acme.http.post("/oauth/introspect", data=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_a_token_in_the_address_is_refused(issuers: Issuers) -> None:
    answer = await issuers.acme.http.post(
        "/oauth/introspect?token=t", data={"client_id": "web", "client_secret": issuers.acme.secrets["web"]}
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await issuers.acme.http.get("/oauth/introspect")).status_code == 405


async def test_a_machines_token_for_an_organization_lasts_while_that_takes_the_client(
    issuers: Issuers,
) -> None:
    acme = issuers.acme
    await acme.change(
        models.ClientGrant, {"audience": API}, organization_usage="allow", allow_any_organization=False
    )
    [grant] = await acme.rows(models.ClientGrant, audience=API)
    key = {"organization_id": "org_north", "client_grant_id": grant.id}
    await acme.add(models.OrganizationClientGrant, **key)
    token = (await acme.machine(audience=API, organization="org_north")).json()["access_token"]
    assert (await told(acme, token, "m2m"))["active"] is True
    await acme.remove(models.OrganizationClientGrant, **key)
    assert await told(acme, token, "m2m") == INACTIVE
