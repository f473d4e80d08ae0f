"""RFC 8693: an API goes on to another in a person's name."""

import pytest

from tenant_runtime import models
from tests.protocol.exchanging import (
    ACCESS_TOKEN,
    BOTH,
    ID_TOKEN,
    STOCK_API,
    error_of,
    exchange,
    exchanged,
    token_of,
    with_clients,
)
from tests.protocol.issuer import (
    API,
    OPEN_API,
    Issuers,
    claims_of,
)

pytestmark = pytest.mark.anyio


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
