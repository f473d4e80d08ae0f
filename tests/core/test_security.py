import pytest
from litestar.datastructures import Headers

from core.http.security import API_HEADERS, bearer_token, is_equal, page_headers

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


def test_a_page_loads_submits_and_is_framed_by_nothing_that_is_not_named() -> None:
    policy = page_headers()["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    for directive in ("script-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert page_headers()["X-Frame-Options"] == "DENY"
    assert page_headers()["Referrer-Policy"] == "no-referrer"
    assert page_headers()["Cache-Control"] == "no-store"


def test_a_page_for_a_client_names_that_clients_origin_only() -> None:
    headers = page_headers(
        form_action="'self' https://app.example.com", frame_ancestors="https://app.example.com"
    )
    assert "form-action 'self' https://app.example.com;" in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].endswith("frame-ancestors https://app.example.com")
    assert "X-Frame-Options" not in headers


@pytest.mark.parametrize(
    "value", ["https://a; script-src *", "https://a\r\nX: y", "https://a, b", "https://é"]
)
def test_a_source_cannot_end_its_directive(value: str) -> None:
    with pytest.raises(ValueError, match="forbidden"):
        page_headers(form_action=value)
