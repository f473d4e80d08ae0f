"""Requests to the protocol's endpoints and pages as nobody should send them: each parameter in turn is something odd,
and the body, the content type and the headers too."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_from_bytes

from tests.isolation.test_no_input_is_a_server_error import DOCUMENTS, VALUES

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MARKUP = "\"'><script>canary()</script>"
SPLIT = "a\r\nX-Injected: 1"
TEXTS: tuple[str | bytes, ...] = (
    "", " ", "\0", "a\0b", b"\xff", b"\xed\xa0\x80", MARKUP, SPLIT, "\u202e\ufeff\u2028", "\u212a", "../../etc/passwd",
    "' OR 1=1 --", "-1", "0", "9" * 400, "1e400", "NaN", "null", "true", "[]", "{}", "[" * 5_000, '{"a":' * 3_000,
    "a" * 5_000, "a" * 40_000, "." * 10_000, "a.b.c", "a.b.c.d.e", "%00", "%", "http://[", "https://user@evil.example/",
    "javascript:alert(1)", "file:///etc/passwd", "//evil.example", "http://127.0.0.1:1/",
    "urn:ietf:params:oauth:request_uri:",
    "urn:ietf:params:oauth:request_uri:x", "none login", "openid " * 1_500, "@" * 2_000, "a@" * 2_000, "a@b.c" * 1_000,
    "a" * 300 + "@" + "b." * 800, ("a" * 60 + ".") * 600, "-" * 30_000, "\t" * 20_000, "\u00e9" * 5_000,
    "BCDF-GHJK", "auth0|", "org_", "\U0001f4a9" * 100,
)  # fmt: skip
"""Values; bytes are none that could be text. The long ones are the worst that a pattern could be given."""

KINDS = (
    "", "text/plain", JSON, FORM, f"{FORM}; charset=utf-16", f"{JSON}; charset=utf-7",
    "multipart/form-data; boundary=x", f"{FORM}, {JSON}", "application/jwt", "a" * 5_000, "\u00ff",
)  # fmt: skip
HEADERS: tuple[Mapping[str, str], ...] = (
    {"Authorization": "Basic"}, {"Authorization": "Basic !!!"}, {"Authorization": "Basic Og=="},
    {"Authorization": "Basic " + "QQ" * 9_000}, {"Authorization": "Basic /zo6"}, {"Authorization": "Bearer "},
    {"Authorization": "Bearer " + "a." * 9_000}, {"Authorization": "DPoP x"}, {"Authorization": "\u00ff"},
    {"Authorization": "Negotiate x"}, {"DPoP": ""}, {"DPoP": "a.b.c"}, {"DPoP": "a." * 9_000}, {"DPoP": "\u00ff"},
    {"Cookie": "keystead_session=" + "a" * 9_000}, {"Cookie": "keystead_login=x; keystead_login=y"},
    {"Cookie": "keystead_session=\u00ff\u00ff; " * 100}, {"Origin": "null"}, {"Origin": "https://evil.example"},
    {"Origin": "\u00ff"}, {"Origin": MARKUP}, {"User-Agent": "\u00ff" * 3_000}, {"Accept-Language": "a," * 5_000},
    {"Content-Length": "9" * 30}, {"Content-Length": "-1"}, {"Content-Encoding": "gzip"}, {"Sec-Fetch-Site": "x"},
    {"X-Forwarded-For": "\u00ff"}, {"X-Forwarded-Host": "globex.localhost"},
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


@dataclass(frozen=True, slots=True)
class Place:
    """`good` are parameters that are nearly right: nothing is refused for a reason that hides another."""

    path: str
    good: Mapping[str, str]
    method: str = "POST"
    is_json: bool = False
    """Whether it reads JSON, too."""

    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attack:
    place: Place
    method: str
    sent: Mapping[str, str | bytes] | bytes
    """In the body, or in the query where the method has no body."""

    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def encoded(self) -> bytes:
        return self.sent if isinstance(self.sent, bytes) else _pairs(self.sent)

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH")

    def __str__(self) -> str:
        return f"{self.method} /{self.place.path} {self.encoded[:160]!r} {str(dict(self.headers))[:120]}"


def attacks(place: Place) -> Iterator[Attack]:
    for name in (*place.good, "unknown"):
        for text in TEXTS:
            yield _with(place, {**place.good, name: text})
    yield from _shapes(place)
    for headers in HEADERS:
        yield _with(place, place.good, headers=headers)
    for method in METHODS:
        yield _with(place, place.good, method=method)
    if place.method == "POST":
        yield from _bodies(place)


def _shapes(place: Place) -> Iterator[Attack]:
    for left_out in place.good:
        yield _with(place, {name: value for name, value in place.good.items() if name != left_out})
    usual = _pairs(place.good)
    for name in place.good:
        yield _raw(place, usual + b"&" + _pairs({name: "again"}))
    yield _raw(place, b"")
    yield _raw(place, b"&" * 30_000)
    yield _raw(place, b"=" * 30_000)
    yield _raw(place, b"&".join(b"a%d=1" % number for number in range(500)))
    yield _raw(place, usual.replace(b"&", b";"))
    yield _raw(place, b"%")
    yield _raw(place, b"\xff\xfe" + usual)


def _bodies(place: Place) -> Iterator[Attack]:
    usual = _pairs(place.good)
    for kind in KINDS:
        yield _raw(place, usual, {"Content-Type": kind})
    yield _raw(place, usual + b"&x=" + b"a" * 70_000)
    yield _raw(place, gzip.compress(b"a=" + b"\0" * 1_000_000), {"Content-Encoding": "gzip"})
    for document in DOCUMENTS:
        yield _raw(place, document, {"Content-Type": JSON})
    if place.is_json:
        for name in place.good:
            rest = "".join(
                f",{json.dumps(other)}:{json.dumps(value)}"
                for other, value in place.good.items()
                if other != name
            )
            for value in VALUES:
                yield _raw(place, f"{{{json.dumps(name)}:{value}{rest}}}".encode(), {"Content-Type": JSON})


def _with(
    place: Place,
    sent: Mapping[str, str | bytes] | bytes,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Attack:
    all_headers = {"Content-Type": FORM, **place.headers, **(headers or {})}
    attack = Attack(place, method or place.method, sent, all_headers)
    if attack.has_body:
        return attack
    return replace(attack, headers={**place.headers, **(headers or {})})


def _raw(place: Place, sent: bytes, headers: Mapping[str, str] | None = None) -> Attack:
    return _with(place, sent, headers=headers)


def _pairs(parameters: Mapping[str, str | bytes]) -> bytes:
    return b"&".join(
        quote(name).encode() + b"=" + (quote_from_bytes(v) if isinstance(v, bytes) else quote(v)).encode()
        for name, v in parameters.items()
    )
