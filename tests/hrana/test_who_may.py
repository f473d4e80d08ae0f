"""Who is let in: by a token that is good for this database, asked for in time, and named in one header only."""

from typing import Any

import pytest

import keystead_hrana
from keystead_hrana import NamespaceMissing, Unauthorized
from tests.engines.proxy import Proxy
from tests.engines.sqld import Sqld
from tests.engines.tokens import TokenKey
from tests.hrana.conftest import Open, Rows, begun

pytestmark = pytest.mark.libsql


def test_a_wrong_token_and_a_token_that_may_not_write_are_refused(
    sqld: Sqld, namespace: str, connect: Open, rows: Rows
) -> None:
    for token in (TokenKey().mint(), sqld.token(seconds=-3600), "no-token-at-all", None):
        with pytest.raises(Unauthorized):
            connect(token=token).execute("SELECT 1")
    reader = connect(token=sqld.token(namespace, read_only=True))
    assert reader.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    with pytest.raises(Unauthorized):
        reader.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(Unauthorized):
        begun(reader)
    reader.rollback()
    assert rows() == []


def test_a_token_of_another_namespace_opens_nothing(sqld: Sqld, connect: Open) -> None:
    with pytest.raises((Unauthorized, NamespaceMissing)):
        connect(token=sqld.token("somebody-else")).execute("SELECT 1")


@pytest.mark.parametrize("transport", ["http", "libsql-client"])
def test_a_function_is_asked_for_a_token_again_when_the_server_refuses_the_old_one(
    sqld: Sqld, connect: Open, rows: Rows, transport: Any
) -> None:
    tokens = [sqld.token(seconds=-3600), sqld.token()]
    begun(connect(transport=transport, token=lambda: tokens.pop(0))).commit()
    assert (tokens, rows()) == ([], [1])
    asked: list[int] = []
    with pytest.raises(Unauthorized):
        connect(transport=transport, token=lambda: asked.append(1) or "wrong").execute("SELECT 1")
    assert len(asked) == 2


def test_no_token_is_no_header(through: Open, proxy: Proxy) -> None:
    with pytest.raises(Unauthorized):
        through(token=None).execute("SELECT 1")
    (request,) = proxy.seen
    assert "authorization" not in request.headers


@pytest.mark.parametrize("token", ["", "two words", "line\r\nx-evil: 1", "\u00e9"])
def test_a_token_that_is_none_never_reaches_a_header(through: Open, proxy: Proxy, token: str) -> None:
    with pytest.raises(keystead_hrana.ProgrammingError):
        through(token=token).execute("SELECT 1")
    assert proxy.seen == []


@pytest.mark.parametrize("namespace", ["", "../a", "a.b", "A", "a b", "-a", "x" * 64, "a\r\nb"])
def test_a_namespace_is_a_label_and_nothing_else(connect: Open, namespace: str) -> None:
    for transport in ("http", "libsql-client"):
        with pytest.raises(keystead_hrana.ProgrammingError):
            connect(namespace=namespace, transport=transport)


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://a/?x=1", "http://user@a", "http://a/#b", "a:1", "http://a:x"]
)
def test_a_url_is_a_scheme_and_a_host(connect: Open, url: str) -> None:
    for transport in ("http", "libsql-client"):
        with pytest.raises(keystead_hrana.ProgrammingError):
            connect(url=url, transport=transport)
