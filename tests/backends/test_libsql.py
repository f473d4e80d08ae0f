"""What is libSQL's alone: a key per tenant, several servers, false 404s, and the fence for a move."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from core import failpoints
from core.database import DatabaseRef
from core.database.tokens import LIFETIME, DatabaseKey, Minted, bearer
from core.errors import Conflict, DatabaseUnavailable, WrongDatabase
from core.settings import Secret
from provisioning.backends import Place
from provisioning.backends.configuration import LibsqlServer, Servers
from provisioning.backends.libsql import LibsqlBackend
from tests.backends.conftest import server_of
from tests.backends.homes import Home, content_of, nothing_more, rows_of
from tests.engines.proxy import Fault, Kind, Proxy
from tests.engines.sqld import Sqld
from tests.engines.tokens import TokenKey

pytestmark = pytest.mark.libsql


def backend_of(home: Home) -> LibsqlBackend:
    assert isinstance(home.backend, LibsqlBackend)
    return home.backend


def with_secret(ref: DatabaseRef, secret: str) -> DatabaseRef:
    return replace(ref, remote=replace(ref.server, secret=secret))


def rows(sqld: Sqld, ref: DatabaseRef, sql: str) -> list[tuple[object, ...]]:
    return sqld.query(ref.server.name, sql, token=token_of(ref))


def token_of(ref: DatabaseRef) -> str:
    return bearer(ref.server.secret, ref.server.name)()


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_the_key_of_one_tenant_opens_no_other_database(libsql_home: Home, sqld: Sqld) -> None:
    _, acme = libsql_home.made("acme")
    _, globex = libsql_home.made("globex")
    borrowed = with_secret(globex, acme.server.secret)
    target = libsql_home.folder / "copy.db"
    with pytest.raises(DatabaseUnavailable):
        libsql_home.backend.snapshot(borrowed, target)
    assert not target.exists()
    answer = httpx.post(
        f"{sqld.url}/v3/pipeline",
        json={"requests": []},
        headers={"host": f"{globex.server.name}.localhost", "authorization": f"Bearer {token_of(acme)}"},
    )
    assert answer.status_code in (401, 404)


def test_the_servers_own_key_opens_no_tenants_database(libsql_home: Home, sqld: Sqld) -> None:
    _, ref = libsql_home.made()
    answer = httpx.post(
        f"{sqld.url}/v3/pipeline",
        json={"requests": []},
        headers={"host": f"{ref.server.name}.localhost", "authorization": f"Bearer {sqld.token()}"},
    )
    assert answer.status_code == 401


def test_a_token_lives_for_minutes_and_names_its_namespace(libsql_home: Home) -> None:
    _, ref = libsql_home.made()
    header, claims, _ = token_of(ref).split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "EdDSA"
    assert decoded["id"] == ref.server.name
    minted = Minted(DatabaseKey.from_pem(ref.server.secret), ref.server.name)
    assert minted() == minted()
    assert LIFETIME <= 300


def test_places_that_were_exchanged_are_noticed(libsql_home: Home) -> None:
    globexs, _ = libsql_home.made("globex")
    ref = libsql_home.ref(globexs, owner="acme")
    with pytest.raises(WrongDatabase):
        libsql_home.copy(ref)


# ---- namespaces of a half-done try, and strangers' -------------------------------------------------------------------


def test_a_namespace_that_is_there_and_empty_is_filled(libsql_home: Home, sqld: Sqld) -> None:
    place = libsql_home.place()
    ref = libsql_home.ref(place)
    sqld.create(ref.server.name)
    assert not libsql_home.backend.exists(ref)
    libsql_home.made(place=place)
    assert rows(sqld, ref, "SELECT id FROM tenant") == [("acme",)]


def test_a_strangers_namespace_is_left_as_it_is(libsql_home: Home, sqld: Sqld) -> None:
    without_key, with_key = libsql_home.place(), libsql_home.place()
    sqld.create(without_key.location)
    sqld.script(without_key.location, "CREATE TABLE theirs (x)")
    theirs = TokenKey()
    sqld.create(with_key.location, jwt_key=theirs.public)
    for place in (without_key, with_key):
        before = sqld.config(place.location)
        with pytest.raises(Conflict):
            libsql_home.made(place=place)
        assert sqld.config(place.location)["jwt_key"] == before["jwt_key"]
    assert sqld.query(without_key.location, "SELECT name FROM sqlite_schema") == [("theirs",)]


@pytest.mark.faults
@pytest.mark.parametrize("point", ["backend.create.namespace", "backend.create.filled"])
def test_when_the_server_dies_in_the_middle_the_next_try_finishes(
    own_sqld: Sqld, tmp_path: Path, point: str
) -> None:
    home = home_on(own_sqld, tmp_path)
    place = home.place()
    ref = home.ref(place)
    failpoints.configure(f"{point}=sleep:1")
    dying = threading.Timer(0.4, own_sqld.kill)
    dying.start()
    with pytest.raises(DatabaseUnavailable):
        home.made(place=place)
    dying.join()
    failpoints.configure("")
    with pytest.raises(DatabaseUnavailable):
        home.backend.exists(ref)
    own_sqld.start()
    assert not home.backend.exists(ref)
    home.made(place=place)
    assert rows(own_sqld, ref, "SELECT id FROM tenant") == [("acme",)]


def home_on(sqld: Sqld, folder: Path) -> Home:
    servers = Servers(server_of(sqld))
    return Home(LibsqlBackend(servers), lambda: LibsqlBackend(servers), folder)


def test_what_is_committed_is_on_disk_and_what_is_configured_stays(libsql_home: Home, sqld: Sqld) -> None:
    place, ref = libsql_home.made()
    name = ref.server.name
    assert sqld.config(name)["durability_mode"] == "strong"
    sqld.configure(name, txn_timeout_s=7)
    renewed = backend_of(libsql_home).renewed(place, ref)
    config = sqld.config(name)
    assert (config["txn_timeout_s"], config["durability_mode"]) == (7, "strong")
    assert config["jwt_key"] == DatabaseKey.from_pem(libsql_home.ref(renewed).server.secret).public


def test_what_is_set_aside_is_kept_and_answers_nobody(own_sqld: Sqld, tmp_path: Path) -> None:
    home = home_on(own_sqld, tmp_path)
    _, ref = home.made()
    home.backend.set_aside(ref)
    (aside,) = (path.name for path in (own_sqld.folder / "data" / "dbs").glob("aside-*"))
    token = DatabaseKey.from_pem(ref.server.secret).mint(aside, 2**31)
    with pytest.raises(AssertionError, match="BLOCKED"):
        own_sqld.query(aside, "SELECT id FROM tenant", token=token)
    own_sqld.configure(aside, block_reads=False)
    assert own_sqld.query(aside, "SELECT id FROM tenant", token=token) == [("acme",)]


# ---- servers ---------------------------------------------------------------------------------------------------------


def test_a_region_is_another_server(sqld: Sqld, own_sqld: Sqld, tmp_path: Path) -> None:
    backend = LibsqlBackend(Servers(server_of(sqld), {"eu": server_of(own_sqld)}))
    home = Home(backend, lambda: backend, tmp_path)
    place = backend.place("acme", 1, "eu")
    _, ref = home.made(place=place)
    assert own_sqld.has(ref.server.name)
    assert not sqld.has(ref.server.name)
    assert backend.exists(ref)


def test_a_region_that_was_taken_out_of_the_file_is_an_error_for_its_tenants(sqld: Sqld) -> None:
    before = LibsqlBackend(Servers(server_of(sqld), {"eu": server_of(sqld)}))
    place = before.place("acme", 1, "eu")
    after = LibsqlBackend(Servers(server_of(sqld)))
    with pytest.raises(DatabaseUnavailable):
        after.ref(place, owner="acme", incarnation="inc_1", generation=1)


@pytest.fixture
def admin(sqld: Sqld) -> Iterator[Proxy]:
    proxy = Proxy(sqld.admin_port)
    yield proxy
    proxy.close()


@pytest.fixture
def data(sqld: Sqld) -> Iterator[Proxy]:
    proxy = Proxy(sqld.port)
    yield proxy
    proxy.close()


@pytest.fixture
def between(sqld: Sqld, admin: Proxy, data: Proxy, tmp_path: Path) -> Home:
    """A back end that reaches the server through what may fail."""
    backend = LibsqlBackend(Servers(LibsqlServer(data.url, admin.url, Secret(sqld.admin_key))))
    return Home(backend, lambda: backend, tmp_path)


def test_one_404_is_not_believed(between: Home, admin: Proxy, data: Proxy) -> None:
    _, ref = between.made()
    said = b'{"error":"Namespace doesn\'t exist"}'
    admin.inject(Fault(Kind.REFUSED, status=404, body=said), times=2)
    data.inject(Fault(Kind.REFUSED, status=404, body=said), times=2)
    assert between.backend.exists(ref)
    data.inject(Fault(Kind.REFUSED, status=404, body=said), times=2)
    assert rows_of(between.copy(ref), "SELECT id FROM tenant") == [("acme",)]


def test_a_server_that_cannot_be_reached_is_not_taken_for_one_without_the_database(
    between: Home, admin: Proxy, data: Proxy
) -> None:
    _, ref = between.made()
    for proxy in (admin, data):
        proxy.down()
        with pytest.raises(DatabaseUnavailable):
            between.backend.exists(ref)
        proxy.up()
    assert between.backend.exists(ref)


@pytest.mark.parametrize("kind", [Kind.TRUNCATED, Kind.GARBLED, Kind.CUT_AFTER_ANSWER])
def test_half_a_copy_is_none(between: Home, data: Proxy, kind: Kind) -> None:
    _, ref = between.made()
    data.inject(Fault(kind), when=lambda request: request.path == "/dump")
    target = between.folder / "copy.db"
    with pytest.raises(DatabaseUnavailable):
        between.backend.snapshot(ref, target)
    assert not target.exists()
    between.backend.snapshot(ref, target)
    assert rows_of(target, "SELECT id FROM tenant") == [("acme",)]


def test_a_commit_whose_answer_is_lost_is_found_done(between: Home, data: Proxy, sqld: Sqld) -> None:
    place = between.place()
    ref = between.ref(place)
    data.inject(Fault(Kind.CUT_AFTER_ANSWER), when=lambda request: request.has("COMMIT"))
    with pytest.raises(DatabaseUnavailable):
        between.made(place=place)
    assert between.backend.exists(ref)
    before = content_of(between.copy(ref))
    assert between.backend.create(ref, between.template, nothing_more) is None
    assert content_of(between.copy(ref)) == before


def test_a_place_holds_its_secret_where_nobody_prints_it(libsql_home: Home) -> None:
    place = libsql_home.place()
    assert isinstance(place, Place)
    assert "PRIVATE KEY" not in repr(place) + repr(libsql_home.ref(place))
