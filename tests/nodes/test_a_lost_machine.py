"""A machine that does not come back: what was in its files is restored by another, from the folder that they share."""

from pathlib import Path

import httpx
import pytest

from tests.nodes.clusters import Cluster
from tests.operators import Caller
from tests.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.libsql, pytest.mark.postgresql]

TENANT = "filed"
KEYS = f"http://{TENANT}.localhost:8000/.well-known/jwks.json"


async def test_a_file_of_a_lost_machine_is_restored_to_where_all_nodes_reach_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    shared = {"BACKUP_FOLDER": str(tmp_path / "backups")}
    url = f"{cluster.plane}/tenants/{TENANT}"
    async with cluster.node("lost").serving(**shared) as server, server.client() as http:
        operator = await cluster.operator(http)
        made = await operator.call("POST", f"{cluster.plane}/tenants", {"id": TENANT, "backend": "sqlite"})
        assert made.status_code == 201
        kept = (await operator.call("POST", f"{url}/backups")).json()
        await ended(cluster, operator, kept["id"])
        keys = await kids(http)
    async with cluster.node("left").serving(**shared) as server, server.client() as http:
        operator = await cluster.operator(http)
        assert (await http.get(KEYS)).status_code == 503
        (backup,) = (await operator.call("GET", f"{url}/backups")).json()
        order = {"backend": "libsql", "present_is_lost": True}
        begun = await operator.call("POST", f"{url}/backups/{backup['id']}/restore", order)
        operation = await ended(cluster, operator, begun.json()["id"])
        assert (operation["state"], operation["attempts"]) == ("succeeded", 1)
        assert not keys & await kids(http)


async def ended(cluster: Cluster, operator: Caller, operation_id: str) -> dict[str, object]:
    operation: dict[str, object] = {}

    async def is_ended() -> bool:
        answer = await operator.call("GET", f"{cluster.plane}/operations/{operation_id}")
        operation.update(answer.json())
        return operation["ended_at"] is not None or bool(operation["error"])

    await until(is_ended)
    return operation


async def kids(http: httpx.AsyncClient) -> set[str]:
    answer = await http.get(KEYS)
    assert answer.status_code == 200
    return {key["kid"] for key in answer.json()["keys"]}
