"""RFC 7009: a client gives back what is its own; anything else is answered alike and nothing happens."""

from typing import Any

import pytest

from tenant_runtime import models
from tests.protocol.issuer import API, Issuers

pytestmark = pytest.mark.anyio


async def test_a_refresh_token_goes_with_its_whole_family(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(audience=API)
    later = (await issuers.acme.refresh(tokens["refresh_token"])).json()
    answer = await issuers.acme.revoke(later["refresh_token"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert "no-store" in answer.headers["cache-control"]
    assert (await issuers.acme.refresh(later["refresh_token"])).json()["error"] == "invalid_grant"
    for token in (tokens["access_token"], later["access_token"]):
        assert (await issuers.acme.userinfo(token)).status_code == 401
    assert "srrt" in await issuers.acme.events()


async def test_a_token_that_was_rotated_away_still_ends_its_family(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    later = (await issuers.acme.refresh(tokens["refresh_token"])).json()
    await issuers.acme.revoke(tokens["refresh_token"])
    assert (await issuers.acme.refresh(later["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])
async def test_an_access_token_goes_alone(issuers: Issuers, code: dict[str, Any]) -> None:
    tokens = await issuers.acme.tokens(**code)
    later = (await issuers.acme.refresh(tokens["refresh_token"])).json()
    assert (await issuers.acme.revoke(tokens["access_token"])).status_code == 200
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 401
    assert (await issuers.acme.userinfo(later["access_token"])).status_code == 200
    assert (await issuers.acme.refresh(later["refresh_token"])).status_code == 200


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "pac4j", ""])
async def test_the_hint_decides_nothing(issuers: Issuers, hint: str) -> None:
    tokens = await issuers.acme.tokens()
    await issuers.acme.revoke(tokens["refresh_token"], token_type_hint=hint)
    assert (await issuers.acme.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("code", [{}, {"audience": API}], ids=["opaque", "JWT"])
async def test_another_clients_tokens_are_left_alone(issuers: Issuers, code: dict[str, Any]) -> None:
    tokens = await issuers.acme.tokens(**code)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await issuers.acme.revoke(token, "web2")).status_code == 200
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 200
    assert (await issuers.acme.refresh(tokens["refresh_token"])).status_code == 200


async def test_another_tenants_tokens_are_left_alone(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens("spa", audience=API)
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert (await issuers.globex.revoke(token, "spa")).status_code == 200
    assert await issuers.globex.rows(models.RevokedFamily) == []
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 200
    assert (await issuers.acme.refresh(tokens["refresh_token"], "spa")).status_code == 200


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "x" * 20_000, "...", "ü"])
async def test_an_unknown_token_is_answered_like_a_good_one(issuers: Issuers, token: str) -> None:
    assert (await issuers.acme.revoke(token)).status_code == 200
    assert await issuers.acme.rows(models.RevokedFamily) == []
    assert await issuers.acme.events() == []


async def test_revoking_twice_is_no_error(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(audience=API)
    for token in (tokens["refresh_token"], tokens["access_token"]) * 2:
        assert (await issuers.acme.revoke(token)).status_code == 200


async def test_the_client_must_prove_itself(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    for secret in ({}, {"client_secret": "wrong"}):
        body = {"token": tokens["refresh_token"], "client_id": "web"} | secret
        answer = await issuers.acme.http.post("/oauth/revoke", data=body)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await issuers.acme.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_token_must_be_named(issuers: Issuers) -> None:
    answer = await issuers.acme.revoke("")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_json_is_read_as_auth0s_sdks_send_it(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens("spa")
    body = {"client_id": "spa", "token": tokens["refresh_token"]}
    assert (await issuers.acme.http.post("/oauth/revoke", json=body)).status_code == 200
    assert (await issuers.acme.refresh(tokens["refresh_token"], "spa")).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_answered(issuers: Issuers, method: str) -> None:
    assert (await issuers.acme.http.request(method, "/oauth/revoke")).status_code == 405
