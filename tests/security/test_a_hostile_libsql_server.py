"""What a libSQL server answers is data of a stranger: it ends in a refusal of its kind, and nowhere but here."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import keystead_hrana
from core.database import DatabaseRef
from core.errors import DatabaseUnavailable
from keystead_hrana import Error, StreamLost
from provisioning.backends.scripts import write_file
from tests.hrana.test_answers import BODY, Speaker

DEEP = b"[" * 200_000


@contextmanager
def answered(body: bytes, status: str = "200 OK") -> Iterator[keystead_hrana.BaseConnection]:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    server = Speaker(head.encode() + body, 1 << 20)
    with keystead_hrana.Sockets() as sockets:
        yield keystead_hrana.connect(server.url, None, "secret", timeout=5, sockets=sockets)
    server.close()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(DEEP, id="brackets without an end"),
        pytest.param(BODY.replace(b'"affected_row_count": 0', b'"affected_row_count": 1e999'), id="infinite"),
        pytest.param(BODY.replace(b'"value": "7"', b'"value": {"a": 1}'), id="an integer that is none"),
        pytest.param(BODY.replace(b'"integer"', b'"text"').replace(b'"7"', b"[7]"), id="a text that is none"),
        pytest.param(BODY.replace(b'"baton": null', b'"baton": {"a": 1}'), id="a baton that is none"),
        pytest.param(BODY.replace(b'"base_url": null', b'"base_url": 5'), id="an address that is none"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_of_the_driver(body: bytes) -> None:
    assert body != BODY
    with answered(body) as connection, pytest.raises(Error):
        connection.execute("SELECT 7")


def test_a_refusal_of_another_shape_is_an_error_of_the_driver() -> None:
    with answered(DEEP, "400 Bad Request") as connection, pytest.raises(Error):
        connection.execute("SELECT 7")


def test_a_token_goes_to_no_other_host_without_tls() -> None:
    body = BODY.replace(b'"baton": null', b'"baton": "x"').replace(
        b'"base_url": null', b'"base_url": "http://elsewhere.example/"'
    )
    with answered(body) as connection, pytest.raises(StreamLost, match="another host"):
        connection.execute("SELECT 7")


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{}' AS other;",
        "VACUUM INTO '{}';",
        "PRAGMA temp_store_directory = '{}';",
        "PRAGMA writable_schema = ON;",
        "SELECT load_extension('{}');",
    ],
)
def test_a_dump_is_loaded_into_its_file_and_reaches_nothing_else(tmp_path: Path, statement: str) -> None:
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "copy.db"
    script = f"BEGIN TRANSACTION;\nCREATE TABLE t (a);\nINSERT INTO t VALUES (1);\nCOMMIT;\n{statement}\n"
    ref = DatabaseRef(path=target, owner="acme", incarnation="inc_1")
    with pytest.raises(DatabaseUnavailable) as refused:
        write_file([script.format(elsewhere).encode()], target, ref)
    assert isinstance(refused.value.__cause__, sqlite3.DatabaseError)
    assert "authoriz" in str(refused.value.__cause__)
    assert not list(tmp_path.iterdir())
