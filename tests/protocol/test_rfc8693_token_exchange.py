"""RFC 8693: a person's token for another of theirs. `specs/bad-inputs.md` 71."""

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
from tests.protocol.issuer import (
    API,
    CALLBACK,
    CODE_GRANTS,
    OPEN_API,
    VERIFIER,
    Issuer,
    Issuers,
    add_client,
    claims_of,
    header_of,
)

pytestmark = pytest.mark.anyio

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
STOCK_API = "https://stock.example.com/"
BOTH = "openid read:invoices write:invoices"


async def with_clients(*issuers: Issuer) -> None:
    """`app` is what people use, `orders` is the API at `API`, `open` the one at `OPEN_API`; they may go on."""
    for issuer in issuers:
        await issuer.add(models.ResourceServer, id="stock", identifier=STOCK_API, name="stock", token_lifetime=86_400,
                         token_lifetime_for_web=600)  # fmt: skip
        for place, value in enumerate(("read:invoices", "write:invoices")):
            await issuer.add(
                models.Scope, resource_server_id="stock", value=value, position=place, is_platform=False
            )
        grants = [*CODE_GRANTS, "client_credentials", EXCHANGE]
        for client_id, api in (("app", None), ("orders", API), ("open", OPEN_API), ("stock", STOCK_API)):
            await add_client(issuer, client_id, grant_types=grants, resource_server_identifier=api)
        await add_client(issuer, "spa2", grant_types=grants, token_endpoint_auth_method="none")
        for client_id, audience, scope in (
            ("app", OPEN_API, ["read:invoices"]),
            ("orders", OPEN_API, ["read:invoices"]),
            ("open", STOCK_API, ["read:invoices", "write:invoices"]),
            ("stock", API, ["read:invoices"]),
            ("orders", issuer.tenant.management_audience, ["read:users"]),
        ):
            await issuer.add(models.ClientGrant, id=f"cgr_{client_id}_{len(audience)}", client_id=client_id,
                             audience=audience, scope=scope, allow_any_organization=False)  # fmt: skip


async def exchange(issuer: Issuer, token: str, client_id: str = "app", **form: str) -> httpx.Response:
    given = {"subject_token": token, "subject_token_type": ACCESS_TOKEN} | form
    return await issuer.token(client_id, grant_type=EXCHANGE, **{k: v for k, v in given.items() if v})


async def exchanged(issuer: Issuer, token: str, client_id: str = "app", **form: str) -> dict[str, Any]:
    answer = await exchange(issuer, token, client_id, **form)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def token_of(issuer: Issuer, client_id: str = "app", **code: Any) -> str:
    values = {"audience": API, "scope": BOTH} | code
    return str((await issuer.tokens(client_id, **values))["access_token"])


def error_of(answer: httpx.Response) -> str:
    assert answer.status_code in (400, 401, 403), answer.text
    assert "access_token" not in answer.json()
    return str(answer.json()["error"])


# --- Another organization ------------------------------------------------------------------------------------------


