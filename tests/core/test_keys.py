import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from core.crypto.keys import (
    PublicKeys,
    SigningKey,
    UnsupportedKey,
    public_jwk_of_pem,
    public_members,
    read_public_key,
    thumbprint,
)

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]

RFC_7638_KEY = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZC"
    "iFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7"
    "d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-c"
    "sFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def test_the_thumbprint_of_rfc_7638_section_3_1() -> None:
    assert thumbprint(RFC_7638_KEY) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_thumbprint_of_rfc_8037_appendix_a3() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "any"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_is_named_by_its_thumbprint_and_publishes_no_private_member(alg: str) -> None:
    key = SigningKey.generate(alg)
    assert key.kid == thumbprint(key.public_jwk)
    assert {"kid": key.kid, "alg": alg, "use": "sig"}.items() <= dict(key.public_jwk).items()
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key.public_jwk)
    assert set(key.public_jwk) <= {"kty", "n", "e", "crv", "x", "y", "kid", "alg", "use"}


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_der_brings_the_same_key_back(alg: str) -> None:
    key = SigningKey.generate(alg)
    again = SigningKey.from_der(key.kid, alg, key.to_der())
    assert again.public_jwk == key.public_jwk
    assert SigningKey.from_der(None, alg, key.to_der()).kid == key.kid


def test_an_rsa_key_has_2048_bits() -> None:
    private = SigningKey.generate("RS256").private
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048


def test_a_key_does_not_show_itself() -> None:
    assert repr(SigningKey.generate("ES256")).count("=") == 2


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256K", "RSA-OAEP", ""])
def test_no_key_is_made_for_an_algorithm_nobody_signs_with(alg: str) -> None:
    with pytest.raises(UnsupportedKey):
        SigningKey.generate(alg)


def test_a_key_and_an_algorithm_must_fit() -> None:
    der = SigningKey.generate("ES256").to_der()
    for alg in ("RS256", "ES384", "EdDSA", "HS256", "none"):
        with pytest.raises(UnsupportedKey):
            SigningKey.from_der(None, alg, der)
    other = ec.generate_private_key(ec.SECP256K1()).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(UnsupportedKey):
        SigningKey.from_der(None, "ES256", other)


def test_public_keys_are_found_by_kid_and_bound_to_their_algorithm() -> None:
    keys = [SigningKey.generate(alg) for alg in ("RS256", "ES256", "EdDSA")]
    published = PublicKeys([key.public_jwk for key in keys])
    assert len(published) == 3
    for key in keys:
        found = published.get(key.kid)
        assert found is not None
        assert found.algorithms == (key.alg,)
    assert published.get("unknown") is None


def test_a_public_key_without_alg_may_be_used_with_its_types_algorithms_only() -> None:
    jwk = {name: value for name, value in SigningKey.generate("ES256").public_jwk.items() if name != "alg"}
    found = PublicKeys([jwk]).get(jwk["kid"])
    assert found is not None
    assert found.algorithms == ("ES256",)


@pytest.mark.parametrize(
    "jwk",
    [
        OctKey.generate_key(256).as_dict(private=True, kid="k"),
        ECKey.generate_key("P-256").as_dict(private=True, kid="k"),
        ECKey.generate_key("secp256k1").as_dict(private=False, kid="k"),
        OKPKey.generate_key("X25519").as_dict(private=False, kid="k"),
        ECKey.generate_key("P-256").as_dict(private=False, kid="k", use="enc"),
        ECKey.generate_key("P-256").as_dict(private=False, kid="k", alg="RS256"),
        ECKey.generate_key("P-256").as_dict(private=False, kid="k", alg="none"),
        ECKey.generate_key("P-256").as_dict(private=False),
        ECKey.generate_key("P-256").as_dict(private=False, kid=7),
        {"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "k", "n": "/w" * 3000, "e": "AQAB"},
        {"kty": "RSA", "kid": "k"},
        {"kty": "EC", "kid": "k", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": ["RSA"], "kid": "k"},
        {"kid": "k"},
        {},
    ],
)
def test_what_is_no_public_signature_key_verifies_nothing(jwk: dict[str, object]) -> None:
    assert len(PublicKeys([jwk])) == 0


def test_a_weak_rsa_key_verifies_nothing() -> None:
    native = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    jwk = RSAKey.binding.export_public_key(native)
    assert len(PublicKeys([{**jwk, "kty": "RSA", "kid": "k"}])) == 0


def test_a_key_that_is_shown_is_read_and_named_by_its_thumbprint() -> None:
    jwk = {name: value for name, value in RFC_7638_KEY.items() if name != "kid"}
    key = read_public_key(jwk)
    assert (key.kid, key.algorithms) == (thumbprint(RFC_7638_KEY), ("RS256",))
    assert read_public_key(RFC_7638_KEY).kid == "2011-04-29"
    assert public_members(RFC_7638_KEY).keys() == {"kty", "n", "e"}


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": None},
        {"d": "AQAB"},
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "ES256"},
        {"alg": "none"},
        {"n": "AQAB"},
        {"n": 1},
        {"e": "!"},
    ],
    ids=str,
)
def test_a_key_that_proves_nothing_is_refused_with_a_sentence(change: dict[str, object]) -> None:
    with pytest.raises(UnsupportedKey) as refused:
        read_public_key({**RFC_7638_KEY, **change})
    assert str(refused.value).endswith(".")


def test_a_public_key_in_pem_is_the_same_key() -> None:
    for alg in ("RS256", "ES256", "EdDSA"):
        made = SigningKey.generate(alg)
        text = (
            made.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )
        jwk, ends_at = public_jwk_of_pem(f"\n{text}\n")
        assert thumbprint(jwk) == made.kid
        assert ends_at is None


def test_a_private_key_or_any_other_text_is_no_public_key() -> None:
    made = SigningKey.generate("ES256")
    private = made.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    dh = X25519PrivateKey.generate().public_key()
    agreement = dh.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    cut = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    for text in (private, agreement, cut, "", "x" * 5000, "-----BEGIN PUBLIC KEY-----\nAAAA"):
        with pytest.raises(UnsupportedKey):
            public_jwk_of_pem(text)
