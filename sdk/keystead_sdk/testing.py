"""An issuer for tests: signs real tokens, answers its own discovery, and needs no network.

`FakeIssuer().verifier()` checks what `FakeIssuer.token(permissions=[...], org_id=...)` signs, over the
same path as with a real issuer. `KeyHolder` is a client that proves its key with each request (RFC 9449).
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from keystead_sdk.addresses import discovery_address
from keystead_sdk.verifier import TokenVerifier

SigningKey = RSAKey | ECKey | OKPKey


class FakeIssuer:
    def __init__(
        self,
        issuer: str = "https://issuer.test/",
        *,
        audience: str = "https://api.test",
        algorithm: str = "ES256",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.audience = audience
        self.algorithm = algorithm
        self.fetched: list[str] = []
        self._clock = clock
        self._keys = [_new_key(algorithm)]

    def verifier(self, **options: Any) -> TokenVerifier:
        """One that trusts this issuer; `options` are those of `TokenVerifier`."""
        given: dict[str, Any] = {"audience": self.audience, "fetch": self.fetch, "clock": self._clock}
        if "trusted_issuers" not in options:
            given["issuer"] = self.issuer
        return TokenVerifier(**given | options)

    def token(
        self,
        *,
        subject: str = "auth0|0123456789abcdef01234567",
        permissions: Collection[str] = (),
        scopes: Collection[str] = (),
        org_id: str | None = None,
        client_id: str = "client_of_the_test",
        lifetime: float = 3600,
        typ: str = "at+jwt",
        **claims: Any,
    ) -> str:
        """A good token; `claims` replace or add, and None takes a claim away."""
        now = int(self._clock())
        written = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.audience,
            "iat": now,
            "exp": now + int(lifetime),
            "jti": base64.urlsafe_b64encode(now.to_bytes(8)).decode(),
            "client_id": client_id,
            "azp": client_id,
            "scope": " ".join(scopes),
            "permissions": list(permissions),
            "org_id": org_id,
        }
        kept = {name: value for name, value in (written | claims).items() if value is not None}
        return self.sign({"alg": self.algorithm, "typ": typ, "kid": self.key.kid}, kept)

    def headers(self, **token: Any) -> dict[str, str]:
        """Request headers with a token; the arguments are those of `token`."""
        return {"Authorization": f"Bearer {self.token(**token)}"}

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any] | bytes) -> str:
        """Whatever header and claims, signed with the present key: for tokens that must be refused."""
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        return _sign(header, payload, self.algorithm, self.key)

    @property
    def key(self) -> SigningKey:
        return self._keys[-1]

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on; `keep` leaves the old ones in the key set."""
        self._keys = [*(self._keys if keep else ()), _new_key(self.algorithm)]

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._public(key) for key in self._keys]}

    async def fetch(self, address: str) -> bytes:
        """What the issuer's web server would answer; addresses asked for are noted in `fetched`."""
        self.fetched.append(address)
        jwks_uri = f"{self.issuer.removesuffix('/')}/.well-known/jwks.json"
        if address == discovery_address(self.issuer):
            return json.dumps({"issuer": self.issuer, "jwks_uri": jwks_uri}).encode()
        if address == jwks_uri:
            return json.dumps(self.jwks()).encode()
        raise LookupError(address)

    def _public(self, key: SigningKey) -> dict[str, Any]:
        return {**key.as_dict(private=False), "use": "sig", "alg": self.algorithm}


class KeyHolder:
    """`holder.headers(issuer.token(cnf=holder.cnf), "GET", "https://api.test/invoices")`."""

    def __init__(
        self,
        *,
        algorithm: str = "ES256",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.algorithm = algorithm
        self.key = _new_key(algorithm)
        self.nonce: str | None = None
        self._clock = clock

    @property
    def cnf(self) -> dict[str, str]:
        """The claim of a token that is bound to this key."""
        return {"jkt": self.key.thumbprint()}

    def proof(
        self, token: str, method: str, url: str, *, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """A good proof; `header` and `claims` replace or add, and None takes one away."""
        jwk = {name: value for name, value in self.key.as_dict(private=False).items() if name != "kid"}
        payload = {
            "jti": secrets.token_urlsafe(12),
            "htm": method,
            "htu": url,
            "iat": int(self._clock()),
            "ath": _base64url(hashlib.sha256(token.encode()).digest()),
            "nonce": self.nonce,
        } | claims
        members = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": jwk} | dict(header or {})
        written = [
            {name: value for name, value in part.items() if value is not None} for part in (members, payload)
        ]
        return _sign(written[0], json.dumps(written[1]).encode(), self.algorithm, self.key)

    def headers(self, token: str, method: str, url: str, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"DPoP {token}", "DPoP": self.proof(token, method, url, **claims)}


def _sign(header: Mapping[str, Any], payload: bytes, algorithm: str, key: SigningKey) -> str:
    signed = f"{_base64url(json.dumps(header).encode())}.{_base64url(payload)}"
    signature = JWSRegistry.algorithms[algorithm].sign(signed.encode(), key)
    return f"{signed}.{_base64url(signature)}"


def _new_key(algorithm: str) -> SigningKey:
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", auto_kid=True)
        case "EdDSA" | "Ed25519":
            return OKPKey.generate_key("Ed25519", auto_kid=True)
        case _:
            return RSAKey.generate_key(2048, auto_kid=True)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
