"""RFC 8693: who may exchange a person's token, and which. `specs/bad-inputs.md` 71."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, update

from core.crypto import jwt
from core.crypto.keys import SigningKey
from tenant_runtime import models
from tests.holder import Holder
from tests.protocol.exchanging import (
    ACCESS_TOKEN,
    EXCHANGE,
    ID_TOKEN,
    JWT,
    STOCK_API,
    error_of,
    exchange,
    exchanged,
    set_client,
    token_of,
    with_clients,
)
from tests.protocol.issuer import (
    API,
    CALLBACK,
    OPEN_API,
    VERIFIER,
    Issuer,
    Issuers,
    claims_of,
    header_of,
)

pytestmark = pytest.mark.anyio


async def test_only_the_holder_and_the_api_may_exchange(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    assert error_of(await exchange(acme, token, "open", audience=OPEN_API)) == "invalid_grant"
    assert error_of(await exchange(acme, token, "web")) == "unauthorized_client"
    assert error_of(await exchange(acme, token, "spa2")) == "unauthorized_client"
    assert error_of(await exchange(acme, token, "app", client_secret="wrong")) == "invalid_client"
    form = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "client_id": "app",
    }
    other = await acme.http.post("/oauth/token", data=form, auth=("orders", acme.secrets["orders"]))
    assert error_of(other) == "invalid_grant"
    await acme.remove(models.ClientSecret, client_id="app")
    await acme.remove(models.Client, client_id="app")
    assert error_of(await exchange(acme, token, "orders", audience=OPEN_API)) == "invalid_grant"


async def test_a_secret_taken_away_by_another_process_counts(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    assert (await exchange(acme, token)).status_code == 200
    await acme.remove(models.ClientSecret, client_id="app")
    assert error_of(await exchange(acme, token)) == "invalid_client"


async def test_tokens_of_other_kinds_are_refused(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    body = await acme.tokens("app", audience=API, scope="openid offline_access read:invoices")
    opaque = (await acme.tokens("app", scope="openid"))["access_token"]
    machine = (await acme.machine("orders", audience=OPEN_API)).json()["access_token"]
    code = await acme.code("app")
    for wrong in (
        opaque,
        machine,
        body["id_token"],
        body["refresh_token"],
        code,
        "x",
        "a.b.c",
        "..",
        "." * 5000,
    ):
        for client_id in ("app", "orders"):
            assert error_of(await exchange(acme, wrong, client_id)) == "invalid_grant", wrong
    token = body["access_token"]
    for kind in (ID_TOKEN, "urn:ietf:params:oauth:token-type:refresh_token", "urn:x", "access_token"):
        assert error_of(await exchange(acme, token, subject_token_type=kind)) == "invalid_request"
        assert error_of(await exchange(acme, token, requested_token_type=kind)) == "invalid_request"
    assert error_of(await exchange(acme, token, subject_token_type="")) == "invalid_request"
    assert error_of(await exchange(acme, "")) == "invalid_request"
    assert (await exchanged(acme, token, subject_token_type=JWT, requested_token_type=JWT))[
        "issued_token_type"
    ] == JWT
    assert (await acme.redeem(code, "app")).status_code == 200


async def test_expired_forged_foreign_and_oversized_tokens_are_refused(issuers: Issuers) -> None:
    """The same client ids, people and APIs stand in both tenants."""
    acme, globex = issuers.acme, issuers.globex
    await with_clients(acme, globex)
    token, theirs = await token_of(acme), await token_of(globex)
    header, payload, signature = token.split(".")
    stronger = claims_of(token) | {"scope": "openid write:invoices", "exp": 2_000_000_000}
    segment = base64.urlsafe_b64encode(json.dumps(stronger).encode()).rstrip(b"=").decode()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    wrong = [
        theirs,
        f"{header}.{segment}.{signature}",
        f"{unsigned}.{payload}.",
        f"{header}.{payload}.{'A' * len(signature)}",
        token + "A" * 5000,
        f"{header}.{'A' * 5000}.{signature}",
        _signed_by_a_stranger(token),
    ]
    for forged in wrong:
        for client_id in ("app", "orders"):
            assert error_of(await exchange(acme, forged, client_id)) == "invalid_grant"
    assert error_of(await exchange(globex, token)) == "invalid_grant"
    issuers.clock.time += claims_of(token)["exp"] - issuers.clock.time
    assert error_of(await exchange(acme, token)) == "invalid_grant"
    assert set(await acme.events()) & {"sete"} == set()
    assert "fete" in await acme.events()


def _signed_by_a_stranger(token: str) -> str:
    key = SigningKey.generate("RS256")
    stranger = SigningKey.from_der(str(header_of(token)["kid"]), "RS256", key.to_der())
    return jwt.sign(claims_of(token), stranger, typ="at+jwt")


@pytest.mark.parametrize(
    ("model", "where", "values"),
    [
        (models.User, {"user_id": "auth0|ann"}, {"blocked": True}),
        (models.User, {"user_id": "auth0|ann"}, {"sessions_valid_from": 1_900_000_000_000}),
        (models.Session, {"id": "sess_ann"}, {"ended_at": 1}),
        (models.Organization, {"id": "org_north"}, {"suspended_at": 1}),
    ],
)
async def test_a_person_who_no_longer_stands_has_nothing_to_exchange(
    issuers: Issuers, model: Any, where: dict[str, Any], values: dict[str, Any]
) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, organization_id="org_north", scope="read:invoices write:invoices")
    await acme.change(model, where, **values)
    assert error_of(await exchange(acme, token)) == "invalid_grant"
    assert error_of(await exchange(acme, token, "orders", audience=OPEN_API)) == "invalid_grant"


async def test_a_deleted_person_has_nothing_to_exchange(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    await acme.remove(models.User, user_id="auth0|ann")
    assert error_of(await exchange(acme, token)) == "invalid_grant"


async def test_revocation_reaches_what_was_exchanged(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    body = await acme.tokens("app", audience=API, scope="openid offline_access")
    token = body["access_token"]
    new = (await exchanged(acme, token, organization="org_south"))["access_token"]
    assert (await acme.revoke(token, "app")).status_code == 200
    assert error_of(await exchange(acme, token)) == "invalid_grant"  # this one alone
    assert (await acme.userinfo(new)).status_code == 200
    assert (await acme.revoke(body["refresh_token"], "app")).status_code == 200
    assert (await acme.userinfo(new)).status_code == 401
    assert error_of(await exchange(acme, new)) == "invalid_grant"


async def test_logout_reaches_what_was_exchanged(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    new = (await exchanged(acme, await token_of(acme), organization="org_south"))["access_token"]
    assert (await acme.userinfo(new)).status_code == 200
    await acme.change(models.Session, {"id": "sess_ann"}, ended_at=acme.now_ms)
    assert (await acme.userinfo(new)).status_code == 401


async def test_no_token_outlives_the_one_it_came_from(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, "app", audience=OPEN_API, scope="read:invoices")
    end = claims_of(token)["exp"]
    issuers.clock.time += 3000
    body = await exchanged(acme, token, "open", audience=STOCK_API)  # whose tokens live a day
    assert claims_of(body["access_token"])["exp"] == end
    assert body["expires_in"] == end - int(issuers.clock.time)


async def test_a_third_party_needs_the_persons_consent(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, scope="read:invoices")
    await acme.tenant.database.alone(set_client, "app", {"is_first_party": False})
    assert error_of(await exchange(acme, token)) == "consent_required"
    await acme.add(
        models.Grant,
        id="cgr_ann",
        user_id="auth0|ann",
        client_id="app",
        audience=API,
        scope=["read:invoices"],
    )
    assert (await exchange(acme, token)).status_code == 200
    assert error_of(await exchange(acme, token, organization="org_south")) == "consent_required"
    assert error_of(await exchange(acme, token, audience=OPEN_API)) == "consent_required"


async def test_the_login_is_the_one_that_the_token_told_of(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    await acme.tenant.database.alone(_set_dialect, "open")
    at = acme.now_ms - 500_000
    await acme.change(models.Session, {"id": "sess_ann"}, authenticated_at=acme.now_ms)  # again, since
    terse = await token_of(acme, scope="read:invoices", authenticated_at=at)
    claims = claims_of((await exchanged(acme, terse, audience=OPEN_API))["access_token"])
    assert claims["auth_time"] == at // 1000
    assert "amr" not in claims
    telling = await token_of(acme, audience=OPEN_API, scope="read:invoices", authenticated_at=at)
    claims = claims_of((await exchanged(acme, telling, organization="org_south"))["access_token"])
    assert (claims["auth_time"], claims["amr"]) == (at // 1000, ["pwd"])


async def test_many_at_once_are_as_many_tokens(issuers: Issuers) -> None:
    """An exchange uses nothing up: RFC 8693 section 2.1."""
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    answers = await asyncio.gather(*(exchange(acme, token, organization="org_south") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({claims_of(answer.json()["access_token"])["jti"] for answer in answers}) == 20
    assert (await acme.events()).count("sete") == 20


# --- A key that is held (RFC 9449) -----------------------------------------------------------------------------------


async def prove(issuer: Issuer, holder: Holder, client_id: str, **form: str) -> httpx.Response:
    body = {"client_id": client_id, "client_secret": issuer.secrets[client_id], **form}
    return await holder.send(issuer.http, "POST", f"{issuer.tenant.issuer}oauth/token", data=body)


async def exchange_by(
    issuer: Issuer, holder: Holder, token: str, client_id: str, **form: str
) -> httpx.Response:
    given = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return await prove(issuer, holder, client_id, **given, **form)


async def test_a_bound_token_is_exchanged_by_its_holder_and_stays_bound(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    holder, thief = Holder(issuers.clock.now), Holder(issuers.clock.now)
    code = await acme.code("app", audience=API, scope="read:invoices")
    form = {"redirect_uri": CALLBACK, "code_verifier": VERIFIER, "grant_type": "authorization_code"}
    bound = (await prove(acme, holder, "app", code=code, **form)).json()["access_token"]
    assert claims_of(bound)["cnf"] == {"jkt": holder.jkt}
    assert error_of(await exchange(acme, bound)) == "invalid_grant"
    assert error_of(await exchange_by(acme, thief, bound, "app")) == "invalid_grant"
    body = (await exchange_by(acme, holder, bound, "app", organization="org_south")).json()
    assert body["token_type"] == "DPoP"
    assert claims_of(body["access_token"])["cnf"] == {"jkt": holder.jkt}
    api = Holder(issuers.clock.now)  # the API that was called holds a key of its own, or none
    body = (await exchange_by(acme, api, bound, "orders", audience=OPEN_API)).json()
    assert claims_of(body["access_token"])["cnf"] == {"jkt": api.jkt}
    assert "cnf" not in claims_of((await exchanged(acme, bound, "orders", audience=OPEN_API))["access_token"])


async def test_a_bearer_token_is_bound_by_the_first_who_proves_a_key(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    holder = Holder(issuers.clock.now)
    body = (await exchange_by(acme, holder, await token_of(acme), "app")).json()
    assert claims_of(body["access_token"])["cnf"] == {"jkt": holder.jkt}


def _set_dialect(connection: Connection, server_id: str) -> None:
    table = models.ResourceServer.__table__
    connection.execute(update(table).where(table.c.id == server_id).values(token_dialect="rfc9068_profile"))
