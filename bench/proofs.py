"""The workloads with DPoP (RFC 9449): the same work with a proof to check and to claim."""

import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import urlencode

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey

from bench import floor
from bench.bare_program import HOST, BareProgram
from bench.rounds import Operation
from bench.tenant_content import ELLIPTIC_API, Content
from bench.wire import FORM, Connection, UnexpectedAnswer, request
from entrypoints.demo_content import CALLBACK


class _Issued(msgspec.Struct):
    access_token: str
    refresh_token: str | None = None


_issued = msgspec.json.Decoder(_Issued).decode


class Holder:
    """A key of proofs, and the nonce that the server last gave."""

    def __init__(self, origin: str, key: ECKey | None = None) -> None:
        self._origin = origin
        self._key = key or ECKey.generate_key("P-256")
        self._header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.as_dict(private=False)}
        self.nonce = ""

    def proof(self, method: str, path: str, token: str = "") -> str:
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": f"{self._origin}{path}",
            "iat": int(time.time()),
            "nonce": self.nonce,
        }
        if token:
            claims["ath"] = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
        return jwt.encode(self._header, claims, self._key)

    async def ask_for_a_nonce(self, connection: Connection, host: str, fields: dict[str, str]) -> None:
        answer = await connection.send(self.posting(host, "/oauth/token", fields))
        self.nonce = answer.header("dpop-nonce")

    def posting(self, host: str, path: str, fields: dict[str, str]) -> bytes:
        headers = {"dpop": self.proof("POST", path)}
        return request("POST", host, path, headers=headers, body=_encoded(fields), kind=FORM)

    def getting(self, host: str, path: str, token: str) -> bytes:
        headers = {"authorization": f"DPoP {token}", "dpop": self.proof("GET", path, token)}
        return request("GET", host, path, headers=headers)


def _encoded(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()


async def _holder(content: Content, connection: Connection) -> Holder:
    holder = Holder(content.tenant.issuer.rstrip("/"))
    fields = {"grant_type": "client_credentials", "audience": ELLIPTIC_API, **content.credentials}
    await holder.ask_for_a_nonce(connection, content.host, fields)
    return holder


async def machine_token(content: Content, connection: Connection) -> Operation:
    holder = await _holder(content, connection)
    fields = {"grant_type": "client_credentials", "audience": ELLIPTIC_API, **content.credentials}

    async def operation() -> None:
        await connection.expect(200, holder.posting(content.host, "/oauth/token", fields))

    return operation


async def refresh(content: Content, connection: Connection) -> Operation:
    holder, held = await _signed_in(content, connection)
    fields = {"grant_type": "refresh_token", **content.credentials}

    async def operation() -> None:
        nonlocal held
        message = holder.posting(
            content.host, "/oauth/token", {**fields, "refresh_token": held.refresh_token or ""}
        )
        answer = _issued((await connection.expect(200, message)).body)
        if answer.refresh_token in (None, held.refresh_token):
            raise UnexpectedAnswer("the refresh did not rotate")
        held = answer

    return operation


async def userinfo(content: Content, connection: Connection) -> Operation:
    holder, held = await _signed_in(content, connection)

    async def operation() -> None:
        await connection.expect(200, holder.getting(content.host, "/userinfo", held.access_token))

    return operation


async def _signed_in(content: Content, connection: Connection) -> tuple[Holder, _Issued]:
    holder = await _holder(content, connection)
    path = content.authorize_path("openid profile email read:invoices offline_access")
    asked = await connection.send(request("GET", content.host, path, headers={"cookie": content.cookies}))
    fields = content.redemption(asked.header("location"), CALLBACK)
    message = holder.posting(content.host, "/oauth/token", fields)
    return holder, _issued((await connection.expect(200, message)).body)


# ---- the floor: the same, with a proof by a key that is known ----


def _bare_holder(running: BareProgram) -> Holder:
    return Holder(f"http://{HOST}", running.bare.elliptic)


def bare_machine_token(running: BareProgram, connection: Connection, number: int) -> Operation:
    holder = _bare_holder(running)
    fields = {"grant_type": "client_credentials", "client_id": "floor-client", "client_secret": "x" * 43}

    async def operation() -> None:
        await connection.expect(200, holder.posting(HOST, "/dpop/token-es256", fields))

    return operation


def bare_refresh(running: BareProgram, connection: Connection, number: int) -> Operation:
    holder, held = _bare_holder(running), floor.bound_seed(number)
    fields = {"grant_type": "refresh_token", "client_id": "floor-client", "client_secret": "x" * 43}

    async def operation() -> None:
        nonlocal held
        message = holder.posting(HOST, "/dpop/refresh", {**fields, "refresh_token": held})
        held = _issued((await connection.expect(200, message)).body).refresh_token or ""

    return operation


def bare_userinfo(running: BareProgram, connection: Connection, number: int) -> Operation:
    holder = _bare_holder(running)
    token = running.bare.access_token(f"auth0|{0:024x}")

    async def operation() -> None:
        await connection.expect(200, holder.getting(HOST, "/dpop/userinfo", token))

    return operation
