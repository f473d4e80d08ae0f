"""What is no DPoP proof (RFC 9449 section 4.3), each wrong in one way: refused wherever a good one would pass."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.holder import Holder, base64url, new_key


@dataclass(frozen=True)
class Wanted:
    """The request that a good proof would be for."""

    method: str
    url: str
    token: str | None = None


Made = Callable[[Holder, Wanted], str]


def _good(holder: Holder, wanted: Wanted, **changes: Any) -> str:
    return holder.proof(wanted.method, wanted.url, wanted.token, **changes)


def _claims(**claims: Any) -> Made:
    return lambda holder, wanted: _good(holder, wanted, **claims)


def _header(**members: Any) -> Made:
    return lambda holder, wanted: _good(holder, wanted, header=members)


def _jwk(change: Callable[[dict[str, Any]], Any]) -> Made:
    return lambda holder, wanted: _good(holder, wanted, header={"jwk": change(holder.jwk)})


def _address(change: Callable[[str], str]) -> Made:
    return lambda holder, wanted: _good(holder, wanted, htu=change(wanted.url))


def _made(seconds: int) -> Made:
    return lambda holder, wanted: _good(holder, wanted, iat=int(holder.clock()) + seconds)


def _tampered(holder: Holder, wanted: Wanted) -> str:
    header, _, signature = _good(holder, wanted).split(".")
    payload = {
        "jti": "x",
        "htm": wanted.method,
        "htu": wanted.url,
        "iat": int(holder.clock()),
        "nonce": holder.nonce,
    }
    return ".".join((header, base64url(json.dumps(payload).encode()), signature))


def _unsigned(holder: Holder, wanted: Wanted) -> str:
    return _good(holder, wanted, header={"alg": "none"}).rpartition(".")[0] + "."


def _private(holder: Holder, wanted: Wanted) -> str:
    return _good(holder, wanted, header={"jwk": holder.key.as_dict(private=True)})


def _rs256(holder: Holder, wanted: Wanted) -> str:
    return _good(Holder(holder.clock, "RS256", new_key("RS256"), holder.nonce), wanted)


def _curve(name: str) -> Made:
    def make(holder: Holder, wanted: Wanted) -> str:
        return _good(Holder(holder.clock, name, new_key(name), holder.nonce), wanted)

    return make


def _other_scheme(url: str) -> str:
    scheme = {"http": "https", "https": "http"}[urlsplit(url).scheme]
    return urlsplit(url)._replace(scheme=scheme).geturl()


_WEAK = {"kty": "RSA", "n": "w" * 86, "e": "AQAB"}
_COSTLY = {"kty": "RSA", "n": "w" * 342, "e": "_" * 340 + "w"}
_OFF_THE_CURVE = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 42 + "A"}

NO_PROOFS: dict[str, Made] = {
    "empty": lambda holder, wanted: "",
    "no JWT": lambda holder, wanted: "a.b.c",
    "two parts": lambda holder, wanted: _good(holder, wanted).rpartition(".")[0],
    "four parts": lambda holder, wanted: _good(holder, wanted) + ".x",
    "two in one header": lambda holder, wanted: f"{_good(holder, wanted)}, {_good(holder, wanted)}",
    "padding": lambda holder, wanted: _good(holder, wanted) + "=",
    "too long": _claims(more="x" * 5000),
    "no typ": _header(typ=None),
    "another typ": _header(typ="JWT"),
    "typ is no text": _header(typ=["dpop+jwt"]),
    "no alg": _header(alg=None),
    "alg none": _header(alg="none"),
    "alg none, no signature": _unsigned,
    "alg of another key": _header(alg="PS256"),
    "RS256": _rs256,
    "ES384": _curve("ES384"),
    "symmetric": _header(alg="HS256", jwk={"kty": "oct", "k": "c2VjcmV0"}),
    "no jwk": _header(jwk=None),
    "jwk is no object": _header(jwk="key"),
    "jwk is empty": _header(jwk={}),
    "private key": _private,
    "key for encryption": _jwk(lambda jwk: jwk | {"use": "enc"}),
    "key for another alg": _jwk(lambda jwk: jwk | {"alg": "ES384"}),
    "weak key": _header(alg="PS256", jwk=_WEAK),
    "costly key": _header(alg="PS256", jwk=_COSTLY),
    "off the curve": _header(jwk=_OFF_THE_CURVE),
    "kid instead of jwk": _header(jwk=None, kid="key"),
    "crit": _header(crit=["exp"]),
    "b64": _header(b64=False),
    "another key's signature": lambda holder, wanted: _good(holder, wanted, signed_by=new_key("ES256")),
    "tampered": _tampered,
    "no jti": _claims(jti=None),
    "empty jti": _claims(jti=""),
    "jti is no text": _claims(jti=7),
    "jti is long": _claims(jti="j" * 257),
    "no htm": _claims(htm=None),
    "another method": _claims(htm="PUT"),
    "method in small letters": lambda holder, wanted: _good(holder, wanted, htm=wanted.method.lower()),
    "no htu": _claims(htu=None),
    "htu is no text": _claims(htu=["https://acme.example.com/"]),
    "another path": _address(lambda url: f"{url}/more"),
    "path in capitals": _address(lambda url: url[:-1] + url[-1].upper()),
    "a slash more": _address(lambda url: url + "/"),
    "another host": _address(lambda url: url.replace("acme", "globex")),
    "another scheme": _address(_other_scheme),
    "another port": _address(
        lambda url: urlsplit(url)._replace(netloc=f"{urlsplit(url).hostname}:8443").geturl()
    ),
    "a user in the address": _address(lambda url: url.replace("//", "//me@")),
    "no address": _claims(htu="https://[acme"),
    "relative": _address(lambda url: "/" + url.split("/", 3)[3]),
    "a blank in the address": _address(lambda url: f" {url}"),
    "a NUL in the address": _address(lambda url: f"{url}\0"),
    "no iat": _claims(iat=None),
    "iat is text": lambda holder, wanted: _good(holder, wanted, iat=str(int(holder.clock()))),
    "iat is true": _claims(iat=True),
    "iat is enormous": _claims(iat=10**400),
    "an hour old": _made(-3600),
    "an hour ahead": _made(3600),
    "nonce is no text": _claims(nonce=1),
}

NO_PROOFS_OF_A_TOKEN: dict[str, Made] = {
    **NO_PROOFS,
    "no ath": _claims(ath=None),
    "ath is no text": _claims(ath=1),
    "ath of another token": lambda holder, wanted: holder.proof(wanted.method, wanted.url, "another"),
    "ath is the token": lambda holder, wanted: _good(holder, wanted, ath=wanted.token),
}
