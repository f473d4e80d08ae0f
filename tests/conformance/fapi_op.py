"""A tenant as the FAPI 2.0 plan sees it: pushed requests, private_key_jwt, DPoP with nonces."""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.conformance.op import CALLBACK, Client, Op, left_half
from tests.conformance.shared_checks import check_callback, check_token_answer
from tests.relying_party import challenge

Key = ECKey | RSAKey | OKPKey
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "openid offline_access"


def new_key(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig", "alg": "ES256"})


@dataclass
class Holder:
    """A key of proofs, and the nonce that the server last gave."""

    key: Key = field(default_factory=lambda: ECKey.generate_key("P-256"))
    alg: str = "ES256"
    nonce: str | None = None

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    def proof(
        self,
        method: str,
        address: str,
        *,
        now: float,
        token: str | None = None,
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": address,
            "iat": int(now),
            "nonce": self.nonce,
            "ath": full_hash(token) if token else None,
            **changes,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        head = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.key.as_dict(private=False), **(header or {})}
        chosen = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(chosen, given, self.key, algorithms=["ES256", "PS256", "RS256", "EdDSA"])


def full_hash(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


@dataclass
class FapiOp:
    op: Op
    holder: Holder = field(default_factory=Holder)
    verifier: str = "v" * 64

    @property
    def client(self) -> Client:
        return self.op.clients["fapi"]

    @property
    def other(self) -> Client:
        return self.op.clients["fapi_two"]

    def now(self) -> float:
        return self.op.clock.now()

    def assertion(
        self, client: Client | None = None, *, key: Key | None = None, alg: str = "ES256", **changes: Any
    ) -> str:
        chosen = client or self.client
        now = int(self.now())
        claims = {
            "iss": chosen.client_id,
            "sub": chosen.client_id,
            "aud": self.op.issuer,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
            **changes,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        signing = key or chosen.key
        assert signing is not None
        return jwt.encode(
            {"alg": alg, "kid": signing.kid}, given, signing, algorithms=["ES256", "PS256", "RS256"]
        )

    def authentication(self, client: Client | None = None, **changes: Any) -> dict[str, str]:
        chosen = client or self.client
        return {
            "client_id": chosen.client_id,
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(chosen, **changes),
        }

    async def post(
        self, address: str, form: dict[str, str], *, proof: bool = True, holder: Holder | None = None
    ) -> httpx.Response:
        """With a proof, and again when a nonce is asked for, as every client does."""
        chosen = holder or self.holder
        headers = {"DPoP": chosen.proof("POST", address, now=self.now())} if proof else {}
        answer = await self.op.http.post(address, data=form, headers=headers)
        if proof and "dpop-nonce" in answer.headers:
            chosen.nonce = answer.headers["dpop-nonce"]
            if answer.status_code == 400 and answer.json()["error"] == "use_dpop_nonce":
                again = dict(form)
                if "client_assertion" in form:
                    again |= self.authentication(self._client_of(form))
                headers = {"DPoP": chosen.proof("POST", address, now=self.now())}
                return await self.op.http.post(address, data=again, headers=headers)
        return answer

    def _client_of(self, form: dict[str, str]) -> Client:
        return next(c for c in self.op.clients.values() if c.client_id == form["client_id"])

    def request(self, **changes: str | None) -> dict[str, str]:
        op = self.op
        op.state, op.nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        asked: dict[str, str | None] = {
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": SCOPE,
            "state": op.state,
            "nonce": op.nonce,
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        op.state, op.nonce = asked["state"], asked["nonce"]
        return {name: value for name, value in asked.items() if value is not None}

    async def push(
        self, client: Client | None = None, *, assertion: dict[str, Any] | None = None, **changes: str | None
    ) -> httpx.Response:
        form = {**self.request(**changes), **self.authentication(client, **(assertion or {}))}
        return await self.op.http.post(self.op.metadata["pushed_authorization_request_endpoint"], data=form)

    async def pushed(self, client: Client | None = None, **changes: str | None) -> str:
        answer = await self.push(client, **changes)
        assert answer.status_code == 201, answer.text
        assert isinstance(answer.json()["expires_in"], int)
        return str(answer.json()["request_uri"])

    async def open(self, request_uri: str, client: Client | None = None) -> httpx.Response:
        asked = {"client_id": (client or self.client).client_id, "request_uri": request_uri}
        return await self.op.browser.open(f"{self.op.metadata['authorization_endpoint']}?{urlencode(asked)}")

    async def code(self, client: Client | None = None, **changes: str | None) -> str:
        await self.open(await self.pushed(client, **changes), client)
        if self.op.page is not None:
            await self.op.log_in()
        answer = self.op.landed()
        check_callback(answer, issuer=self.op.issuer, state=self.op.state)
        return answer["code"]

    async def redeem(
        self,
        code: str,
        client: Client | None = None,
        *,
        proof: bool = True,
        holder: Holder | None = None,
        assertion: dict[str, Any] | None = None,
        **changes: str | None,
    ) -> httpx.Response:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            **changes,
        }
        given = {name: value for name, value in form.items() if value is not None}
        sent = {**given, **self.authentication(client, **(assertion or {}))}
        return await self.post(self.op.metadata["token_endpoint"], sent, proof=proof, holder=holder)

    async def tokens(self, **changes: str | None) -> dict[str, Any]:
        body = check_token_answer(await self.redeem(await self.code(**changes)))
        assert body["token_type"] == "DPoP"
        body["id_claims"] = await self.op.id_claims(body, self.client, algorithms=("PS256", "ES256", "EdDSA"))
        assert body["id_claims"].get("at_hash") in (None, left_half(body["access_token"]))
        return body

    async def refresh(
        self, token: str, client: Client | None = None, holder: Holder | None = None
    ) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, **self.authentication(client)}
        return await self.post(self.op.metadata["token_endpoint"], form, holder=holder)

    async def userinfo(
        self, token: str, *, scheme: str = "DPoP", proofs: list[str] | None = None, method: str = "GET"
    ) -> httpx.Response:
        """With good proofs, or with those given."""
        address = self.op.metadata["userinfo_endpoint"]
        for _ in range(2):
            chosen = proofs if proofs is not None else [self.good_proof(token, method)]
            headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in chosen)]
            answer = await self.op.http.request(method, address, headers=headers)
            if "dpop-nonce" in answer.headers:
                self.holder.nonce = answer.headers["dpop-nonce"]
            if proofs is not None or "use_dpop_nonce" not in answer.headers.get("www-authenticate", ""):
                return answer
        return answer

    def good_proof(self, token: str, method: str = "GET", **changes: Any) -> str:
        address = changes.pop("address", self.op.metadata["userinfo_endpoint"])
        return self.holder.proof(method, address, now=self.now(), token=token, **changes)
