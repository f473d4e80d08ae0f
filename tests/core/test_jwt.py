"""RFC 7515, 7519 and 8725, at the one place where tokens are made and accepted."""

import base64
import hashlib
import hmac
import json
import time
import tracemalloc
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import OctKey, RSAKey

from core.crypto import jwt
from core.crypto.jwt import TokenInvalid
from core.crypto.keys import PublicKeys, SigningKey

TYP = "at+jwt"
CLAIMS = {"iss": "https://acme.example.com/", "sub": "auth0|1", "aud": ["a"], "exp": 2_000_000_000}
ALL = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")

KEYS = {alg: SigningKey.generate(alg) for alg in ALL}
RSA = KEYS["RS256"]
OTHER = SigningKey.generate("RS256")
PUBLIC = PublicKeys([key.public_jwk for key in KEYS.values()])


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(header: Any, payload: Any = CLAIMS, key: SigningKey = RSA) -> str:
    """A token with any header and payload at all, truly signed."""
    text = f"{b64(header)}.{b64(payload)}"
    algorithm = jws.JWSRegistry.algorithms[key.alg]
    return f"{text}.{b64(algorithm.sign(text.encode(), key.jose))}"


def header(**members: Any) -> dict[str, Any]:
    return {"alg": "RS256", "typ": TYP, "kid": RSA.kid, **members}


def verify(token: str, algorithms: tuple[str, ...] = ALL, typ: tuple[str, ...] = (TYP,)) -> dict[str, Any]:
    return jwt.verify(token, PUBLIC, algorithms=algorithms, typ=typ)


def refused(token: str, **options: Any) -> str:
    with pytest.raises(TokenInvalid) as caught:
        verify(token, **options)
    return caught.value.reason


@pytest.mark.parametrize("alg", ALL)
def test_what_is_signed_is_verified(alg: str) -> None:
    token = jwt.sign(CLAIMS, KEYS[alg], typ=TYP)
    assert verify(token) == CLAIMS
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "==")) == {
        "alg": alg,
        "typ": TYP,
        "kid": KEYS[alg].kid,
    }


@pytest.mark.parametrize("alg", [alg for alg in ALL if alg != "EdDSA"])  # of that name joserfc warns
def test_joserfc_verifies_what_we_sign(alg: str) -> None:
    token = jwt.sign(CLAIMS, KEYS[alg], typ=TYP)
    found = jws.deserialize_compact(token, KEYS[alg].jose, algorithms=[alg])
    assert json.loads(found.payload) == CLAIMS


def test_the_example_of_rfc_8037_appendix_a4_verifies() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    token = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    key = PublicKeys([{**jwk, "kid": "k"}]).get("k")
    assert key is not None
    text, signature = token.rsplit(".", 1)
    algorithm = jws.JWSRegistry.algorithms["EdDSA"]
    assert algorithm.verify(text.encode(), base64.urlsafe_b64decode(signature + "=="), key.jose)


# --- 16-18: algorithms -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", None, 7, ["RS256"], "RS512", "HS256"])
def test_an_algorithm_that_is_not_listed_is_refused(alg: Any) -> None:
    refused(forge(header(alg=alg)))
    text = f"{b64(header(alg=alg))}.{b64(CLAIMS)}."
    refused(text)
    refused(text + "AA")


def test_an_empty_signature_is_refused() -> None:
    text, _ = jwt.sign(CLAIMS, RSA, typ=TYP).rsplit(".", 1)
    assert refused(text + ".") == "empty part"


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "modulus", "empty"])
def test_a_published_key_is_no_shared_secret(form: str) -> None:
    public = RSA.private.public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(dict(RSA.public_jwk)).encode(),
        "modulus": base64.urlsafe_b64decode(RSA.public_jwk["n"] + "=="),
        "empty": b"",
    }[form]
    text = f"{b64(header(alg='HS256'))}.{b64(CLAIMS)}"
    token = f"{text}.{b64(hmac.digest(secret, text.encode(), hashlib.sha256))}"
    refused(token)
    refused(
        token, algorithms=("RS256", "HS256")
    )  # even where a caller lists it: a public key has no such algorithm


