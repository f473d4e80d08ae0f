"""Names and attributes of the cookies on https and on loopback (`specs/protocol.md` section 1)."""

from collections.abc import Callable

import pytest

from core.crypto.sealing import DataKey
from core.ids import digest
from tenant_runtime.login.cookies import (
    api_token,
    api_token_of,
    binding_cookie,
    browser_of,
    cleared_session_cookies,
    session_cookies,
)

HTTPS, HTTP = "https://acme.example.com/", "http://acme.localhost:8000/"
SECRET = "s" * 43
KEY = DataKey("acme", b"k" * 32)


def test_on_https_prefixes_hold_and_the_sign_on_cookie_works_in_a_frame() -> None:
    sign_on, api = (cookie.to_header() for cookie in session_cookies(SECRET, KEY, is_https=True, max_age=60))
    assert "__Host-keystead_session=" in sign_on
    assert "SameSite=none" in sign_on
    assert "__Secure-better-auth.session_token=" in api
    assert "SameSite=lax" in api
    for header in (sign_on, api, binding_cookie(SECRET, is_https=True).to_header()):
        assert "Secure" in header
        assert "HttpOnly" in header
        assert "Path=/" in header
        assert "Domain" not in header


def test_on_loopback_all_are_lax_and_without_prefix() -> None:
    made = [*session_cookies(SECRET, KEY, is_https=False, max_age=60), binding_cookie(SECRET, is_https=False)]
    for header in (cookie.to_header() for cookie in made):
        assert "SameSite=lax" in header
        assert "Secure" not in header
        assert "__" not in header


def test_clearing_names_the_same_cookies() -> None:
    for is_https in (True, False):
        made = session_cookies(SECRET, KEY, is_https=is_https, max_age=60)
        cleared = cleared_session_cookies(is_https=is_https)
        assert [cookie.key for cookie in made] == [cookie.key for cookie in cleared]
        assert all(cookie.max_age == 0 for cookie in cleared)


@pytest.mark.parametrize(
    "header",
    [
        b"keystead_session=" + SECRET.encode(),  # a sibling can toss it; the prefixed one it cannot
        b"__Host-keystead_session=short", b"__Host-keystead_session=" + b"s" * 500,
        b"__Host-keystead_session=" + SECRET.encode() + b"; __Host-keystead_session=" + b"t" * 43,
        b"better-auth.session_token=" + SECRET.encode(), b"__Secure-better-auth.session_token=" + SECRET.encode(),
        b"", b";;;==;", b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_no_sign_on_cookie_on_https(header: bytes) -> None:
    assert browser_of([(b"cookie", header)], HTTPS).session is None


def test_the_sign_on_cookie_is_found_among_others() -> None:
    header = b"a=b; __Host-keystead_session=" + SECRET.encode() + b"; c"
    assert browser_of([(b"accept", b"*/*"), (b"cookie", header)], HTTPS).session == SECRET
    assert browser_of([(b"cookie", header)], HTTP).session is None


def test_the_api_cookie_shows_the_sessions_token_to_this_tenant_alone() -> None:
    _, made = session_cookies(SECRET, KEY, is_https=True, max_age=60)
    header = [(b"cookie", f"{made.key}={made.value}".encode())]
    token = api_token_of(header, HTTPS, KEY)
    assert token == api_token(KEY, digest(SECRET))
    assert token is not None
    assert len(token) == 32
    assert api_token_of(header, HTTPS, DataKey("acme", b"o" * 32)) is None
    assert api_token_of(header, HTTP, KEY) is None


@pytest.mark.parametrize(
    "change", [lambda value: value[:-1], lambda value: f"A{value}", lambda value: value[:32]]
)
def test_a_changed_api_cookie_shows_nothing(change: Callable[[str], str]) -> None:
    _, made = session_cookies(SECRET, KEY, is_https=True, max_age=60)
    header = [(b"cookie", f"{made.key}={change(made.value or '')}".encode())]
    assert api_token_of(header, HTTPS, KEY) is None
