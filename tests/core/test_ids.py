import re

from core import ids


def test_ids_have_the_shapes_clients_expect() -> None:
    assert re.fullmatch(r"rol_[A-Za-z0-9]{16}", ids.new_id("rol"))
    assert re.fullmatch(r"[A-Za-z0-9]{32}", ids.new_client_id())
    assert re.fullmatch(r"auth0\|[0-9a-f]{24}", ids.new_user_id("auth0"))
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", ids.new_secret())


def test_no_two_are_alike() -> None:
    assert len({ids.new_id("org") for _ in range(10_000)}) == 10_000


def test_a_digest_is_sha256_in_hexadecimal() -> None:
    # FIPS 180-4, the example "abc"
    assert ids.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_digest_takes_any_text_a_caller_may_send() -> None:
    assert len(ids.digest("\ud800")) == 64