def test_a_shared_secret_among_the_keys_verifies_nothing() -> None:
    secret = OctKey.import_key(b"s" * 32)
    keys = PublicKeys([{**secret.as_dict(private=True), "kid": "s", "alg": "HS256"}])
    token = jws.serialize_compact({"alg": "HS256", "typ": TYP, "kid": "s"}, json.dumps(CLAIMS), secret)
    with pytest.raises(TokenInvalid):
        jwt.verify(token, keys, algorithms=("HS256",), typ=(TYP,))


def test_an_algorithm_must_fit_the_key_that_the_header_names() -> None:
    for alg in ("PS256", "ES256", "EdDSA"):
        assert refused(forge(header(alg=alg))) == "algorithm of key"
    assert refused(forge(header(kid=KEYS["ES256"].kid))) == "algorithm of key"


def test_a_listed_algorithm_is_not_enough_for_another_caller() -> None:
    assert refused(jwt.sign(CLAIMS, KEYS["ES256"], typ=TYP), algorithms=("RS256",)) == "algorithm"
    assert refused(jwt.sign(CLAIMS, RSA, typ=TYP), algorithms=()) == "algorithm"


# --- 19-22: which key --------------------------------------------------------------------------------------------


def test_a_key_of_another_tenant_is_refused() -> None:
    assert refused(jwt.sign(CLAIMS, OTHER, typ=TYP)) == "kid"
    assert refused(forge(header(kid=RSA.kid), key=OTHER)) == "signature"


@pytest.mark.parametrize(
    "kid",
    [
        None,
        7,
        ["x"],
        "",
        "unknown",
        "../../etc/passwd",
        "file:///dev/random",
        "https://evil.example/jwks.json",
        "' OR 1=1 --",
        "k" * 10_240,
    ],
)
def test_a_kid_is_a_name_among_the_keys_and_nothing_else(kid: Any) -> None:
    refused(forge(header(kid=kid)))


def test_a_missing_kid_is_refused() -> None:
    assert refused(forge({"alg": "RS256", "typ": TYP})) == "header"


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t"])
def test_a_key_in_the_header_is_never_used(name: str) -> None:
    value: Any = {
        "jwk": dict(OTHER.public_jwk),
        "x5c": [b64(OTHER.to_der())],
        "x5t": "AAAA",
    }.get(name, "https://evil.example/keys")
    assert refused(forge(header(kid=OTHER.kid, **{name: value}), key=OTHER)) == "kid"
    assert refused(forge(header(**{name: value}), key=OTHER)) == "signature"
    assert verify(forge(header(**{name: value}))) == CLAIMS


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["nope"], [], None, "exp"])
def test_critical_extensions_are_refused(crit: Any) -> None:
    assert refused(forge(header(crit=crit))) == "extension"


def test_an_unencoded_payload_is_refused() -> None:
    refused(forge(header(b64=False)))
    refused(forge(header(b64=False, crit=["b64"])))


# --- 26: type ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "", "at+jwt ", None, 7, "text/at+jwt", "application/"])
def test_another_type_is_refused(typ: Any) -> None:
    refused(forge(header(typ=typ)))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_the_spellings_of_one_media_type_are_equal(typ: str) -> None:
    assert verify(forge(header(typ=typ))) == CLAIMS


def test_a_missing_type_counts_only_where_it_is_allowed() -> None:
    token = forge({"alg": "RS256", "kid": RSA.kid})
    assert refused(token) == "type"
    assert verify(token, typ=("JWT", "")) == CLAIMS


