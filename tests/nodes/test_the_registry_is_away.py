"""F18: the registry is away, silent or locked. Known tenants serve, also after a start; nobody gets more than that."""

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from core.database.remote.postgresql import ONE_WRITER
from tests.nodes.clusters import Cluster, Node
from tests.relying_party import RelyingParty
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Node:
    return cluster.node("alone")


@pytest.fixture
async def http(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with node.serving() as server, server.client() as http:
        yield http
    node.line.black_hole = False
    node.line.down()
    node.line.up()


async def test_with_the_registry_away_known_tenants_serve_and_the_rest_is_503(
    cluster: Cluster, node: Node, http: httpx.AsyncClient
) -> None:
    operator = await cluster.operator(http)
    await serves(cluster.party("acme", http))
    await suspended(cluster, http, "globex")
    assert await health(http) == "ok"
    node.line.down()
    await serves(cluster.party("acme", http))
    await is_kept_out(cluster, http, "globex")

    async def is_degraded() -> bool:
        await serves(cluster.party("acme", http))
        return await health(http) == "degraded"

    await until(is_degraded)
    assert (await discovery(http, "nobody")).status_code == 503
    for method, path in (("GET", "/tenants"), ("GET", "/fleet"), ("POST", "/tenants")):
        answer = await operator.call(
            method, f"{cluster.plane}{path}", {"id": "late"} if method == "POST" else None
        )
        assert answer.status_code == 503, answer.text
        assert "retry-after" in answer.headers
    node.line.up()

    async def is_back() -> bool:
        return (await discovery(http, "nobody")).status_code == 404

    await until(is_back)
    assert (await operator.call("POST", f"{cluster.plane}/tenants/globex/resume")).is_success


async def test_at_a_start_without_the_registry_what_was_seen_before_is_served(
    cluster: Cluster, node: Node
) -> None:
    async with node.serving() as server, server.client() as http:
        rp = cluster.party("acme", http)
        await serves(rp)
        kept, revoked = await rp.redeem(await rp.code()), await rp.redeem(await rp.code())
        await ended(rp, revoked.refresh_token)
        await suspended(cluster, http, "globex")
        server.kill()
    node.line.down()
    async with node.serving() as server, server.client() as http:
        rp = cluster.party("acme", http)
        assert (await rp.refresh(kept.refresh_token)).status == 200
        assert (await rp.refresh(revoked.refresh_token)).error == "invalid_grant"
        await serves(rp)
        await is_kept_out(cluster, http, "globex")
        assert (await discovery(http, "nobody")).status_code == 503
        operator = await cluster.operator(http)
        assert (await operator.call("GET", f"{cluster.plane}/tenants")).status_code == 503
        node.line.up()

        async def is_back() -> bool:
            return (await operator.call("GET", f"{cluster.plane}/tenants")).status_code == 200

        await until(is_back)
        assert (await operator.call("POST", f"{cluster.plane}/tenants/globex/resume")).is_success
        made = await operator.call("POST", f"{cluster.plane}/tenants", {"id": "afterwards"})
        assert made.status_code == 201, made.text
        assert made.json()["state"] == "active"


async def test_a_registry_that_says_nothing_keeps_no_known_tenant_waiting(
    cluster: Cluster, node: Node, http: httpx.AsyncClient
) -> None:
    await serves(cluster.party("acme", http))
    node.line.black_hole = True
    for _ in range(3):
        await serves(cluster.party("acme", http))
    node.line.black_hole = False
    node.line.cut()

    async def is_back() -> bool:
        return (await discovery(http, "nobody")).status_code == 404

    await until(is_back)


async def test_a_registry_that_takes_no_writes_lets_everybody_in_who_may_enter(
    cluster: Cluster, node: Node, http: httpx.AsyncClient
) -> None:
    operator = await cluster.operator(http)
    with psycopg.connect(cluster.postgres.url(cluster.database), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (ONE_WRITER,))
        await serves(cluster.party("acme", http))
        assert (await operator.call("GET", f"{cluster.plane}/tenants")).status_code == 200
        answer = await operator.call("POST", f"{cluster.plane}/tenants", {"id": "waiting"})
        assert answer.status_code == 503, answer.text
    made = await operator.call("POST", f"{cluster.plane}/tenants", {"id": "waiting"})
    assert made.status_code == 201, made.text


async def test_a_machine_that_never_saw_the_installation_does_not_start_without_the_registry(
    cluster: Cluster,
) -> None:
    stranger = cluster.node("stranger")
    stranger.line.down()
    with pytest.raises(AssertionError, match="does not answer"):
        async with stranger.serving():
            pass


async def serves(rp: RelyingParty) -> None:
    """Log-in, token, refresh and keys, as the RFCs have it."""
    tokens = await rp.redeem(await rp.code(prompt="login"))
    assert tokens.status == 200, tokens.body
    again = await rp.refresh(tokens.refresh_token)
    assert again.status == 200, again.body
    keys = await rp.http.get(f"{rp.issuer}.well-known/jwks.json")
    assert keys.status_code == 200


async def ended(rp: RelyingParty, refresh_token: str) -> None:
    """RFC 7009."""
    form = {
        "token": refresh_token,
        "client_id": rp.client.client_id,
        "client_secret": rp.client.client_secret,
    }
    assert (await rp.http.post(f"{rp.issuer}oauth/revoke", data=form)).status_code == 200


async def suspended(cluster: Cluster, http: httpx.AsyncClient, tenant_id: str) -> None:
    operator = await cluster.operator(http)
    assert (await operator.call("POST", f"{cluster.plane}/tenants/{tenant_id}/suspend")).is_success
    await is_kept_out(cluster, http, tenant_id)


async def is_kept_out(cluster: Cluster, http: httpx.AsyncClient, tenant_id: str) -> None:
    answer = await cluster.party(tenant_id, http).refresh("any")
    assert (answer.status, answer.error) == (400, "access_denied")


async def health(http: httpx.AsyncClient) -> str:
    return str((await http.get("http://localhost:8000/health")).json()["status"])


async def discovery(http: httpx.AsyncClient, tenant_id: str) -> httpx.Response:
    return await http.get(f"http://{tenant_id}.localhost:8000/.well-known/openid-configuration")
