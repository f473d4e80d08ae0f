"""Who may come to a tenant's Management API: decided by the verified token alone (`specs/tenancy.md` section 4)."""

import dataclasses
from typing import Any

import pytest

from core.crypto.keys import SigningKey
from tests.management.world import EVERYTHING, PLATFORM_TOO, Place, World

pytestmark = pytest.mark.anyio


async def status(
    place: Place, token: str | None, method: str = "GET", **options: Any
) -> tuple[int, str | None]:
    body = {"name": "Clerk"} if method == "POST" else None
    answer = await place.with_token(token)(method, "/roles", body, **options)
    return answer.status_code, answer.json().get("errorCode") if answer.status_code >= 400 else None


OK, CREATED = (200, None), (201, None)
UNREACHED = (403, "insufficient_reach")
UNKNOWN = (401, "invalid_token")


async def test_a_tenants_own_token_reaches_that_tenant_and_no_other(world: World) -> None:
    token = world.acme.token()
    assert await status(world.acme, token) == OK
    assert await status(world.acme, token, "POST") == CREATED
    assert await status(world.globex, token) == UNKNOWN
    assert await status(world.one, token) == UNKNOWN


async def test_an_organization_of_tenant_one_reaches_exactly_its_tenant(world: World) -> None:
    token = world.one.token(PLATFORM_TOO, org_id=world.acme.tenant.organization_id)
    assert await status(world.acme, token) == OK
    assert await status(world.acme, token, "POST") == CREATED
    assert await status(world.globex, token) == UNREACHED
    assert await status(world.one, token) == UNREACHED


async def test_an_operator_reaches_a_child_only_with_a_platform_permission(world: World) -> None:
    plain = world.one.token(EVERYTHING)
    assert await status(world.one, plain) == OK
    assert await status(world.acme, plain) == UNREACHED
    reader = world.one.token(EVERYTHING | {"read:tenants"})
    assert await status(world.acme, reader) == OK
    assert await status(world.acme, reader, "POST") == UNREACHED
    writer = world.one.token(EVERYTHING | {"update:tenants"})
    assert await status(world.acme, writer) == OK
    assert await status(world.acme, writer, "POST") == CREATED


async def test_platform_names_in_a_childs_own_token_are_no_power(world: World) -> None:
    token = world.acme.token(PLATFORM_TOO)
    assert await status(world.acme, token) == OK
    assert await status(world.globex, token, "POST") == UNKNOWN


async def test_naming_another_tenant_is_refused_and_naming_this_one_is_ignored(world: World) -> None:
    token = world.acme.token()
    assert await status(world.acme, token, headers={"tenant-id": "acme"}) == OK
    assert await status(world.acme, token, params={"tenant_id": "acme"}) == OK
    assert await status(world.acme, token, headers={"tenant-id": "globex"}) == UNREACHED
    assert await status(world.acme, token, params={"tenant_id": "globex"}) == UNREACHED
    assert (
        await status(world.acme, token, params=[("tenant_id", "acme"), ("tenant_id", "globex")]) == UNREACHED
    )
    assert await status(world.one, world.one.token(), headers={"tenant-id": "one"}) == OK
    assert await status(world.one, world.one.token(), headers={"tenant-id": "acme"}) == UNREACHED


async def test_without_a_token_nobody_learns_which_tenant_was_named(world: World) -> None:
    assert await status(world.acme, None, headers={"tenant-id": "globex"}) == UNKNOWN


AUDIENCE = "http://acme.localhost:8000/api/v2/"