# --- 27-28, 31: contents -----------------------------------------------------------------------------------------

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"exp": None},
        {"exp": "2000000000"},
        {"exp": True},
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": -1},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"exp": [NOW + 9]},
        {"exp": NOW + 9, "nbf": NOW + 61},
        {"exp": NOW + 9, "nbf": "0"},
        {"exp": NOW + 9, "nbf": None},
        {"exp": NOW + 9999, "iat": NOW + 3600},
        {"exp": NOW + 9, "iat": "now"},
        {"exp": NOW + 9, "iat": False},
        {"exp": NOW + 9, "iat": -5},
    ],
)
def test_bad_times_are_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenInvalid):
        jwt.check_times(claims, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW + 1},
        {"exp": int(NOW) + 1, "iat": NOW + 60, "nbf": NOW + 60},
        {"exp": NOW + 0.5, "iat": NOW - 1e9},
    ],
)
def test_good_times_pass(claims: dict[str, Any]) -> None:
    jwt.check_times(claims, NOW)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"exp":1e400}',
        b'{"exp":-1}',
        b'{"exp":"2000000000"}',
    ],
)
def test_a_bad_time_in_a_signed_token_is_refused(payload: bytes) -> None:
    claims = verify(forge(header(), payload))
    with pytest.raises(TokenInvalid):
        jwt.check_times(claims, NOW)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"sub":"a","sub":"b"}',
        b'{"org":{"id":"a","id":"b"}}',
        b"[1]",
        b'"text"',
        b"1",
        b"null",
        b"",
        b"no json",
        b"{" * 5000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'\xef\xbb\xbf{"sub":"a"}',
        '{"sub":"a"}'.encode("utf-16"),
        b'{"sub":"\xff"}',
        b'{"sub":"\\ud800"}',
        b'{"n":' + b"9" * 5000 + b"}",
    ],
)
def test_a_payload_that_is_no_plain_object_is_refused_though_signed(payload: bytes) -> None:
    refused(forge(header(), payload))


@pytest.mark.parametrize(
    "text",
    [
        b'{"alg":"RS256","alg":"none","typ":"at+jwt","kid":"K"}',
        b'{"alg":"RS256","typ":"at+jwt","kid":"K","kid":"K"}',
        b'["RS256"]',
        b"",
        b"{}",
        b"\xff",
        b"{" * 1000,
    ],
)
def test_a_header_that_is_no_plain_object_is_refused(text: bytes) -> None:
    refused(forge(text.replace(b"K", RSA.kid.encode())))


def test_another_payload_under_the_same_signature_is_refused() -> None:
    head, _, signature = jwt.sign(CLAIMS, RSA, typ=TYP).split(".")
    assert refused(f"{head}.{b64({**CLAIMS, 'org_id': 'org_b'})}.{signature}") == "signature"


def test_a_signature_has_one_spelling() -> None:
    token = jwt.sign(CLAIMS, RSA, typ=TYP)
    text, signature = token.rsplit(".", 1)
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for char in set(alphabet) - {last}:
        refused(f"{text}.{signature[:-1]}{char}")
    for spelling in (
        signature + "=",
        signature + "==",
        signature + "A",
        signature[:-1],
        " " + signature,
        signature + "\n",
    ):
        refused(f"{text}.{spelling}")


@pytest.mark.parametrize("alg", ALL)
@pytest.mark.parametrize("length", [1, 31, 32, 63, 64, 65, 96, 132, 255, 256, 257, 4000])
def test_a_signature_of_any_length_and_content_is_refused(alg: str, length: int) -> None:
    text, _ = jwt.sign(CLAIMS, KEYS[alg], typ=TYP).rsplit(".", 1)
    for filling in (b"\x00", b"\xff", b"\x01"):
        assert refused(f"{text}.{b64(filling * length)}") == "signature"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d",
        "." * 10_000,
        "a" * 1_000_000,
        ("a" * 500_000) + "." + ("b" * 500_000) + ".c",
        ("a" * 100_000) + ".b.c",
        ("a" * 9_000) + ".b.c",
        "é.b.c",
        "\ud800.b.c",
        "a\x00.b.c",
    ],
)
def test_oversized_and_malformed_tokens_are_refused_at_once(token: str) -> None:
    started = time.process_time()
    refused(token)
    assert time.process_time() - started < 0.05


