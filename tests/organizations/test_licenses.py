"""What organizations have bought: products, subscriptions, and what everybody who asks is told of them."""

import secrets
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies

from entrypoints.network import Api
from tenant_runtime.organizations.licensing.features import combined, limit_of
from tests.installation import Installation


async def product(manager: Api, *features: str, **members: Any) -> dict[str, Any]:
    body = {"name": f"plan-{secrets.token_hex(4)}", "features": list(features), **members}
    made: dict[str, Any] = await manager.post("/products", body)
    return made


async def subscribed(manager: Api, organization_id: str, *features: str, **members: Any) -> dict[str, Any]:
    """A subscription of that organization to a product of its own."""
    sold = await product(manager, *features)
    body = {"organization_id": organization_id, "product_id": sold["id"], **members}
    made: dict[str, Any] = await manager.post("/subscriptions", body)
    return made


async def organization(manager: Api) -> str:
    made = await manager.post("/organizations", {"name": f"buyer-{secrets.token_hex(4)}"})
    return str(made["id"])


async def entitlements(manager: Api, organization_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await manager.get(f"/organizations/{organization_id}/entitlements")
    return found


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


async def refused(manager: Api, method: str, path: str, body: Any = None) -> httpx.Response:
    return await manager._send(method, path, json=body)


async def test_a_product_is_read_as_it_was_made_and_changed_by_what_is_named(shared: Installation) -> None:
    manager = await shared.manager("acme")
    made = await product(manager, "sso:true", "projects:500", metadata={"tier": "gold"})
    assert made == await manager.get(f"/products/{made['id']}")
    assert made["display_name"] == made["name"]
    changed = await manager.patch(f"/products/{made['id']}", {"features": ["api.calls:unlimited"]})
    assert (changed["features"], changed["metadata"]) == (["api.calls:unlimited"], {"tier": "gold"})
    assert made["id"] in [one["id"] for one in await manager.get("/products", q=made["name"])]


@pytest.mark.parametrize(
    "feature",
    ["sso", "sso:", "sso:yes", "sso:false", "sso:True", "n:-1", "n:01", "n:1.5", "n:1e3", ":true", "a b:true",
     "A:true", "n:9999999999999", "n:1:2", f"{'a' * 64}:true", "n:１", "n:1\n"],
)  # fmt: skip
async def test_a_feature_that_says_nothing_clear_is_refused(shared: Installation, feature: str) -> None:
    manager = await shared.manager("acme")
    answer = await refused(manager, "POST", "/products", {"name": "odd", "features": [feature]})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")


async def test_a_product_names_a_feature_once_and_has_a_name_of_its_own(shared: Installation) -> None:
    manager = await shared.manager("acme")
    twice = await refused(manager, "POST", "/products", {"name": "odd", "features": ["a:1", "a:true"]})
    assert twice.status_code == 400
    made = await product(manager)
    again = await refused(manager, "POST", "/products", {"name": made["name"]})
    assert again.status_code == 409


async def test_a_product_that_somebody_has_or_had_is_not_deleted(shared: Installation) -> None:
    manager = await shared.manager("acme")
    sold = await product(manager, "sso:true")
    body = {"organization_id": await organization(manager), "product_id": sold["id"], "status": "canceled"}
    made = await manager.post("/subscriptions", body)
    answer = await refused(manager, "DELETE", f"/products/{sold['id']}")
    assert (answer.status_code, answer.json()["errorCode"]) == (409, "product_in_use")
    await manager.delete(f"/subscriptions/{made['id']}")
    assert (await refused(manager, "DELETE", f"/products/{sold['id']}")).status_code == 204
    assert (await refused(manager, "GET", f"/products/{sold['id']}")).status_code == 404


async def test_a_subscription_is_of_an_organization_and_a_product_that_exist(shared: Installation) -> None:
    manager, strangers = await shared.manager("acme"), await shared.manager("globex")
    mine = {"organization_id": await organization(manager), "product_id": (await product(manager))["id"]}
    theirs = {
        "organization_id": await organization(strangers),
        "product_id": (await product(strangers))["id"],
    }
    for name in mine:
        answer = await refused(manager, "POST", "/subscriptions", {**mine, name: theirs[name]})
        assert answer.status_code == 404
    made = await manager.post("/subscriptions", mine)
    assert (made["status"], made["seats"], made["ends_at"]) == ("active", None, None)
    for odd in (
        {"status": "free"},
        {"seats": -1},
        {"seats": True},
        {"ends_at": "2027-01-01"},
        {"ends_at": iso(1)},
        {"organization_id": mine["organization_id"]},
        {"id": "sub_0000000000000000"},
    ):
        answer = await refused(manager, "PATCH", f"/subscriptions/{made['id']}", odd)
        assert answer.status_code == 400, odd
    assert await manager.get(f"/subscriptions/{made['id']}") == made


async def test_subscriptions_are_listed_by_organization_product_and_status(shared: Installation) -> None:
    manager = await shared.manager("acme")
    buyer = await organization(manager)
    made = [await subscribed(manager, buyer, status=status) for status in ("active", "paused")]
    ids = [one["id"] for one in made]
    assert [one["id"] for one in await manager.get(f"/organizations/{buyer}/subscriptions")] == ids
    paused = await manager.get("/subscriptions", organization_id=buyer, status="paused")
    assert [one["id"] for one in paused] == ids[1:]
    of_product = await manager.get("/subscriptions", product_id=made[0]["product_id"])
    assert [one["id"] for one in of_product] == ids[:1]
    first = await manager.get(f"/organizations/{buyer}/subscriptions", take=1)
    rest = await manager.get(f"/organizations/{buyer}/subscriptions", take=1, **{"from": first["next"]})
    assert [one["id"] for one in (*first["subscriptions"], *rest["subscriptions"])] == ids


async def test_several_subscriptions_add_up(shared: Installation) -> None:
    manager = await shared.manager("acme")
    buyer = await organization(manager)
    for features in (
        ("sso:true", "projects:500", "calls:10", "exports:3"),
        ("projects:500", "calls:unlimited", "exports:true"),
        ("calls:5", "none:0"),
    ):
        await subscribed(manager, buyer, *features)
    found = await entitlements(manager, buyer)
    assert found["entitlements"] == {
        "calls": "unlimited",
        "exports": True,
        "none": 0,
        "projects": 1000,
        "sso": True,
    }
    assert len(found["licenses"]) == 3


async def test_only_a_live_subscription_gives_anything(installation: Installation) -> None:
    manager, now = await installation.manager("acme"), installation.clock.now()
    buyer = await organization(manager)
    for status in ("paused", "canceled"):
        await subscribed(manager, buyer, f"{status}:true", status=status)
    for status in ("active", "trialing", "past_due"):
        await subscribed(manager, buyer, f"{status}:true", status=status, ends_at=iso(now + 3600))
    later = await subscribed(manager, buyer, "later:true", starts_at=iso(now + 1800))
    assert set((await entitlements(manager, buyer))["entitlements"]) == {"active", "trialing", "past_due"}
    installation.clock.advance(1801)
    assert "later" in (await entitlements(manager, buyer))["entitlements"]
    installation.clock.advance(1800)
    assert (await entitlements(manager, buyer))["entitlements"] == {"later": True}
    await manager.patch(f"/subscriptions/{later['id']}", {"status": "paused"})
    found = await entitlements(manager, buyer)
    assert found == {"organization_id": buyer, "licenses": [], "entitlements": {}}


async def test_what_a_deleted_organization_had_goes_with_it(shared: Installation) -> None:
    manager = await shared.manager("acme")
    buyer = await organization(manager)
    made = await subscribed(manager, buyer, "sso:true")
    await manager.delete(f"/organizations/{buyer}")
    assert (await refused(manager, "GET", f"/subscriptions/{made['id']}")).status_code == 404
    assert (await refused(manager, "GET", f"/organizations/{buyer}/entitlements")).status_code == 404


values = strategies.one_of(
    strategies.just("true"), strategies.just("unlimited"), strategies.integers(0, 10**12 - 1)
)
features = strategies.lists(
    strategies.builds("{}:{}".format, strategies.sampled_from(["a", "b", "c.d"]), values), max_size=8
)


@given(features, features, strategies.randoms(use_true_random=False))
def test_what_several_give_does_not_depend_on_their_order_and_is_never_less(
    some: list[str], more: list[str], order: Random
) -> None:
    together, shuffled = [*some, *more], [*some, *more]
    order.shuffle(shuffled)
    found = combined(together)
    assert combined(shuffled) == found
    for key, value in combined(some).items():
        before, after = limit_of(value), limit_of(found[key])
        assert after is None or (before is not None and before <= after)
