"""The proxies do what they say, so that what is tested through them is tested."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.engines.cloud import CloudTraits
from tests.engines.postgres import Postgres
from tests.engines.proxy import Fault, Kind, Proxy
from tests.engines.sqld import Sqld
from tests.engines.tcp_proxy import TcpProxy

pytestmark = pytest.mark.libsql


@pytest.fixture
def namespace(sqld: Sqld, request: pytest.FixtureRequest) -> str:
    name = re.sub("[^a-z]+", "-", request.node.name.lower())[:60].strip("-")
    sqld.create(name)
    sqld.script(name, "create table t(x unique)")
    return name


@pytest.fixture
def proxy(sqld: Sqld) -> Iterator[Proxy]:
    proxy = Proxy(sqld.port)
    yield proxy
    proxy.close()


def pipeline(
    proxy: Proxy, sqld: Sqld, namespace: str, *requests: Any, baton: str | None = None, timeout: float = 10
) -> httpx.Response:
    return httpx.post(
        f"{proxy.url}/v3/pipeline",
        json={"baton": baton, "requests": requests},
        headers={"host": f"{namespace}.localhost", "authorization": f"Bearer {sqld.token()}"},
        timeout=timeout,
    )


def execute(sql: str) -> dict[str, Any]:
    return {"type": "execute", "stmt": {"sql": sql}}


CLOSE = {"type": "close"}
INSERT = execute("insert into t values (1)")


def test_who_leaves_waits_for_no_lock_any_more(proxy: Proxy, sqld: Sqld, namespace: str) -> None:
    """Whoever asked for the lock and left would get it, keep it as long as the server lets it, and so for each."""
    begin, commit = execute("begin immediate"), execute("commit")
    holder = pipeline(proxy, sqld, namespace, begin).json()["baton"]
    for _ in range(4):
        with pytest.raises(httpx.ReadTimeout):
            pipeline(proxy, sqld, namespace, begin, timeout=0.3)
    answer = pipeline(proxy, sqld, namespace, commit, CLOSE, baton=holder)
    assert answer.json()["results"][0]["type"] == "ok"
    assert pipeline(proxy, sqld, namespace, INSERT, CLOSE, timeout=9).json()["results"][0]["type"] == "ok"


def test_what_is_cut_before_the_server_never_happened(proxy: Proxy, sqld: Sqld, namespace: str) -> None:
    proxy.inject(Fault(Kind.CUT_BEFORE))
    with pytest.raises(httpx.TransportError):
        pipeline(proxy, sqld, namespace, INSERT, CLOSE)
    assert sqld.query(namespace, "select * from t") == []
    assert pipeline(proxy, sqld, namespace, INSERT, CLOSE).status_code == 200


@pytest.mark.parametrize("kind", [Kind.CUT_AFTER_ANSWER, Kind.TRUNCATED])
def test_what_is_cut_after_the_server_has_happened(
    proxy: Proxy, sqld: Sqld, namespace: str, kind: Kind
) -> None:
    proxy.inject(Fault(kind))
    with pytest.raises(httpx.TransportError):
        pipeline(proxy, sqld, namespace, INSERT, CLOSE)
    assert sqld.query(namespace, "select * from t") == [(1,)]


def test_a_garbled_answer_is_whole_http_and_broken_json(proxy: Proxy, sqld: Sqld, namespace: str) -> None:
    proxy.inject(Fault(Kind.GARBLED))
    answer = pipeline(proxy, sqld, namespace, INSERT, CLOSE)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_fault_is_for_the_requests_that_are_meant(proxy: Proxy, sqld: Sqld, namespace: str) -> None:
    proxy.inject(Fault(Kind.REFUSED, status=503), when=lambda request: request.has("insert"), times=None)
    assert pipeline(proxy, sqld, namespace, execute("select 1"), CLOSE).status_code == 200
    assert [pipeline(proxy, sqld, namespace, INSERT, CLOSE).status_code for _ in range(2)] == [503, 503]
    proxy.heal()
    assert pipeline(proxy, sqld, namespace, INSERT, CLOSE).status_code == 200


def test_flapping_fails_every_second_time(proxy: Proxy, sqld: Sqld, namespace: str) -> None:
    proxy.inject(Fault(Kind.REFUSED, status=503), times=None, every=2)
    seen = [pipeline(proxy, sqld, namespace, execute("select 1"), CLOSE).status_code for _ in range(4)]
    assert seen == [503, 200, 503, 200]


def test_a_black_hole_answers_nobody_and_a_closed_door_refuses(
    proxy: Proxy, sqld: Sqld, namespace: str
) -> None:
    proxy.inject(Fault(Kind.BLACK_HOLE))
    with pytest.raises(httpx.ReadTimeout):
        pipeline(proxy, sqld, namespace, INSERT, CLOSE, timeout=0.2)
    proxy.down()
    with pytest.raises(httpx.ConnectError):
        pipeline(proxy, sqld, namespace, INSERT, CLOSE)
    proxy.up()
    assert pipeline(proxy, sqld, namespace, INSERT, CLOSE).status_code == 200
    assert sqld.query(namespace, "select * from t") == [(1,)]


def test_the_cloud_keeps_a_stream_only_inside_a_transaction(proxy: Proxy, sqld: Sqld, namespace: str) -> None:
    proxy.traits = CloudTraits()
    outside = pipeline(proxy, sqld, namespace, execute("select 1")).json()
    assert (outside["baton"], len(outside["results"])) == (None, 1)
    inside = pipeline(proxy, sqld, namespace, execute("begin"), INSERT).json()
    assert (inside["baton"] is None, len(inside["results"])) == (False, 2)
    committed = pipeline(proxy, sqld, namespace, execute("commit"), baton=inside["baton"]).json()
    assert committed["baton"] is None
    assert sqld.query(namespace, "select * from t") == [(1,)]


def test_the_cloud_says_404_of_lost_streams_and_names_constraints(
    proxy: Proxy, sqld: Sqld, namespace: str
) -> None:
    proxy.traits = CloudTraits()
    assert pipeline(proxy, sqld, namespace, INSERT, baton="none-of-theirs").status_code == 404
    answer = pipeline(proxy, sqld, namespace, INSERT, INSERT, CLOSE).json()
    assert answer["results"][1]["error"]["extended_code"] == "SQLITE_CONSTRAINT_UNIQUE"


def test_the_cloud_has_no_v1_no_websocket_and_no_version_to_set(
    proxy: Proxy, sqld: Sqld, namespace: str
) -> None:
    proxy.traits = CloudTraits()
    assert httpx.post(f"{proxy.url}/v1/execute", json={}).status_code == 404
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    assert httpx.get(proxy.url, headers=upgrade).status_code == 401
    answer = pipeline(proxy, sqld, namespace, execute("PRAGMA user_version = 7"), CLOSE).json()
    assert answer["results"][0]["type"] == "error"
    assert sqld.query(namespace, "pragma user_version") == [(0,)]
    proxy.traits.read_only_version = False
    assert pipeline(proxy, sqld, namespace, execute("PRAGMA user_version = 7"), CLOSE).status_code == 200
    assert sqld.query(namespace, "pragma user_version") == [(7,)]


@pytest.mark.postgresql
def test_a_connection_to_postgresql_is_passed_cut_and_refused(postgres: Postgres) -> None:
    proxy = TcpProxy(postgres.port)
    through = Postgres(password=postgres.password, folder=postgres.folder, port=proxy.port)
    assert through.query("select 1") == [["1"]]
    proxy.down()
    with pytest.raises(AssertionError, match="Connection refused"):
        through.query("select 1")
    proxy.up()
    assert through.query("select 2") == [["2"]]
    proxy.close()
