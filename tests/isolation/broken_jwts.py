"""What is no JWT that anybody should take, made from one that is good (`specs/bad-inputs.md` 16 to 33): header and
claims are changed and signed again by the right key, so that it is not the signature that they are refused for."""

import base64
import hmac
import json
import secrets
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from joserfc.jws import JWSRegistry

from core.crypto.keys import SigningKey

DEEP = "[" * 1000 + "]" * 1000


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Good:
    """What a good one is made of, and by whom."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: SigningKey

    @classmethod
    def of(cls, token: str, key: SigningKey) -> "Good":
        header, claims = (_decoded(part) for part in token.split(".")[:2])
        return cls(header, claims, key)

    def made(self, header: Any = None, claims: Any = None) -> str:
        """Each a dictionary, or text or bytes that stand for one."""
        said = self.claims if claims is None else claims
        if isinstance(said, dict) and said.get("jti", NOTHING) == self.claims.get("jti"):
            said = {
                **said,
                "jti": secrets.token_urlsafe(12),
            }  # none is refused because another was there before
        parts = [_raw(self.header if header is None else header), _raw(said)]
        return self.signed(".".join(map(encoded, parts)))

    def signed(self, text: str) -> str:
        made = JWSRegistry.algorithms[self.key.alg].sign(text.encode(), self.key.jose)
        return f"{text}.{encoded(made)}"


def _decoded(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


def _raw(part: Any) -> bytes:
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode("utf-8", "surrogatepass")


NOTHING = object()
VALUES: dict[str, Any] = {
    "missing": NOTHING, "null": None, "true": True, "empty": "", "a list": ["x"], "an object": {"a": {}},
    "negative": -1, "a number": 7, "10 kB": "x" * 10_000, "a surrogate": "\ud800", "NUL": "\0",
}  # fmt: skip
HEADERS: dict[str, dict[str, Any]] = {
    "alg": {"none": "none", "None": "None", "nOnE": "nOnE", "HS256": "HS256", "RS512": "RS512", "ES384": "ES384"},
    "kid": {
        "a path": "../../etc/passwd", "an address": "https://evil.example/key", "SQL": "' OR 1=1 --",
        "another": "another",
    },
    "typ": {"another": "jose", "markup": "<script>"},
    "crit": {"exp": ["exp"], "b64": ["b64"], "unknown": ["nope"], "nothing": [], "text": "exp"},
    "b64": {"false": False},
    "zip": {"DEF": "DEF"},
    "enc": {"A256GCM": "A256GCM"},
    "jwk": {
        "symmetric": {"kty": "oct", "k": "eA"},
        "off the curve": {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eA"},
    },
}  # fmt: skip
TIMES = {
    "text": "1900000000", "long ago": 1, "next century": 5_000_000_000, "fraction of time": -0.5, "enormous": 10**400,
}  # fmt: skip
CLAIMS: dict[str, dict[str, Any]] = {
    "iss": {"another": "https://evil.example/", "script": "<script>alert(1)</script>"},
    "aud": {"a hundred": [f"https://{n}.example/" for n in range(100)], "numbers": [1, 2], "nested": [["x"]]},
    "sub": {"long": "s" * 5000},
    "exp": TIMES,
    "iat": {name: TIMES[name] for name in ("text", "next century", "enormous")},
    "nbf": {name: TIMES[name] for name in ("text", "next century", "enormous")},
    "jti": {}, "client_id": {}, "scope": {"a list of numbers": [1]}, "sid": {}, "org_id": {"another": "org_none"},
    "cnf": {"no key": {}, "a list in it": {"jkt": [1]}}, "act": {"deep": {"sub": "x", "act": {"act": {"sub": 1}}}},
    "htm": {"another": "PUT"}, "htu": {"another": "https://evil.example/", "no address": "http://["}, "nonce": {},
    "redirect_uri": {"script": "javascript:alert(1)", "no address": "http://["}, "response_type": {"token": "token"},
    "claims": {"deep": "[" * 900 + "]" * 900, "no JSON": "{"}, "max_age": {"fraction": "1.5", "number": 10**30},
    "request": {"itself": "a.b.c"}, "request_uri": {"outside": "https://evil.example/r"},
    "code_challenge": {"short": "c"}, "prompt": {"two": "none login"},
}  # fmt: skip
"""A claim that the token at hand does not have is added."""

DOCUMENTS: dict[str, str | bytes] = {
    "a list": "[]", "text": '"x"', "a number": "7", "null": "null", "nothing": "", "cut off": '{"a":', "deep": DEEP,
    "NaN": '{"exp":NaN}', "infinite": '{"exp":-Infinity}', "1e400": '{"exp":1e400}',
    "digits": '{"exp":' + "9" * 5000 + "}",
    "twice": '{"alg":"ES256","alg":"none","exp":1,"exp":9999999999}', "no UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"), "BOM": b"\xef\xbb\xbf{}", "deep member": '{"alg":' + DEEP + "}",
}  # fmt: skip


def broken(good: Good, headers: Iterable[str], claims: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and text; of the members that are named."""
    yield from _texts(good)
    for name, document in DOCUMENTS.items():
        yield f"header is {name}", good.made(header=document)
        yield f"claims are {name}", good.made(claims=document)
    for member in headers:
        for name, value in (VALUES | HEADERS[member]).items():
            if good.header.get(member, NOTHING) is not value:
                yield f"header {member}: {name}", good.made(header=_changed(good.header, member, value))
    for member in claims:
        for name, value in (VALUES | CLAIMS[member]).items():
            if good.claims.get(member, NOTHING) is not value:
                yield f"claim {member}: {name}", good.made(claims=_changed(good.claims, member, value))
    yield "header of 60 kB", good.made(header={**good.header, "x": "y" * 45_000})
    yield "claims of 40 kB", good.made(claims={**good.claims, "x": "y" * 30_000})


