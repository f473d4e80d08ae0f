"""Whoever has the key or a token of one tenant's namespace is alone with that namespace."""

import base64
import time
from pathlib import Path

import httpx
import pytest

import keystead_hrana
from core.database import DatabaseRef
from core.database.tokens import DatabaseKey
from core.errors import DatabaseMissing, DatabaseUnavailable
from keystead_hrana import Error
from provisioning.backends import hrana
from tests.backends.homes import Home
from tests.engines.sqld import Sqld

pytestmark = pytest.mark.libsql

WORD = "SELECT 'reached'"


def token_of(ref: DatabaseRef, namespace: str) -> str:
    return DatabaseKey.from_pem(ref.server.secret).mint(namespace, time.time())


def asked(
    sqld: Sqld, namespace: str, token: str, path: str = "v3/pipeline", host: str | None = None
) -> httpx.Response:
    headers = {"Host": f"{host or namespace}.localhost", "Authorization": f"Bearer {token}"}
    headers["x-namespace-bin"] = base64.b64encode(namespace.encode()).decode().rstrip("=")
    body = {"requests": [{"type": "execute", "stmt": {"sql": WORD}}, {"type": "close"}]}
    with httpx.Client(trust_env=False) as http:
        if path == "dump":
            return http.get(f"{sqld.url}/dump", headers=headers)
        return http.post(f"{sqld.url}/{path}", headers=headers, json=body)


def test_no_token_that_its_key_can_mint_opens_another_namespace(libsql_home: Home, sqld: Sqld) -> None:
    _, acme = libsql_home.made("acme")
    _, globex = libsql_home.made("globex")
    own, other = acme.server.name, globex.server.name
    assert "reached" in asked(sqld, own, token_of(acme, own)).text
    for names in (own, other, "default", ""):
        for path in ("v3/pipeline", "v2/pipeline", "v3/cursor", "dump"):
            for host in (other, own):
                answer = asked(sqld, other, token_of(acme, names), path, host)
                assert answer.status_code in (401, 403, 404), (names, path, answer.text)
                assert "reached" not in answer.text
                assert "CREATE TABLE" not in answer.text


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH DATABASE '{}' AS other",
        "ATTACH '../{}/data' AS other",
        "VACUUM INTO '/tmp/{}'",
        "SELECT load_extension('{}')",
    ],
)
def test_no_statement_reaches_out_of_the_namespace(libsql_home: Home, statement: str) -> None:
    _, acme = libsql_home.made("acme")
    _, globex = libsql_home.made("globex")
    with keystead_hrana.Sockets() as sockets:
        thief = keystead_hrana.connect(
            acme.server.url, acme.server.name, token_of(acme, acme.server.name), sockets=sockets
        )
        with pytest.raises(Error):
            thief.execute(statement.format(globex.server.name))
    assert not (Path("/tmp") / globex.server.name).exists()


def test_the_administration_is_not_asked_with_a_tenants_token(libsql_home: Home, sqld: Sqld) -> None:
    _, acme = libsql_home.made("acme")
    name, token = acme.server.name, token_of(acme, acme.server.name)
    for scheme in ("Bearer", "basic"):
        with httpx.Client(trust_env=False, headers={"Authorization": f"{scheme} {token}"}) as http:
            for method, path in (
                ("GET", f"{name}/config"), ("POST", f"{name}/config"), ("DELETE", name),
                ("POST", f"{name}/fork/stolen"), ("POST", "stolen/create"),
            ):  # fmt: skip
                answer = http.request(method, f"{sqld.admin_url}/v1/namespaces/{path}", json={})
                assert answer.status_code in (401, 403), (method, path)
    assert libsql_home.backend.exists(acme)


def test_a_key_that_was_renewed_opens_nothing_any_more(libsql_home: Home) -> None:
    place, acme = libsql_home.made("acme")
    renewed = libsql_home.backend.renewed(place, acme)  # type: ignore[attr-defined]
    assert hrana.look(libsql_home.ref(renewed)).tables
    with pytest.raises((DatabaseUnavailable, DatabaseMissing)):
        hrana.look(acme)