@pytest.mark.parametrize(
    ("claims", "is_good"),
    [
        ({"aud": AUDIENCE}, True),
        ({"aud": AUDIENCE.replace("http", "https", 1)}, True),
        ({"aud": [AUDIENCE, "http://acme.localhost:8000/userinfo"]}, True),
        ({"aud": [AUDIENCE, "https://api.example.com"]}, False),
        ({"aud": [AUDIENCE, *(f"https://{n}.example.com" for n in range(100))]}, False),
        ({"aud": "https://api.example.com"}, False),
        ({"aud": "http://localhost:8000/api/v2/"}, False),
        ({"aud": "http://acme.localhost:8000/api/v2"}, False),
        ({"aud": None}, False),
        ({"aud": 7}, False),
        ({"iss": ["http://acme.localhost:8000/"]}, False),
        ({"iss": "http://acme.localhost:8000"}, False),
        ({"iss": "http://acme.localhost:8000//"}, False),
        ({"iss": "http://ACME.localhost:8000/"}, False),
        ({"iss": "http://globex.localhost:8000/"}, False),
        ({"iss": "http://localhost:8000/"}, False),
        ({"exp": 1}, False),
        ({"exp": "1900000000"}, False),
        ({"exp": -1}, False),
        ({"exp": None}, False),
        ({"nbf": 1_900_000_000}, False),
        ({"iat": 1_800_003_600}, False),
        ({"sub": None}, False),
        ({"sub": ""}, False),
        ({"sub": ["machine"]}, False),
        ({"sub": {"id": "machine"}}, False),
        ({"org_id": 7}, False),
        ({"scope": ["read:roles"]}, False),
        ({"permissions": "read:roles"}, False),
        ({"permissions": [["read:roles"]]}, False),
    ],
)
async def test_only_the_right_claims_are_accepted(
    world: World, claims: dict[str, Any], is_good: bool
) -> None:
    token = world.acme.token(EVERYTHING, **claims)
    assert await status(world.acme, token) == (OK if is_good else UNKNOWN)


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "dpop+jwt", ""])
async def test_another_type_of_token_is_refused(world: World, typ: str) -> None:
    assert await status(world.acme, world.acme.sign(world.acme.claims(), typ=typ)) == UNKNOWN


async def test_a_key_counts_only_for_its_own_issuer(world: World) -> None:
    """Tenant one's key may not sign as acme, nor acme's as tenant one, nor a stranger's as anybody."""
    as_acme, as_one = world.acme.claims(), world.one.claims(PLATFORM_TOO)
    assert await status(world.acme, world.one.sign(as_acme)) == UNKNOWN
    assert await status(world.acme, world.acme.sign(as_one)) == UNKNOWN
    stranger = dataclasses.replace(world.acme, key=SigningKey.generate("ES256"))
    assert await status(world.acme, stranger.sign(as_acme)) == UNKNOWN


async def test_a_damaged_token_is_refused(world: World) -> None:
    token = world.acme.token()
    head, payload, signature = token.split(".")
    for bad in (
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}..{signature}",
        token + "x",
        "x" * 100_000,
        "." * 99,
    ):
        assert await status(world.acme, bad) == UNKNOWN


async def test_permissions_count_from_either_claim(world: World) -> None:
    from_permissions = world.acme.token(set(), scope="openid", permissions=["read:roles"])
    assert await status(world.acme, from_permissions) == OK
    assert await status(world.acme, world.acme.token({"read:roles"})) == OK
    assert await status(world.acme, world.acme.token({"read:clients"})) == (403, "insufficient_scope")


async def test_a_resource_that_does_not_exist_here_is_forbidden_not_missing(world: World) -> None:
    api = world.acme.api()
    for method, path in [
        ("GET", "/guardian/factors"),
        ("POST", "/hooks"),
        ("DELETE", "/x/y/z"),
        ("PUT", "/flows/x"),
        ("GET", "/users/x/enrollments"),
    ]:
        answer = await api(method, path)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope"), path
        assert "no such resource" in answer.json()["message"]
        assert (await world.acme.with_token(None)(method, path)).status_code == 401
    assert (await api.get("/actions/actions")).json()["actions"] == []


async def test_a_method_that_a_resource_does_not_have_is_405_in_this_apis_shape(world: World) -> None:
    answer = await world.acme.api()("PUT", "/roles")
    assert (answer.status_code, answer.json()["errorCode"]) == (405, "method_not_allowed")
