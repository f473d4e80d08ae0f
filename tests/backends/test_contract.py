"""What every back end promises, on each of them (`provisioning.backends.Backend`)."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.errors import Conflict, DatabaseMissing, DatabaseUnavailable, InvalidInput
from core.failpoints import EXIT_STATUS
from provisioning.backends import RenewsCredentials, Surveyed
from provisioning.backends.template import Draft
from tests.backends.homes import Home, content_of, rows_of
from tests.provisioning.installations import in_child

IDENTITY = "SELECT id, incarnation, converging FROM tenant"
ODD = [
    (1, 2**63 - 1),
    (2, -(2**63)),
    (3, 2**53 + 1),
    (4, 0.1),
    (5, 1e300),
    (6, 'it\'s; a "text"\nof;\nlines; -- no comment /* nor this */\r\n\u2028\x85end'),
    (7, "\N{GRINNING FACE} ünïcode \x01"),
    (8, bytes(range(256))),
    (9, b""),
    (10, None),
    (11, ""),
    (12, "CREATE TRIGGER t BEGIN;\nSELECT 1;\n"),
    (13, "x" * 300_000),
]


DELIVERIES = [
    ("a", bytes(range(256)), 2**63 - 1, None, -(2**63)),
    ("b", b"", 2**53 + 1, 'it\'s; a "text"\nof;\nlines; -- no comment /* nor this */\r\n\u2028', 0),
    ("c", b"\0", 0, "\N{GRINNING FACE} ünïcode \x01", None),
]
SETTINGS = [('{"z":1,"a":[true,null,1e2,"\u00fc"]}',), ("[]",), ('"text"',)]


def model_rows(draft: Draft) -> None:
    draft.driver.executemany(
        "INSERT INTO deliveries (id, kind, recipient, payload, attempts, created_at, last_error, due_at)"
        " VALUES (?, 'mail', 'r', ?, 0, ?, ?, ?)",
        DELIVERIES,
    )
    values = [(str(key), *value) for key, value in enumerate(SETTINGS)]
    draft.driver.executemany("INSERT INTO settings (key, source, value) VALUES (?, 'tenant', ?)", values)


def odd_rows(draft: Draft) -> None:
    draft.driver.execute(
        "CREATE TABLE odd (id INTEGER PRIMARY KEY, value, twice GENERATED ALWAYS AS (id * 2))"
    )
    draft.driver.execute("CREATE INDEX odd_values ON odd (value)")
    draft.driver.execute("CREATE VIEW seen AS SELECT id FROM odd")
    draft.driver.executemany("INSERT INTO odd (id, value) VALUES (?, ?)", ODD)
    draft.driver.execute(
        "CREATE TRIGGER odd_kept BEFORE DELETE ON odd BEGIN SELECT RAISE(ABORT, 'kept; for ever'); END"
    )


def test_a_new_database_says_whose_it_is_and_holds_what_the_template_holds(home: Home) -> None:
    place = home.place()
    assert not home.backend.exists(home.ref(place))
    _, ref = home.made(place=place)
    assert home.backend.exists(ref)
    copy = home.copy(ref)
    assert rows_of(copy, IDENTITY) == [("acme", "inc_1", 0)]
    schema = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY 1, 2"
    assert rows_of(copy, schema) == home.template.driver.execute(schema).fetchall()


def test_values_of_the_models_survive_whatever_engine_keeps_them(home: Home) -> None:
    copy = home.copy(home.made(own_rows=model_rows)[1])
    kept = "SELECT id, payload, created_at, last_error, due_at FROM deliveries ORDER BY id"
    assert rows_of(copy, kept) == DELIVERIES
    assert rows_of(copy, "SELECT value FROM settings WHERE source = 'tenant' ORDER BY key") == SETTINGS
    _, second = home.restored(copy)
    assert content_of(home.copy(second)) == content_of(copy)


def test_what_a_copy_holds_is_what_the_database_held_whatever_the_values(home: Home) -> None:
    if home.backend.name == "postgresql":
        pytest.skip("PostgreSQL holds the tables of the models, with types; any other is no tenant's")
    _, ref = home.made(own_rows=odd_rows)
    copy = home.copy(ref)
    assert rows_of(copy, "SELECT id, value FROM odd ORDER BY id") == ODD
    assert rows_of(copy, "SELECT twice FROM odd WHERE id = 4") == [(8,)]
    with closing(sqlite3.connect(copy)) as driver, pytest.raises(sqlite3.IntegrityError, match="for ever"):
        driver.execute("DELETE FROM odd")


def test_a_copy_can_be_put_in_the_place_of_a_new_generation(home: Home) -> None:
    _, first = home.made(own_rows=odd_rows)
    copy = home.copy(first)
    _, second = home.restored(copy)
    assert home.backend.exists(second)
    assert content_of(home.copy(second)) == content_of(copy)
    home.backend.delete(first)
    assert content_of(home.copy(second)) == content_of(copy)


def test_a_database_is_never_made_over_anothers(home: Home) -> None:
    place, ref = home.made()
    before = content_of(home.copy(ref))
    other = home.ref(place, owner="globex", incarnation="inc_2")
    with pytest.raises(Conflict):
        home.backend.create(other, home.template, lambda _: None)
    with pytest.raises(Conflict):
        home.backend.restore(other, _copy_for(home, "globex"))
    assert content_of(home.copy(ref)) == before


def _copy_for(home: Home, owner: str) -> Path:
    return home.copy(home.made(owner, incarnation="inc_2")[1])


def test_what_is_deleted_is_gone_and_may_be_deleted_again(home: Home) -> None:
    _, ref = home.made()
    home.backend.delete(ref)
    home.backend.delete(ref)
    assert not home.backend.exists(ref)
    with pytest.raises(DatabaseMissing):
        home.copy(ref)


def test_what_is_set_aside_makes_room(home: Home) -> None:
    place, ref = home.made("globex")
    home.backend.set_aside(ref)
    home.backend.set_aside(ref)
    assert not home.backend.exists(ref)
    _, ours = home.made("acme", place=place)
    assert rows_of(home.copy(ours), IDENTITY) == [("acme", "inc_1", 0)]


def test_a_copy_of_nothing_is_an_error_and_leaves_no_file(home: Home) -> None:
    ref = home.ref(home.place())
    target = home.folder / "copy.db"
    with pytest.raises(DatabaseUnavailable):
        home.backend.snapshot(ref, target)
    assert not target.exists()
    with pytest.raises(DatabaseMissing):
        home.backend.restore(ref, target)
    assert not home.backend.exists(ref)


def test_own_rows_that_fail_leave_no_database(home: Home) -> None:
    def fails(_: Draft) -> None:
        raise RuntimeError("no key could be made")

    place = home.place()
    with pytest.raises(RuntimeError):
        home.backend.create(home.ref(place), home.template, fails)
    assert not home.backend.exists(home.ref(place))
    assert home.backend.exists(home.made(place=place)[1])


FAILPOINTS = {
    ("sqlite", "create"): ("backend.create.draft",),
    ("sqlite", "restore"): ("backend.create.draft",),
    ("libsql", "create"): ("backend.create.namespace", "backend.create.filled"),
    ("libsql", "restore"): ("backend.create.namespace", "backend.create.filled"),
    ("turso", "create"): ("backend.create.database", "backend.create.token", "backend.create.filled"),
    ("turso", "restore"): ("backend.restore.created", "backend.create.token"),
    ("postgresql", "create"): ("backend.create.role", "backend.create.database", "backend.create.filled"),
    ("postgresql", "restore"): ("backend.create.role", "backend.create.database", "backend.create.filled"),
}


@pytest.mark.faults
@pytest.mark.parametrize("work", ["create", "restore"])
def test_killed_at_any_step_of_making_it_the_next_try_finishes(home: Home, work: str) -> None:
    source = home.copy(home.made("acme", odd_rows)[1])

    for generation, point in enumerate(FAILPOINTS[home.backend.name, work], 2):
        place = home.place(generation=generation)
        ref = home.ref(place, generation=generation)
        assert (
            in_child(_dying(partial(home.make, work, ref, source, odd_rows)), f"{point}=exit") == EXIT_STATUS
        )
        other = Home(home.again(), home.again, home.folder)
        assert not other.backend.exists(ref), point
        found = other.make(work, ref, source, odd_rows) or place
        assert content_of(other.copy(home.ref(found, generation=generation))) == content_of(source)


def _dying(work: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        work()

    return run


def test_a_name_comes_never_back(remote_home: Home) -> None:
    """An id that is used again, a generation that is tried again: none of them meets an old database."""
    assert remote_home.place("acme", 1).location != remote_home.place("acme", 1).location
    longest = remote_home.place("a" * 63, 999)
    assert len(longest.location) <= 63


def test_a_region_that_nobody_configured_is_refused_before_anything_is_made(remote_home: Home) -> None:
    with pytest.raises(InvalidInput, match="no such region"):
        remote_home.backend.place("acme", 1, "atlantis")


def test_after_new_credentials_the_old_ones_open_nothing(remote_home: Home) -> None:
    backend = remote_home.backend
    assert isinstance(backend, RenewsCredentials)
    place, ref = remote_home.made()
    renewed = remote_home.ref(backend.renewed(place, ref))
    assert rows_of(remote_home.copy(renewed), IDENTITY) == [("acme", "inc_1", 0)]
    with pytest.raises(DatabaseUnavailable):
        remote_home.copy(ref)


def test_credentials_of_one_tenant_open_no_other_database(remote_home: Home) -> None:
    _, acme = remote_home.made("acme")
    _, globex = remote_home.made("globex")
    lent = replace(globex.server, user=acme.server.user, secret=acme.server.secret)
    with pytest.raises(DatabaseUnavailable):
        remote_home.copy(replace(globex, remote=lent))


def test_where_a_server_tells_what_it_has_every_database_is_told(listing_home: Home) -> None:
    backend = listing_home.backend
    assert isinstance(backend, Surveyed)
    _, ref = listing_home.made()
    assert ref.server.name in backend.names()
    listing_home.backend.delete(ref)
    assert ref.server.name not in backend.names()
