"""What a client signs to prove itself, and a little server for its keys. Made without the code that checks it."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec
from joserfc.jws import JWSRegistry

from core.crypto.keys import SigningKey
from core.ids import digest, new_id, new_secret
from core.outbound import Outbound
from tenant_runtime import models
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.clients.remote_keys import RemoteKeys
from tests.protocol.issuer import API, Issuer, Issuers, add_client, second_worker

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BOTH = ["authorization_code", "refresh_token", "client_credentials"]
FAPI = "fapi2_sp_pkj_dpop"
REFUSED = (401, "invalid_client")


def encoded(value: bytes | Mapping[str, Any]) -> str:
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Mapping[str, Any], claims: Mapping[str, Any] | bytes, key: SigningKey | bytes) -> str:
    """With exactly this header; bytes are the key of an HMAC."""
    text = f"{encoded(header)}.{encoded(claims)}"
    if isinstance(key, bytes):
        made = hmac.digest(key, text.encode(), f"sha{header['alg'][2:]}")
    else:
        made = JWSRegistry.algorithms[header["alg"]].sign(text.encode(), key.jose)
    return f"{text}.{encoded(made)}"


def claims_for(issuer: Issuer, client_id: str, **changes: Any) -> dict[str, Any]:
    """Of a good assertion; a change to None leaves a claim out."""
    now = int(issuer.clock.now())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer.tenant.issuer,
        "jti": new_secret(),
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def assertion(
    issuer: Issuer,
    client_id: str,
    key: SigningKey | bytes,
    /,
    header: Mapping[str, Any] | None = None,
    **claims: Any,
) -> dict[str, str]:
    """The two parameters; a header's member that is None is left out."""
    usual = {"alg": key.alg, "kid": key.kid} if isinstance(key, SigningKey) else {"alg": "HS256"}
    members = {name: value for name, value in {**usual, **(header or {})}.items() if value is not None}
    text = signed(members, claims_for(issuer, client_id, **claims), key)
    return {"client_assertion_type": JWT_BEARER, "client_assertion": text}


async def add_key(issuer: Issuer, client_id: str, key: SigningKey, **values: Any) -> str:
    id = new_id("cred")
    jwk = {
        name: key.public_jwk[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in key.public_jwk
    }
    await issuer.add(
        models.ClientKey, **{"id": id, "client_id": client_id, "kid": key.kid, "jwk": jwk} | values
    )
    return id


async def add_signing_client(issuer: Issuer, client_id: str, *keys: SigningKey, **values: Any) -> None:
    """A client of `private_key_jwt` with a grant for the API; without keys it has none yet."""
    row = {"token_endpoint_auth_method": "private_key_jwt", "grant_types": BOTH} | values
    await add_client(issuer, client_id, **row)
    await issuer.remove(models.ClientSecret, client_id=client_id)
    issuer.secrets.pop(client_id, None)
    for key in keys:
        await add_key(issuer, client_id, key)
    await _grant(issuer, client_id)


async def add_mac_client(issuer: Issuer, client_id: str, **values: Any) -> bytes:
    """A client of `client_secret_jwt`, and its secret."""
    row = {"token_endpoint_auth_method": "client_secret_jwt", "grant_types": BOTH} | values
    await add_client(issuer, client_id, **row)
    await issuer.remove(models.ClientSecret, client_id=client_id)
    issuer.secrets.pop(client_id, None)
    await _grant(issuer, client_id)
    return await add_sealed_secret(issuer, client_id)


async def add_sealed_secret(issuer: Issuer, client_id: str, **values: Any) -> bytes:
    id, secret = new_id("sec"), new_secret(48)
    sealed = issuer.tenant.data_key.seal(secret.encode(), "client_secrets", "sealed", id)
    await issuer.add(
        models.ClientSecret, id=id, client_id=client_id, digest=digest(secret), sealed=sealed, **values
    )
    return secret.encode()


async def _grant(issuer: Issuer, client_id: str) -> None:
    await issuer.add(
        models.ClientGrant, id=new_id("cgr"), client_id=client_id, audience=API, scope=["read:invoices"]
    )


async def ask(issuer: Issuer, form: dict[str, str], **more: Any) -> httpx.Response:
    body = {"grant_type": "client_credentials", "audience": API} | form
    return await issuer.http.post("/oauth/token", data=body, **more)


def outcome(answer: httpx.Response) -> tuple[int, str | None]:
    description = answer.json().get("error_description", "")
    assert description.isascii()
    assert description.isprintable()
    assert not set('"\\') & set(description)
    return answer.status_code, answer.json().get("error")


@dataclass
class KeyServer:
    """Serves one document at any path; counts how often it was asked."""

    port: int = 0
    keys: list[SigningKey] = field(default_factory=list)
    body: bytes | None = None
    status: int = 200
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks.json"

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset({f"127.0.0.1:{self.port}"})

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.gate.wait()
        document = {"keys": [{**key.public_jwk, "alg": None} for key in self.keys]}
        for key in document["keys"]:
            del key["alg"]
        body = self.body if self.body is not None else msgspec.json.encode(document)
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def key_server(*keys: SigningKey) -> AsyncIterator[KeyServer]:
    served = KeyServer(keys=list(keys))
    served.gate.set()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


@asynccontextmanager
async def reaching(issuers: Issuers, issuer: Issuer, *servers: KeyServer) -> AsyncIterator[Issuer]:
    """The tenant at a worker that may call these servers; its cache of remote keys is its own."""
    async with services_reaching(issuers, *servers) as services, second_worker(issuer, services) as worker:
        yield worker


@asynccontextmanager
async def services_reaching(issuers: Issuers, *servers: KeyServer) -> AsyncIterator[Services]:
    allowed = frozenset[str]().union(*(server.allowed for server in servers))
    async with Outbound(allowed, seconds=2) as outbound:
        yield replace(issuers.services, outbound=outbound, remote_keys=RemoteKeys())