async def test_an_application_switches_the_organization_and_scope_only_shrinks(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    for role in ("rol_reader", "rol_writer"):
        await acme.add(models.MembershipRole, membership_id="mem_south_ann", role_id=role)
    in_north = await token_of(acme, organization_id="org_north")
    assert claims_of(in_north)["scope"] == "openid write:invoices"
    body = await exchanged(acme, in_north, organization="org_south")
    claims = claims_of(body["access_token"])
    assert claims["org_id"] == "org_south"
    assert claims["scope"] == body["scope"] == "openid write:invoices"  # she holds more there
    assert claims["permissions"] == ["write:invoices"]
    assert claims["aud"] == claims_of(in_north)["aud"]
    assert (claims["sub"], claims["sid"], claims["client_id"]) == ("auth0|ann", "sess_ann", "app")
    assert "act" not in claims
    assert set(body) == {"access_token", "issued_token_type", "token_type", "expires_in", "scope"}
    assert (body["issued_token_type"], body["token_type"]) == (ACCESS_TOKEN, "Bearer")
    assert header_of(body["access_token"])["typ"] == "at+jwt"
    assert (await acme.userinfo(body["access_token"])).json()["org_id"] == "org_south"
    assert (
        claims_of((await exchanged(acme, in_north, organization="south"))["access_token"])["org_name"]
        == "south"
    )


async def test_what_she_does_not_hold_there_is_gone(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    in_north = await token_of(acme, organization_id="org_north")
    claims = claims_of((await exchanged(acme, in_north, organization="org_south"))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("openid", [])


async def test_membership_is_checked_now(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, organization_id="org_north")
    for organization, expected in (
        ("org_west", "access_denied"), ("org_nowhere", "invalid_request"), ("nowhere", "invalid_request"),
        ("org_" + "x" * 5000, "invalid_request"),
    ):  # fmt: skip
        assert error_of(await exchange(acme, token, organization=organization)) == expected
    await acme.change(models.Organization, {"id": "org_south"}, suspended_at=1)
    assert error_of(await exchange(acme, token, organization="org_south")) == "access_denied"
    await acme.remove(models.Membership, id="mem_north_ann")
    assert error_of(await exchange(acme, token)) == "invalid_grant"
    assert error_of(await exchange(acme, token, organization="org_south")) == "invalid_grant"


async def test_organizations_are_not_for_a_client_that_may_not_use_them(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    await acme.tenant.database.alone(_set_client, "app", {"organization_usage": "deny"})
    assert error_of(await exchange(acme, token, organization="org_north")) == "invalid_request"


async def test_scope_may_be_narrowed_and_never_widened(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, scope="openid email read:invoices")
    claims = claims_of((await exchanged(acme, token, scope="openid"))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("openid", [])
    for wider in ("openid write:invoices", "profile", "offline_access", "read:tenants", "nonsense"):
        assert error_of(await exchange(acme, token, scope=wider)) == "invalid_scope"


async def test_platform_scopes_are_never_beside_an_organization(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    audience = acme.tenant.management_audience
    await acme.add(models.Role, id="rol_platform", name="Platform")
    for permission in ("read:tenants", "read:users"):
        await acme.add(
            models.RolePermission,
            role_id="rol_platform",
            resource_server_id="management",
            permission=permission,
        )
    await acme.add(models.UserRole, user_id="auth0|ann", role_id="rol_platform")
    await acme.add(models.MembershipRole, membership_id="mem_north_ann", role_id="rol_platform")
    token = await token_of(acme, audience=audience, scope="read:tenants read:users")
    assert claims_of(token)["scope"] == "read:tenants read:users"
    claims = claims_of((await exchanged(acme, token, organization="org_north"))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("read:users", ["read:users"])


# --- Delegation ----------------------------------------------------------------------------------------------------


async def test_an_api_goes_on_to_another_in_the_persons_name(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, scope="openid read:invoices")
    for target in ({"audience": OPEN_API}, {"resource": OPEN_API}):
        body = await exchanged(acme, token, "orders", **target)
        claims = claims_of(body["access_token"])
        assert claims["act"] == {"sub": "orders@clients"}
        assert (claims["sub"], claims["client_id"], claims["aud"]) == ("auth0|ann", "orders", OPEN_API)
        assert claims["scope"] == "read:invoices"
        assert claims["jti"].partition(".")[0] == claims_of(token)["jti"].partition(".")[0]
        assert claims["exp"] <= claims_of(token)["exp"]


async def test_scope_is_what_grant_token_and_person_have_in_common(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    writes = await token_of(acme, organization_id="org_north")
    assert claims_of(writes)["scope"] == "openid write:invoices"
    body = await exchanged(acme, writes, "orders", audience=OPEN_API)
    assert (body["scope"], claims_of(body["access_token"])["org_id"]) == ("", "org_north")
    for wider in ("read:invoices", "write:invoices", "openid"):
        refused = await exchange(acme, writes, "orders", audience=OPEN_API, scope=wider)
        assert error_of(refused) == "invalid_scope"
    stock = await token_of(acme, "app", audience=STOCK_API, scope=BOTH, organization_id="org_north")
    claims = claims_of((await exchanged(acme, stock, "stock", audience=API))["access_token"])
    assert (claims["scope"], claims["permissions"]) == ("", [])  # granted and shown, and not hers


async def test_without_a_grant_for_the_api_there_is_no_going_on(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    assert error_of(await exchange(acme, token, "orders", audience=STOCK_API)) == "invalid_target"
    assert error_of(await exchange(acme, token, "orders")) == "invalid_target"  # the API for itself
    assert error_of(await exchange(acme, token, "app", audience=STOCK_API)) == "invalid_target"
    assert error_of(await exchange(acme, token, audience="https://unknown.example.com/")) == "invalid_target"
    assert error_of(await exchange(acme, token, resource="https://unknown.example.com/")) == "invalid_target"
    assert error_of(await exchange(acme, token, audience=API, resource=OPEN_API)) == "invalid_target"
    assert (await exchange(acme, token, "orders", audience=OPEN_API)).status_code == 200
    await acme.remove(models.ClientGrant, client_id="orders")
    assert error_of(await exchange(acme, token, "orders", audience=OPEN_API)) == "invalid_target"


async def test_each_actor_carries_the_one_before_and_the_chain_ends(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, scope="read:invoices")
    token = (await exchanged(acme, token, "orders", audience=OPEN_API))["access_token"]
    token = (await exchanged(acme, token, "open", audience=STOCK_API))["access_token"]
    assert claims_of(token)["act"] == {"sub": "open@clients", "act": {"sub": "orders@clients"}}
    again = (await exchanged(acme, token, "open", organization="org_south"))["access_token"]
    assert claims_of(again)["act"] == claims_of(token)["act"]  # who holds it switches: nobody joins them
    token = (await exchanged(acme, token, "stock", audience=API))["access_token"]
    token = (await exchanged(acme, token, "orders", audience=OPEN_API))["access_token"]
    assert error_of(await exchange(acme, token, "open", audience=STOCK_API)) == "invalid_grant"


async def test_a_delegated_token_needs_the_grant_as_long_as_it_is_exchanged(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    first = await token_of(acme, scope="read:invoices")
    token = (await exchanged(acme, first, "orders", audience=OPEN_API))["access_token"]
    await acme.remove(models.ClientGrant, client_id="orders")
    assert error_of(await exchange(acme, token, "orders", organization="org_south")) == "invalid_target"


async def test_an_actor_token_must_be_the_clients_own(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme, scope="read:invoices")
    own = (await acme.machine("orders", audience=OPEN_API)).json()["access_token"]
    other = (await acme.machine("app", audience=OPEN_API)).json()["access_token"]
    there = {"audience": OPEN_API, "actor_token_type": ACCESS_TOKEN}
    claims = claims_of((await exchanged(acme, token, "orders", actor_token=own, **there))["access_token"])
    assert claims["act"] == {"sub": "orders@clients"}
    for wrong in (other, token, "x", own[:-4] + "AAAA"):
        assert error_of(await exchange(acme, token, "orders", actor_token=wrong, **there)) == "invalid_grant"
    halves = (
        {"actor_token": own},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": own, "actor_token_type": ID_TOKEN},
    )
    for form in halves:
        refused = await exchange(acme, token, "orders", audience=OPEN_API, **form)
        assert error_of(refused) == "invalid_request"
    assert (await acme.revoke(own, "orders")).status_code == 200
    assert error_of(await exchange(acme, token, "orders", actor_token=own, **there)) == "invalid_grant"


async def test_the_management_api_is_out_of_reach_of_delegation(issuers: Issuers) -> None:
    acme = issuers.acme
    await with_clients(acme)
    token = await token_of(acme)
    refused = await exchange(acme, token, "orders", audience=acme.tenant.management_audience)
    assert error_of(refused) == "invalid_target"


# --- Who may, and with what ----------------------------------------------------------------------------------------


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
    await acme.tenant.database.alone(_set_client, "app", {"is_first_party": False})
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


def _set_client(connection: Connection, client_id: str, values: dict[str, Any]) -> None:
    table = models.Client.__table__
    connection.execute(update(table).where(table.c.client_id == client_id).values(**values))


def _set_dialect(connection: Connection, server_id: str) -> None:
    table = models.ResourceServer.__table__
    connection.execute(update(table).where(table.c.id == server_id).values(token_dialect="rfc9068_profile"))
