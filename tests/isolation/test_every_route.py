"""Asked of every route of the OpenAPI documents: no token, B's token, B's ids and a reading token do nothing.

Nothing is picked: a route that is added tomorrow is asked the same. After each round every row of every database
is compared with what it was.
"""

import secrets
from collections.abc import AsyncIterator

import pytest

from entrypoints.demo_content import DemoClient
from tests.isolation.conftest import CONTROL_PLANE, A, B, Neighbours
from tests.isolation.routes import Route, all_routes, body_of
from tests.isolation.rows import all_rows, transitions
from tests.isolation.standing import ids_of
from tests.operators import Caller, machine_token

pytestmark = pytest.mark.anyio

Routes = list[tuple[str, Route]]


@pytest.fixture(scope="module")
async def routes(neighbours: Neighbours) -> Routes:
    return await all_routes(neighbours)


@pytest.fixture(scope="module")
async def ids(neighbours: Neighbours) -> dict[str, dict[str, str]]:
    return {tenant_id: await ids_of(neighbours, tenant_id) for tenant_id in (A, B)}


@pytest.fixture
async def nothing_changes(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]]
) -> AsyncIterator[None]:
    """Every row of every database, but for the log of what was tried."""
    await neighbours.installation.running.platform.lifecycle.wait_synced()
    before = await all_rows(neighbours.installation)
    assert len(before) >= 5
    yield
    assert transitions(before, await all_rows(neighbours.installation)) == []


async def test_both_documents_are_there(routes: Routes) -> None:
    hosts = [host for host, _ in routes]
    assert hosts.count(CONTROL_PLANE) >= 17
    assert hosts.count(A) >= 65


@pytest.mark.usefixtures("nothing_changes")
async def test_without_a_token_every_route_is_401(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]]
) -> None:
    nobody = Caller(neighbours.http, None)
    for host, route in routes:
        url = neighbours.issuer(host) + route.at(ids[A])
        answer = await nobody.call(route.method, url, body_of(route, ids[A]))
        assert answer.status_code == 401, (route, answer.text)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("who", ["B's machine", "B's user"])
async def test_with_a_token_of_b_every_route_of_a_is_401_or_403(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]], who: str
) -> None:
    for host, route in routes:
        for selected in (None, A, B):
            url = neighbours.issuer(host) + route.at(ids[A])
            headers = {"tenant-id": selected} if selected else {}
            answer = await neighbours.callers[who].call(
                route.method, url, body_of(route, ids[A]), headers=headers
            )
            assert answer.status_code in (401, 403), (route, selected, answer.text)


@pytest.mark.usefixtures("nothing_changes")
async def test_by_the_control_planes_host_a_token_of_b_reaches_a_no_more(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]]
) -> None:
    for _, route in routes:
        for selected in (None, A, CONTROL_PLANE):
            url = neighbours.issuer(CONTROL_PLANE) + route.at(ids[A])
            answer = await neighbours.callers["B's machine"].call(
                route.method, url, body_of(route, ids[A]), headers={"tenant-id": selected} if selected else {}
            )
            assert answer.status_code in (401, 403), (route, selected, answer.text)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("who", ["A's machine", "A's user", "person with organization A"])
async def test_ids_of_b_in_paths_of_a_are_404_and_do_nothing(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]], who: str
) -> None:
    for host, route in routes:
        if host != A or not route.names_something:
            continue
        url = neighbours.issuer(A) + route.at(ids[B])
        answer = await neighbours.callers[who].call(route.method, url, body_of(route, ids[A]))
        unknown = (404, 204) if route.method == "DELETE" else (404,)  # what is gone already is gone
        assert answer.status_code in unknown, (route, answer.text)


@pytest.mark.usefixtures("nothing_changes")
async def test_ids_of_b_in_bodies_of_a_are_400_or_404_and_link_nothing(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]]
) -> None:
    naming = (
        *("PermissionsBody", "UsersBody", "RolesBody", "NewMembersBody", "ClientGrantIn", "ClientIn"),
        *("ConnectionIn", "ConnectionPatch", "ClientStatus", "EnabledConnectionIn", "OrganizationGrantIn"),
        *("LinkBody", "VerificationTicketIn", "PasswordTicketIn"),
    )
    asked = 0
    for host, route in routes:
        if host != A or route.body not in naming or route.method == "DELETE":
            continue
        url = neighbours.issuer(A) + route.at(ids[A])
        answer = await neighbours.callers["A's machine"].call(route.method, url, body_of(route, ids[B]))
        assert answer.status_code in (400, 404), (route, answer.text)
        asked += 1
    assert asked >= 8


@pytest.mark.usefixtures("nothing_changes")
async def test_with_a_token_of_organization_a_the_platforms_routes_are_403(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]]
) -> None:
    bound = neighbours.callers["person with organization A"]
    for host, route in routes:
        if host != CONTROL_PLANE:
            continue
        for tenant_id in (A, B):
            url = neighbours.issuer(host) + route.at(ids[tenant_id])
            answer = await bound.call(route.method, url, body_of(route, ids[tenant_id]))
            own = tenant_id == A and (route.method, route.path) == ("GET", "/api/v2/tenants/{tenant_id}")
            assert answer.status_code == (200 if own else 403), (route, tenant_id, answer.text)


async def _reader(neighbours: Neighbours, tenant_id: str) -> Caller:
    """A machine with everything that begins with `read:`."""
    issuer = neighbours.issuer(tenant_id)
    body = {
        "name": f"reader {secrets.token_hex(3)}",
        "app_type": "non_interactive",
        "grant_types": ["client_credentials"],
    }
    client = await neighbours.made(tenant_id, "/clients", body)
    servers = (await neighbours.platform.call("GET", f"{issuer}api/v2/resource-servers", per_page=100)).json()
    management = next(item for item in servers if item["identifier"] == f"{issuer}api/v2/")
    scope = [item["value"] for item in management["scopes"] if item["value"].startswith("read:")]
    grant = {"client_id": client["client_id"], "audience": management["identifier"], "scope": scope}
    await neighbours.made(tenant_id, "/client-grants", grant)
    credentials = DemoClient(client["client_id"], client["client_secret"])
    token = await machine_token(neighbours.http, issuer, credentials, management["identifier"])
    return Caller(neighbours.http, token)


@pytest.fixture(scope="module")
async def readers(neighbours: Neighbours) -> dict[str, Caller]:
    return {tenant_id: await _reader(neighbours, tenant_id) for tenant_id in (A, CONTROL_PLANE)}


@pytest.mark.usefixtures("nothing_changes")
async def test_a_token_that_may_only_read_writes_nowhere(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]], readers: dict[str, Caller]
) -> None:
    for host, route in routes:
        if route.path == "/api/v2/jobs/users-exports":  # a file of what one may read, as Auth0 has it
            continue
        url = neighbours.issuer(host) + route.at(ids[A])
        answer = await readers[host].call(route.method, url, body_of(route, ids[A]))
        if route.writes:
            assert answer.status_code == 403, (route, answer.text)
        else:
            assert answer.status_code in (200, 204, 400, 404), (route, answer.text)


@pytest.mark.usefixtures("nothing_changes")
async def test_a_person_of_tenant_one_without_an_organization_reaches_no_route_of_a(
    neighbours: Neighbours, routes: Routes, ids: dict[str, dict[str, str]]
) -> None:
    for host, route in routes:
        if host == A:
            url = neighbours.issuer(A) + route.at(ids[A])
            answer = await neighbours.callers["person"].call(route.method, url, body_of(route, ids[A]))
            assert answer.status_code == 403, (route, answer.text)
