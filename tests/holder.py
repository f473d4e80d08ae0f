"""A client that holds a key and proves it with each request (RFC 9449 section 4), and everything it can get wrong."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

Key = RSAKey | ECKey | OKPKey


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_key(algorithm: str) -> Key:
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256")
        case "ES384":
            return ECKey.generate_key("P-384")
        case "EdDSA":
            return OKPKey.generate_key("Ed25519")
        case _:
            return RSAKey.generate_key(2048)


@dataclass
class Holder:
    clock: Callable[[], float]
    algorithm: str = "ES256"
    key: Key = field(default_factory=lambda: new_key("ES256"))
    nonce: str | None = None
    """The last that a server named."""

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    @property
    def jwk(self) -> dict[str, Any]:
        return dict(self.key.as_dict(private=False))

    def proof(
        self,
        method: str,
        url: str,
        token: str | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        signed_by: Key | None = None,
        **claims: Any,
    ) -> str:
        """A good one; `header` and `claims` replace or add, and None takes a member away."""
        payload = {
            "jti": secrets.token_urlsafe(12),
            "htm": method,
            "htu": url,
            "iat": int(self.clock()),
            "ath": base64url(hashlib.sha256(token.encode()).digest()) if token else None,
            "nonce": self.nonce,
        } | claims
        members = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk} | dict(header or {})
        return self.sign(_present(members), _present(payload), signed_by)

    def sign(self, header: Mapping[str, Any], payload: Mapping[str, Any], key: Key | None = None) -> str:
        """Whatever header and claims: for proofs that must be refused."""
        parts = [base64url(json.dumps(part).encode()) for part in (header, payload)]
        signed = ".".join(parts)
        algorithm = JWSRegistry.algorithms[self.algorithm]
        return f"{signed}.{base64url(algorithm.sign(signed.encode(), key or self.key))}"

    async def send(
        self,
        http: httpx.AsyncClient,
        method: str,
        url: str,
        token: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """As every client does it: once more with the nonce that the server asked for."""
        for _ in range(2):
            sent = {**(headers or {}), "DPoP": self.proof(method, url, token)}
            if token is not None:
                sent["Authorization"] = f"DPoP {token}"
            answer = await http.request(method, url, headers=sent, **options)
            self.nonce = answer.headers.get("dpop-nonce", self.nonce)
            if "use_dpop_nonce" not in answer.text:
                break
        return answer


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
