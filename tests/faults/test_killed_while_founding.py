"""A server dies while somebody makes, or deletes, an organization that is a tenant: the next one finishes it."""

import secrets

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from tests.faults.checks import is_whole, operations_of
from tests.faults.conftest import Ground
from tests.faults.servers import serving
from tests.operators import CONNECTION
from tests.organizations.people import AuthClient
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]
SIGNUP = {"TENANT_SIGNUP": "true", "DELETION_GRACE_DAYS": "0.00000001"}


async def founder(ground: Ground, http: httpx.AsyncClient) -> AuthClient:
    """Somebody of tenant one."""
    issuer = ground.demo.control_plane.issuer
    email, password = f"{secrets.token_hex(5)}@people.example", secrets.token_urlsafe(15)
    members = {"connection": CONNECTION, "email": email, "password": password, "email_verified": True}
    made = await (await ground.operator(http)).call("POST", f"{ground.plane}/users", members)
    assert made.status_code == 201, made.text
    return await AuthClient(http, issuer, email, password).sign_in()


async def again(person: AuthClient, http: httpx.AsyncClient) -> AuthClient:
    return await AuthClient(http, person.issuer, person.email, person.password).sign_in()


@pytest.mark.parametrize("place", ["provision.catalogue.after", "provision.organization.after"])
async def test_an_organization_whose_server_died_is_its_founders_once(ground: Ground, place: str) -> None:
    async with serving(ground.data, f"{place}=exit", **SIGNUP) as server, server.client() as http:
        person = await founder(ground, http)
        with pytest.raises(httpx.TransportError):
            await person.post("/organization/create", name="Phoenix", slug="phoenix")
        assert await server.ended() == EXIT_STATUS
    async with serving(ground.data, **SIGNUP) as server, server.client() as http:
        person = await again(person, http)

        async def is_there() -> bool:
            return bool((await person.get("/organization/list")).body)

        await until(is_there)
        (organization,) = (await person.get("/organization/list")).body
        assert (organization["slug"], organization["name"]) == ("phoenix", "Phoenix")
        chosen = await person.post("/organization/set-active", organizationId=organization["id"])
        assert chosen.status == 200
        members = (await person.get("/organization/list-members")).body["members"]
        assert [(each["userId"], each["role"]) for each in members] == [(person.user_id, "owner")]
        repeated = await person.post("/organization/create", name="Phoenix", slug="phoenix")
        assert repeated.code == "ORGANIZATION_ALREADY_EXISTS"
        issuer = ground.demo.control_plane.issuer.replace("://", "://phoenix.")

        async def serves() -> bool:
            found = await person.http.get(f"{issuer}.well-known/openid-configuration")
            return found.status_code == 200

        await until(serves)
    assert [(kind, state) for kind, state, _ in operations_of(ground.data, "phoenix")] == [
        ("create", "succeeded")
    ]
    is_whole(ground.data)


@pytest.mark.parametrize(
    "place",
    [pytest.param("provision.catalogue.after", marks=pytest.mark.long), "provision.activation.after"],
)
async def test_an_operators_key_has_its_organization_and_its_answer_after_the_server_died(
    ground: Ground, place: str
) -> None:
    asked = {"name": "phoenix", "display_name": "Phoenix Ltd", "metadata": {"plan": "gold"}}
    key = {"Idempotency-Key": "one-and-the-same"}
    path = f"{ground.plane}/organizations"
    async with serving(ground.data, f"{place}=exit", **SIGNUP) as server, server.client() as http:
        operator = await ground.operator(http)
        with pytest.raises(httpx.TransportError):
            await operator.call("POST", path, asked, headers=key)
        assert await server.ended() == EXIT_STATUS
    async with serving(ground.data, **SIGNUP) as server, server.client() as http:
        operator = await ground.operator(http)
        answer = await operator.call("POST", path, asked, headers=key)
        assert answer.status_code == 201, answer.text
        assert asked.items() <= answer.json().items()
        assert (await operator.call("POST", path, asked, headers=key)).json() == answer.json()
        tenant = (await operator.call("GET", f"{ground.plane}/tenants/phoenix")).json()
        assert (tenant["state"], tenant["organization_id"]) == ("active", answer.json()["id"])
        others = await operator.call("POST", path, {**asked, "name": "other"}, headers=key)
        assert others.status_code == 422
        assert (await operator.call("POST", path, asked)).status_code == 409
    assert [(kind, state) for kind, state, _ in operations_of(ground.data, "phoenix")] == [
        ("create", "succeeded")
    ]
    is_whole(ground.data)


async def test_a_deleted_organization_whose_server_died_is_deleted(ground: Ground) -> None:
    dying = serving(ground.data, "provision.organization.removed=exit", **SIGNUP)
    async with dying as server, server.client() as http:
        person = await founder(ground, http)
        made = await person.post("/organization/create", name="Phoenix", slug="phoenix")
        assert made.status == 200, made
        with pytest.raises(httpx.TransportError):
            await person.post("/organization/delete", organizationId=made.body["id"])
        assert await server.ended() == EXIT_STATUS
    async with serving(ground.data, **SIGNUP) as server, server.client() as http:
        person = await again(person, http)
        assert (await person.get("/organization/list")).body == []
        operator = await ground.operator(http)

        async def is_gone() -> bool:
            found = await operator.call("GET", f"{ground.plane}/tenants/phoenix")
            return bool(found.json()["state"] == "deleted")

        await until(is_gone)
    is_whole(ground.data)