def test_refusing_garbage_keeps_memory_flat() -> None:
    def flood(marker: int) -> None:
        for number in range(100):
            text = f"{marker}.{number}".ljust(1500, "x")
            refused(f"{b64({'alg': 'RS256', 'typ': TYP, 'kid': text})}.{b64(CLAIMS)}.AAAA")
            refused(forge_free(text))

    flood(0)
    tracemalloc.start()
    flood(1)
    before = tracemalloc.get_traced_memory()[0]
    for marker in range(2, 6):
        flood(marker)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 4 * 1024 * 1024


def forge_free(text: str) -> str:
    return f"{b64(text.encode())}.{b64(CLAIMS)}.AAAA"


# --- 32: encrypted and compressed --------------------------------------------------------------------------------


def test_an_encrypted_token_is_refused_before_any_key_is_derived() -> None:
    secret = OctKey.import_key(b"s" * 16)
    whole = jwe.encrypt_compact({"alg": "A128KW", "enc": "A128GCM", "zip": "DEF"}, b"x" * 9000, secret)
    refused(whole)
    rounds = {
        "alg": "PBES2-HS256+A128KW",
        "enc": "A128GCM",
        "p2c": 10_000_000,
        "p2s": "AAAA",
        "kid": RSA.kid,
        "typ": TYP,
    }
    started = time.process_time()
    refused(f"{b64(rounds)}.AAAA.AAAA.AAAA.AAAA")
    refused(forge(rounds))
    assert time.process_time() - started < 0.05


@pytest.mark.parametrize("member", [{"zip": "DEF"}, {"enc": "A128GCM"}])
def test_encryption_members_are_refused(member: dict[str, str]) -> None:
    assert refused(forge(header(**member))) == "extension"


def test_an_encryption_key_signs_nothing() -> None:
    key = RSAKey.import_key(RSA.private)  # type: ignore[arg-type]
    keys = PublicKeys([key.as_dict(private=False, kid=RSA.kid, use="enc")])
    with pytest.raises(TokenInvalid):
        jwt.verify(jwt.sign(CLAIMS, RSA, typ=TYP), keys, algorithms=ALL, typ=(TYP,))


def test_no_reason_reaches_the_text_of_a_token() -> None:
    secret = "c2VjcmV0LXBheWxvYWQ"
    for token in (f"a.{secret}.c", f"{secret}.b.c", secret):
        assert secret not in refused(token)


def test_signing_costs_little_more_than_the_signature() -> None:
    key = KEYS["ES256"]
    algorithm = jws.JWSRegistry.algorithms["ES256"]
    text = jwt.sign(CLAIMS, key, typ=TYP).rsplit(".", 1)[0].encode()

    def best(work: Any) -> float:
        rounds = []
        for _ in range(9):
            started = time.process_time()
            for _ in range(50):
                work()
            rounds.append(time.process_time() - started)
        return min(rounds) / 50

    raw = best(lambda: algorithm.sign(text, key.jose))
    ours = best(lambda: jwt.sign(CLAIMS, key, typ=TYP))
    assert ours - raw < 60e-6  # twice the 30 microseconds that are meant: the machine may be busy


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text("ab._-=", max_size=80)))
def test_any_text_at_all_is_refused_with_one_exception(token: str) -> None:
    refused(token)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "x"]), JSON, max_size=6), JSON)
def test_any_header_and_claims_are_read_or_refused_with_one_exception(head: Any, claims: Any) -> None:
    try:
        found = verify(forge(header(**head), claims))
        jwt.check_times(found, NOW)
    except TokenInvalid:
        return
    assert isinstance(found, dict)
