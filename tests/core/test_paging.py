import pytest
from litestar.datastructures import MultiDict

from core.errors import InvalidQuery
from core.http.paging import (
    Checkpoint,
    Fields,
    Offset,
    Sort,
    checkpoint_answer,
    decode_cursor,
    encode_cursor,
    offset_answer,
    parse_boolean,
    parse_checkpoint,
    parse_fields,
    parse_offset,
    parse_sort,
)

KEY = b"k" * 32
POSITION = ("2026-01-02T00:00:00.000Z", 7, None, "rol_x")


def test_without_parameters_the_first_fifty_are_asked_for() -> None:
    asked = parse_offset({})
    assert asked == Offset(0, 50, False)
    assert (asked.offset, asked.limit) == (0, 50)
    assert parse_offset({"page": "2", "per_page": "20", "include_totals": "true"}).offset == 40
    assert parse_offset(MultiDict([("page", "1")])).page == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page", "-1"),
        ("page", "1e9"),
        ("page", "99999999999999999999"),
        ("page", "0x1"),
        ("page", " 1"),
        ("page", ""),
        ("page", "1.0"),
        ("page", "\u0663"),
        ("page", "1; DROP TABLE users"),
        ("per_page", "0"),
        ("per_page", "101"),
        ("per_page", "1e9"),
        ("include_totals", "1"),
        ("include_totals", "TRUE"),
        ("include_totals", ""),
        ("take", "0"),
        ("take", "101"),
        ("take", "-1"),
        ("from", ""),
        ("from", "x" * 2000),
    ],
)
def test_a_malformed_page_is_refused_and_never_a_default(name: str, value: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse_checkpoint({name: value}) or parse_offset({name: value})
    assert (caught.value.status, caught.value.code) == (400, "invalid_query_string")


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InvalidQuery):
        parse_offset(MultiDict([("page", "1"), ("page", "2")]))
    with pytest.raises(InvalidQuery):
        parse_offset({"per_page": ["1", "2"]})


def test_checkpoint_paging_is_chosen_by_its_parameters() -> None:
    assert parse_checkpoint({"page": "1"}) is None
    assert parse_checkpoint({"take": "10"}) == Checkpoint(10, None)
    assert parse_checkpoint({"from": "abc"}) == Checkpoint(50, "abc")


def test_the_answers_are_auth0s() -> None:
    assert offset_answer([1, 2], "roles", Offset(0, 2, False)) == [1, 2]
    assert offset_answer([1, 2], "roles", Offset(3, 2, True), 9) == {
        "start": 6,
        "limit": 2,
        "length": 2,
        "total": 9,
        "roles": [1, 2],
    }
    assert checkpoint_answer([1], "roles", "abc") == {"roles": [1], "next": "abc"}
    assert checkpoint_answer([1], "roles", None) == {"roles": [1]}


def test_a_page_token_brings_its_position_back() -> None:
    assert decode_cursor(KEY, "acme", "roles", encode_cursor(KEY, "acme", "roles", POSITION)) == POSITION


@pytest.mark.parametrize(
    ("key", "tenant", "name"),
    [(b"x" * 32, "acme", "roles"), (KEY, "globex", "roles"), (KEY, "acme", "users"), (KEY, "acmeroles", "")],
)
def test_a_page_token_of_elsewhere_is_refused(key: bytes, tenant: str, name: str) -> None:
    with pytest.raises(InvalidQuery):
        decode_cursor(key, tenant, name, encode_cursor(KEY, "acme", "roles", POSITION))


@pytest.mark.parametrize("token", ["", "a", "AAAA", "' OR 1=1 --", "é", "\ud800", "A" * 5000, "=" * 8])
def test_a_forged_page_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidQuery):
        decode_cursor(KEY, "acme", "roles", token)


def test_a_changed_page_token_is_refused_at_every_character() -> None:
    token = encode_cursor(KEY, "acme", "roles", ("a", 1))
    for place, char in enumerate(token):
        changed = token[:place] + ("A" if char != "A" else "B") + token[place + 1 :]
        with pytest.raises(InvalidQuery):
            decode_cursor(KEY, "acme", "roles", changed)


def test_fields_include_or_leave_out() -> None:
    item = {"id": 1, "name": "a", "description": "b"}
    assert parse_fields({}).apply(item) == item
    assert parse_fields({"fields": "id,name"}).apply(item) == {"id": 1, "name": "a"}
    assert parse_fields({"fields": "id, name", "include_fields": "false"}).apply(item) == {"description": "b"}
    assert parse_fields({"fields": "unknown"}) == Fields(frozenset({"unknown"}), True)


@pytest.mark.parametrize("text", ["", ",", "a,,b", "a;b", "1a", "x" * 200, ",".join(["a"] * 101), "a'--"])
def test_malformed_fields_are_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_fields({"fields": text})


def test_sort_is_by_a_named_field_and_a_direction() -> None:
    assert parse_sort({}, ("name",)) is None
    assert parse_sort({"sort": "name:1"}, ("name",)) == Sort("name", False)
    assert parse_sort({"sort": "created_at:-1"}, ("name", "created_at")) == Sort("created_at", True)


@pytest.mark.parametrize(
    "text", ["", "name", "name:", "name:0", "name:2", ":1", "other:1", "name:1;x", "name:1:1"]
)
def test_a_malformed_sort_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_sort({"sort": text}, ("name",))


def test_booleans_are_true_or_false() -> None:
    assert parse_boolean({"a": "true"}, "a", default=False) is True
    assert parse_boolean({"a": "false"}, "a", default=True) is False
    assert parse_boolean({}, "a", default=True) is True
