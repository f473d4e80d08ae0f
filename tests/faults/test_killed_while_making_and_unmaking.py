"""F1 and F5 through the front door: a server dies between two steps, and the next one finishes or undoes it."""

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from tests.faults.checks import everybody_follows, file_of, is_whole, operations_of, query
from tests.faults.conftest import Ground
from tests.faults.servers import serving
from tests.operators import machine_token
from tests.relying_party import RelyingParty
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

KEY = {"Idempotency-Key": "one-and-the-same"}


async def dies(request: object) -> None:
    with pytest.raises(httpx.TransportError):
        await request  # type: ignore[misc]


@pytest.mark.parametrize(
    "place",
    [
        "provision.database.before",
        "provision.catalogue.after",
        "provision.organization.after",
        "provision.activation.after",
    ],
)
async def test_f1_the_same_key_has_its_tenant_and_its_answer_after_the_process_died(
    ground: Ground, place: str
) -> None:
    async with serving(ground.data, f"{place}=exit") as server, server.client() as http:
        operator = await ground.operator(http)
        await dies(ground.made(operator, "phoenix", **KEY))
        assert await server.ended() == EXIT_STATUS
    registered = query(
        ground.data / "registry.db", "SELECT incarnation, organization_id FROM tenants WHERE id = 'phoenix'"
    )
    async with serving(ground.data) as server, server.client() as http:
        operator = await ground.operator(http)
        answer = await ground.made(operator, "phoenix", **KEY)
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "active"
        assert answer.json()["organization_id"] == registered[0][1]
        assert (await ground.made(operator, "phoenix", **KEY)).json() == answer.json()
        other = await operator.call("POST", f"{ground.plane}/tenants", {"id": "other"}, headers=KEY)
        assert other.status_code == 422
        assert (await ground.made(operator, "phoenix")).status_code == 409
        metadata = await http.get(f"{answer.json()['issuer']}.well-known/openid-configuration")
        assert metadata.json()["issuer"] == answer.json()["issuer"]
    assert (
        query(
            ground.data / "registry.db",
            "SELECT incarnation, organization_id FROM tenants WHERE id = 'phoenix'",
        )
        == registered
    )
    assert [(kind, state) for kind, state, _ in operations_of(ground.data, "phoenix")] == [
        ("create", "succeeded")
    ]
    is_whole(ground.data)
    assert everybody_follows(ground.data) == []


@pytest.mark.parametrize(
    "place",
    ["provision.delete.organization.before", "provision.organization.removed", "provision.delete.key.before",
     "backend.delete.set_aside", "provision.delete.tombstone.before"],
)  # fmt: skip
async def test_f5_a_deletion_that_died_is_finished_and_nothing_of_the_tenant_works_meanwhile(
    ground: Ground, place: str
) -> None:
    tenant = ground.demo.tenants[0]
    old_file = file_of(ground.data, tenant.id)
    grace = {"DELETION_GRACE_DAYS": "0.00000001"}
    async with serving(ground.data, f"{place}=exit", **grace) as server, server.client() as http:
        rp = RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0])
        tokens = await rp.sign_in()
        machine = await machine_token(http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience)
        cookies = http.cookies
        operator = await ground.operator(http)
        await dies(operator.call("DELETE", f"{ground.plane}/tenants/{tenant.id}"))
        assert await server.ended() == EXIT_STATUS
    async with serving(ground.data, **grace) as server, server.client() as http:
        http.cookies = cookies
        bearer = {"Authorization": f"Bearer {machine}"}
        assert (await http.get(f"{tenant.issuer}api/v2/roles", headers=bearer)).status_code == 404
        assert (await http.get(rp.authorize_url(prompt="none"))).status_code == 404
        body = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token, "client_id": "x"}
        assert (await http.post(f"{tenant.issuer}oauth/token", data=body)).status_code == 404
        operator = await ground.operator(http)

        async def gone() -> bool:
            found = await operator.call("GET", f"{ground.plane}/tenants/{tenant.id}")
            return bool(found.json()["state"] == "deleted")

        await until(gone)
        assert (await ground.made(operator, tenant.id)).status_code == 409
        through_one = await http.get(
            f"{ground.plane}/roles",
            headers={"Authorization": f"Bearer {operator.token}", "tenant-id": tenant.id},
        )
        assert through_one.status_code == 404
        other = ground.demo.tenants[1]
        assert (await http.get(f"{other.issuer}.well-known/jwks.json")).status_code == 200
    assert not old_file.exists()
    assert operations_of(ground.data, tenant.id)[-1][1] == "succeeded"
    is_whole(ground.data, deleted=[tenant.id])
