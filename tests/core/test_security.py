import pytest
from litestar.datastructures import Headers

from core.http.security import API_HEADERS, ShownToken, bearer_token, is_equal, shown_token

TOKEN = "eyJhbGciOi.J9.a-b_c~d+e/f=="


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_read_whatever_the_schemes_letter_case(scheme: str) -> None:
    raw = [(b"host", b"a"), (b"Authorization", f"{scheme} {TOKEN}".encode())]
    assert bearer_token(raw) == TOKEN
    assert bearer_token(Headers({"Authorization": f"{scheme} {TOKEN}"})) == TOKEN


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic YTpi",
        b"Bearer a b",
        b"Bearer a,b",
        b"Bearer a, Bearer b",
        b"Bearer\ta",
        b"Bearer: a",
        b"Bearera",
        b'Bearer "a"',
        b"Bearer a\x00",
        b"Bearer =a",
        b"Bearer \xff",
        b"DPoP abc",
    ],
)
def test_anything_else_is_no_bearer_token(value: bytes) -> None:
    assert bearer_token([(b"authorization", value)]) is None


@pytest.mark.parametrize(
    ("scheme", "is_dpop"),
    [("Bearer", False), ("bEARER", False), ("DPoP", True), ("dpop", True), ("DPOP", True)],
)
def test_a_token_is_shown_with_one_of_two_schemes(scheme: str, is_dpop: bool) -> None:
    shown = shown_token([(b"Authorization", f"{scheme} {TOKEN}".encode())])
    assert shown == ShownToken(TOKEN, is_dpop)


@pytest.mark.parametrize(
    "value", [b"DPoP", b"DPoP ", b"DPoP a b", b"DPoP a, DPoP b", b"Basic YTpi", b"DPoP Bearer a"]
)
def test_anything_else_shows_no_token(value: bytes) -> None:
    assert shown_token([(b"authorization", value)]) is None
    good = (b"authorization", f"DPoP {TOKEN}".encode())
    assert shown_token([good, (b"authorization", value)]) is None
    assert shown_token([]) is None


def test_none_and_two_are_no_token() -> None:
    one = (b"authorization", f"Bearer {TOKEN}".encode())
    assert bearer_token([]) is None
    assert bearer_token([one, one]) is None
    assert bearer_token([one, (b"Authorization", b"Basic YTpi")]) is None


def test_equality_takes_any_text() -> None:
    assert is_equal("sécret", "sécret")
    assert not is_equal("sécret", "secret")
    assert not is_equal("\ud800", "")


def test_api_answers_are_stored_and_framed_by_nobody() -> None:
    assert API_HEADERS["Cache-Control"] == "no-store"
    assert API_HEADERS["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in API_HEADERS["Content-Security-Policy"]
