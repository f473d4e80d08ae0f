from collections.abc import AsyncIterator

import pytest

from tests.engines.postgres import Postgres
from tests.engines.sqld import Sqld
from tests.nodes.clusters import Cluster, make_cluster


@pytest.fixture(scope="module")
async def cluster(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, sqld: Sqld
) -> AsyncIterator[Cluster]:
    cluster = await make_cluster(tmp_path_factory.mktemp("cluster"), postgres, sqld)
    yield cluster
    cluster.close()
