"""What is Turso's alone: what its platform tells, refuses, protects and branches, and a data plane that differs."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.database import DatabaseRef
from core.errors import DatabaseUnavailable, InvalidInput, Unavailable, WrongDatabase
from core.settings import Secret
from provisioning.backends import hrana
from provisioning.backends.turso import TursoBackend
from tests.backends.conftest import account_of
from tests.backends.homes import Home, content_of, rows_of
from tests.engines.proxy import Fault, Kind, Request
from tests.engines.sqld import Sqld
from tests.engines.turso import TursoPlatform

pytestmark = pytest.mark.libsql

WHOSE = "SELECT id FROM tenant"


def backend_of(home: Home) -> TursoBackend:
    assert isinstance(home.backend, TursoBackend)
    return home.backend


def with_secret(ref: DatabaseRef, secret: str) -> DatabaseRef:
    return replace(ref, remote=replace(ref.server, secret=secret))


def creating(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/databases")


def write(sqld: Sqld, turso: TursoPlatform, name: str, sql: str) -> None:
    database = turso.databases[name]
    sqld.script(database.namespace, sql, token=database.key.mint(database.namespace))


def test_the_host_is_what_the_platform_says_and_no_namespace_is_named(
    turso_home: Home, turso: TursoPlatform
) -> None:
    place, ref = turso_home.made()
    name, _, host = place.location.partition("@")
    assert turso.databases[name].hostname == host
    assert name not in host
    assert ref.server.url == f"http://{host}", "plain, because it is on this machine"
    assert ref.server.is_alone
    elsewhere = turso_home.ref(replace(place, location=f"{name}@acme-corp.turso.example"))
    assert elsewhere.server.url == "https://acme-corp.turso.example"


def test_a_region_is_a_group(turso_home: Home, turso: TursoPlatform) -> None:
    place = turso_home.backend.place("acme", 1, "eu")
    turso_home.made(place=place)
    name = place.location.removeprefix("eu/")
    assert turso.databases[name].group == "frankfurt"


def test_a_group_that_the_platform_has_not_is_named_as_the_fault(turso_home: Home) -> None:
    place = turso_home.backend.place("acme", 1, "moon")
    with pytest.raises(InvalidInput, match="no such group"):
        turso_home.made(place=place)


def test_a_database_that_is_announced_before_it_answers_is_waited_for(
    turso_home: Home, turso: TursoPlatform
) -> None:
    turso.ready_after = 1.5
    _, ref = turso_home.made()
    copy = turso_home.copy(ref)
    assert rows_of(copy, WHOSE) == [("acme",)]
    _, second = turso_home.restored(copy)
    assert content_of(turso_home.copy(second)) == content_of(copy)


# ---- what the platform refuses ---------------------------------------------------------------------------------------


def test_a_platform_token_that_is_refused_makes_nothing(
    turso_home: Home, turso: TursoPlatform, tmp_path: Path
) -> None:
    wrong = TursoBackend(replace(account_of(turso), token=Secret("another")))
    home = Home(wrong, lambda: wrong, tmp_path)
    with pytest.raises(DatabaseUnavailable):
        home.made()
    assert not turso.databases


def test_a_plan_that_allows_no_more_is_said_in_words(turso_home: Home, turso: TursoPlatform) -> None:
    turso.limit = 0
    with pytest.raises(Unavailable, match="allows no more") as refused:
        turso_home.made()
    assert refused.value.code == "backend_quota"


def test_what_is_refused_for_now_is_asked_again(turso_home: Home, turso: TursoPlatform) -> None:
    turso.busy = 3
    turso_home.made()
    turso.api.inject(Fault(Kind.REFUSED, status=502), times=2, when=lambda request: request.method == "PATCH")
    _, ref = turso_home.made("globex")
    assert turso.databases[ref.server.name].configuration["delete_protection"]
    assert len(turso.databases) == 2


@pytest.mark.parametrize("kind", [Kind.CUT_AFTER_ANSWER, Kind.REFUSED])
def test_a_creation_whose_answer_is_lost_is_found_done(
    turso_home: Home, turso: TursoPlatform, kind: Kind
) -> None:
    """Not asked again by itself: that it was refused is not known, and the name would be taken."""
    place = turso_home.place()
    turso.api.inject(Fault(kind, status=502), when=creating)
    with pytest.raises(DatabaseUnavailable):
        turso_home.made(place=place)
    _, ref = turso_home.made(place=place)
    assert list(turso.databases) == [place.location]
    assert rows_of(turso_home.copy(ref), WHOSE) == [("acme",)]


def test_over_quota_is_an_error_for_that_tenant_alone(turso_home: Home, turso: TursoPlatform) -> None:
    _, acme = turso_home.made("acme")
    _, globex = turso_home.made("globex")
    turso.over_quota(acme.server.name)
    with pytest.raises(DatabaseUnavailable):
        hrana.look(acme)
    assert hrana.look(globex).identity == ("globex", "inc_1")


def test_only_a_file_as_the_platform_takes_it_is_uploaded(turso_home: Home, turso: TursoPlatform) -> None:
    source = turso_home.copy(turso_home.made()[1])
    other = turso_home.folder / "other.db"
    with closing(sqlite3.connect(source)) as driver:
        driver.execute("PRAGMA page_size = 1024")
        driver.execute("VACUUM INTO ?", (str(other),))
    before = set(turso.databases)
    with pytest.raises(InvalidInput, match="4096"):
        turso_home.restored(other)
    assert set(turso.databases) == before


# ---- tokens and protection -------------------------------------------------------------------------------------------


def test_the_token_of_one_tenant_opens_no_other_database(turso_home: Home) -> None:
    _, acme = turso_home.made("acme")
    _, globex = turso_home.made("globex")
    with pytest.raises(DatabaseUnavailable):
        turso_home.copy(with_secret(globex, acme.server.secret))


def test_places_that_were_exchanged_are_noticed(turso_home: Home) -> None:
    globexs, _ = turso_home.made("globex")
    with pytest.raises(WrongDatabase):
        turso_home.copy(turso_home.ref(globexs, owner="acme"))


def test_a_database_that_a_tenant_points_to_is_not_deleted_by_a_slip(
    turso_home: Home, turso: TursoPlatform
) -> None:
    _, ref = turso_home.made()
    assert turso.databases[ref.server.name].configuration["delete_protection"]
    turso_home.backend.delete(ref)
    assert not turso.databases


# ---- branches --------------------------------------------------------------------------------------------------------


def test_what_is_set_aside_is_kept_under_another_name_and_answers_nobody(
    turso_home: Home, turso: TursoPlatform
) -> None:
    _, ref = turso_home.made()
    turso_home.backend.set_aside(ref)
    (aside,) = turso.databases.values()
    assert aside.name.startswith("aside-acme-1-")
    assert aside.configuration == {"delete_protection": True, "block_reads": True, "block_writes": True}


def test_a_moment_of_the_past_can_be_copied_and_leaves_no_branch(
    turso_home: Home, turso: TursoPlatform, sqld: Sqld
) -> None:
    _, ref = turso_home.made()
    write(sqld, turso, ref.server.name, "CREATE TABLE early (x); INSERT INTO early VALUES (7)")
    moment = turso.remember_moment(ref.server.name)
    time.sleep(0.01)
    write(sqld, turso, ref.server.name, "DELETE FROM early; CREATE TABLE late (x)")
    target = turso_home.folder / "then.db"
    backend_of(turso_home).snapshot_as_of(ref, moment, target)
    assert rows_of(target, "SELECT x FROM early") == [(7,)]
    assert rows_of(target, "SELECT name FROM sqlite_schema WHERE name = 'late'") == []
    assert list(turso.databases) == [ref.server.name]


def test_a_moment_that_is_not_remembered_is_refused(turso_home: Home, turso: TursoPlatform) -> None:
    _, ref = turso_home.made()
    target = turso_home.folder / "then.db"
    with pytest.raises(InvalidInput, match="does not remember"):
        backend_of(turso_home).snapshot_as_of(ref, 1_000, target)
    assert not target.exists()
    assert list(turso.databases) == [ref.server.name]


def test_every_database_of_every_group_is_listed_half_made_ones_too(
    turso_home: Home, turso: TursoPlatform
) -> None:
    backend = backend_of(turso_home)
    turso_home.made(place=backend.place("acme", 1, "eu"))
    _, globex = turso_home.made("globex")
    backend.set_aside(globex)
    assert sorted(backend.names()) == sorted(turso.databases)
    assert len(turso.databases) == 2
