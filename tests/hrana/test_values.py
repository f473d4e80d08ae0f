"""What the wire would change is refused, on both sides of it."""

import datetime
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import keystead_hrana
from tests.hrana.conftest import Open

pytestmark = [
    pytest.mark.libsql,
    pytest.mark.parametrize("transport", ["http", "libsql-client"]),
]


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.binary(),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, min_size=1, max_size=40))
def test_any_values_come_back_as_they_were(connect: Open, transport: Any, values: list[object]) -> None:
    ((*back,),) = connect(transport=transport).execute(f"SELECT {', '.join('?' * len(values))}", values)
    assert [(each, type(each)) for each in back] == [(each, type(each)) for each in values]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, "a\0b", "\ud800"])
def test_what_would_arrive_as_something_else_is_not_sent(
    connect: Open, transport: Any, value: object
) -> None:
    connection = connect(transport=transport)
    with pytest.raises(keystead_hrana.DataError) as raised:
        connection.execute("SELECT ?", [value])
    assert not raised.value.sent
    with pytest.raises(keystead_hrana.DataError):
        connection.executemany("SELECT ?", [["good"], [value]])


def test_a_date_is_not_turned_into_a_number(connect: Open, transport: Any) -> None:
    with pytest.raises(keystead_hrana.ProgrammingError, match="may not be a datetime"):
        connect(transport=transport).execute("SELECT ?", [datetime.datetime.now(datetime.UTC)])


def test_a_number_that_the_server_cannot_send_is_not_read_as_null(connect: Open, transport: Any) -> None:
    connection = connect(transport=transport)
    with pytest.raises(keystead_hrana.DataError, match="not finite"):
        connection.execute("SELECT 1e999")
    assert connection.execute("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize("values", [{"a": 1}, "text", b"bytes"])
def test_parameters_are_a_sequence(connect: Open, transport: Any, values: Any) -> None:
    with pytest.raises(keystead_hrana.ProgrammingError, match="are a sequence"):
        connect(transport=transport).execute("SELECT ?", values)


def test_a_value_that_is_too_big_is_refused(connect: Open, transport: Any) -> None:
    connection = connect(transport=transport)
    with pytest.raises(keystead_hrana.DataError, match="too big"):
        connection.execute("SELECT length(?)", ["x" * 11_000_000])
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