def _changed(members: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    kept = {key: item for key, item in members.items() if key != name}
    return kept if value is NOTHING else {**kept, name: value}


def _texts(good: Good) -> Iterator[tuple[str, str]]:
    token = good.made()
    header, claims, signature = token.split(".")
    public = json.dumps(good.key.public_jwk).encode()
    unsigned = encoded(_raw({**good.header, "alg": "none"})) + f".{claims}."
    by_public_key = encoded(_raw({**good.header, "alg": "HS256"})) + f".{claims}"
    yield "no signature", f"{header}.{claims}."
    yield "alg none and no signature", unsigned
    yield "two parts", f"{header}.{claims}"
    yield "four parts", f"{token}.x"
    yield "five parts", f"{header}.{claims}.{signature}.x.y"
    yield "another signature", f"{header}.{claims}.{encoded(b'x' * 64)}"
    yield "cut signature", token[:-1]
    yield "padding", f"{token}="
    yield "a line more", f"{token}\n"
    yield "a blank in it", f"{header}. {claims}.{signature}"
    yield "dots", "." * 10_000
    yield "one dot", "."
    yield "60 kB", "a" * 60_000
    yield "no base64", "$.$.$"
    yield (
        "the key as a secret",
        f"{by_public_key}.{encoded(hmac.digest(public, by_public_key.encode(), 'sha256'))}",
    )
    yield "an empty secret", f"{by_public_key}.{encoded(hmac.digest(b'', by_public_key.encode(), 'sha256'))}"
    for name, members in (
        ("PBES2", {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "c2FsdA", "p2c": 10_000_000}),
        ("dir", {"alg": "dir", "enc": "A256GCM", "zip": "DEF"}),
        ("RSA-OAEP", {"alg": "RSA-OAEP", "enc": "A256GCM"}),
    ):
        bomb = encoded(zlib.compress(b"\0" * 1_000_000)[2:-4])
        yield f"encrypted by {name}", f"{encoded(_raw(members))}.eA.eA.{bomb}.eA"
    for name, value in {
        "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/keys", "x5c": ["AA"], "jwk": STRANGER.public_jwk,
    }.items():  # fmt: skip
        other = Good({**good.header, name: value, "alg": STRANGER.alg}, good.claims, STRANGER)
        yield f"a stranger's, by {name}", other.made()


STRANGER = SigningKey.generate("ES256")
