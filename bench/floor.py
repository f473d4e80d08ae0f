"""The bare work: what each measured operation cannot do without, and nothing else.

Litestar under granian (uvicorn where granian is not installed), `sqlite3` in the event loop's thread in WAL with the
same `synchronous` mode, RS256 with one key. It trusts everybody, checks nothing and writes no log: its cost is the
least that any server of this make could have. Tokens and rows have the size of the real ones.
"""

import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from litestar import Litestar, Request, Response, asgi, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.types import Receive, Scope, Send

DATA_VARIABLE = "BENCH_FLOOR_DATA"
SYNCHRONOUS_VARIABLE = "BENCH_FLOOR_SYNCHRONOUS"
ISSUER = "http://floor.localhost/"
SESSION = "floor-session"
USERS = 60
SEEDS = 64

SCHEMA = """
CREATE TABLE clients (client_id TEXT PRIMARY KEY, digest TEXT, scope TEXT) WITHOUT ROWID;
CREATE TABLE sessions (digest TEXT PRIMARY KEY, user_id TEXT, organization_id TEXT) WITHOUT ROWID;
CREATE TABLE codes (digest TEXT PRIMARY KEY, user_id TEXT, organization_id TEXT, used_at INTEGER) WITHOUT ROWID;
CREATE TABLE refresh_tokens (digest TEXT PRIMARY KEY, user_id TEXT, used_at INTEGER) WITHOUT ROWID;
CREATE TABLE used_ids (digest TEXT PRIMARY KEY, expires_at INTEGER) WITHOUT ROWID;
CREATE TABLE users (
  user_id TEXT PRIMARY KEY, email TEXT, email_verified INTEGER, name TEXT, given_name TEXT, family_name TEXT,
  nickname TEXT, picture TEXT, user_metadata TEXT, app_metadata TEXT, logins_count INTEGER, created_at INTEGER,
  updated_at INTEGER
);
CREATE INDEX users_by_age ON users (created_at, user_id);
"""


class Form(msgspec.Struct):
    grant_type: str = ""
    client_id: str = ""
    client_secret: str = ""
    audience: str = ""
    refresh_token: str = ""
    token: str = ""
    code: str = ""
    redirect_uri: str = ""
    code_verifier: str = ""


FormBody = Annotated[Form, Body(media_type=RequestEncodingType.URL_ENCODED)]


@dataclass(frozen=True, slots=True)
class Bare:
    database: sqlite3.Connection
    rsa: RSAKey
    elliptic: ECKey
    algorithm: str = "RS256"

    def claim_proof(self, request: Request[Any, Any, Any]) -> None:
        """By a key that is known: the least a proof costs."""
        proof = jwt.decode(request.headers["dpop"], self.elliptic, algorithms=["ES256"])
        self.one(
            "INSERT INTO used_ids VALUES (?, ?) RETURNING digest",
            digest(proof.claims["jti"]),
            int(time.time()),
        )

    def one(self, statement: str, *values: Any) -> Any:
        return self.database.execute(statement, values).fetchone()

    def sign(self, claims: dict[str, Any], algorithm: str = "RS256") -> str:
        key = self.rsa if algorithm == "RS256" else self.elliptic
        return jwt.encode({"alg": algorithm, "typ": "at+jwt", "kid": "floor"}, claims, key)

    def access_token(self, subject: str, algorithm: str = "RS256") -> str:
        now = int(time.time())
        return self.sign(
            {
                "iss": ISSUER,
                "sub": subject,
                "aud": ["https://api.acme.example", f"{ISSUER}userinfo"],
                "iat": now,
                "exp": now + 86400,
                "scope": "openid profile email",
                "azp": "floor-client",
                "jti": secrets.token_urlsafe(16),
                "permissions": ["read:invoices", "write:invoices"],
            },
            algorithm,
        )

    def id_token(self, user: tuple[Any, ...]) -> str:
        now = int(time.time())
        names = ("sub", "email", "email_verified", "name", "given_name", "family_name", "nickname")
        times = {"iss": ISSUER, "aud": "floor-client", "iat": now, "exp": now + 36000, "auth_time": now}
        return self.sign({**times, **dict(zip(names, user, strict=False))})


Handler = Callable[..., Awaitable[Any]]
CLIENT = "SELECT client_id, digest, scope FROM clients WHERE client_id = ?"
USER = "SELECT user_id, email, email_verified, name, given_name, family_name, nickname FROM users WHERE user_id = ?"


def digest(value: str) -> str:
    return sha256(value.encode()).hexdigest()


def documents(body: bytes) -> Any:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=300")]

    @asgi(["/.well-known/jwks.json", "/.well-known/openid-configuration"], copy_scope=False)
    async def document(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return document


def machine_token(bare: Bare, path: str, algorithm: str) -> Any:
    @post(path, status_code=200, name=path)
    async def token(data: FormBody) -> dict[str, Any]:
        client_id, _, scope = bare.one(
            "SELECT client_id, digest, scope FROM clients WHERE client_id = ?", data.client_id
        )
        subject = f"{client_id}@clients"
        return {
            "access_token": bare.access_token(subject, algorithm),
            "token_type": "Bearer",
            "expires_in": 86400,
            "scope": scope,
        }

    return token


def bound_machine_token(bare: Bare) -> Any:
    @post("/dpop/token-es256", status_code=200)
    async def token(data: FormBody, request: Request[Any, Any, Any]) -> dict[str, Any]:
        bare.database.execute("BEGIN IMMEDIATE")
        bare.claim_proof(request)
        client_id, _, scope = bare.one(CLIENT, data.client_id)
        bare.database.execute("COMMIT")
        issued = bare.access_token(f"{client_id}@clients", "ES256")
        return {"access_token": issued, "token_type": "DPoP", "expires_in": 86400, "scope": scope}

    return token


def introspect(bare: Bare) -> Any:
    @post("/introspect", status_code=200)
    async def tell(data: FormBody) -> dict[str, Any]:
        token = jwt.decode(data.token, bare.rsa, algorithms=["RS256"])
        bare.one(CLIENT, data.client_id)
        bare.one(USER, token.claims["sub"])
        return {"active": True, **token.claims}

    return tell


def bound_userinfo(bare: Bare) -> Any:
    @get("/dpop/userinfo")
    async def claims(request: Request[Any, Any, Any]) -> dict[str, Any]:
        token = jwt.decode(request.headers["authorization"][5:], bare.rsa, algorithms=["RS256"])
        bare.database.execute("BEGIN IMMEDIATE")
        bare.claim_proof(request)
        user = bare.one(USER, token.claims["sub"])
        bare.database.execute("COMMIT")
        return dict(zip(("sub", "email", "email_verified", "name"), user, strict=False))

    return claims


def refresh(bare: Bare, path: str, *, with_proof: bool) -> Any:
    @post(path, status_code=200, name=path)
    async def rotate(data: FormBody, request: Request[Any, Any, Any]) -> dict[str, Any]:
        successor, now = secrets.token_urlsafe(32), int(time.time() * 1000)
        bare.database.execute("BEGIN IMMEDIATE")
        if with_proof:
            bare.claim_proof(request)
        claim = "UPDATE refresh_tokens SET used_at = ? WHERE digest = ? AND used_at IS NULL RETURNING user_id"
        (user_id,) = bare.one(claim, now, digest(data.refresh_token))
        user = bare.one(USER, user_id)
        bare.database.execute("INSERT INTO refresh_tokens VALUES (?, ?, NULL)", (digest(successor), user_id))
        bare.database.execute("COMMIT")
        tokens = {"access_token": bare.access_token(user_id), "id_token": bare.id_token(user)}
        return {**tokens, "refresh_token": successor, "token_type": "Bearer", "expires_in": 86400}

    return rotate


def authorize(bare: Bare) -> list[Any]:
    @get("/authorize")
    async def issue(request: Request[Any, Any, Any]) -> Response[None]:
        session = digest(request.cookies["session"])
        user_id, organization = bare.one(
            "SELECT user_id, organization_id FROM sessions WHERE digest = ?", session
        )
        code = secrets.token_urlsafe(32)
        bare.database.execute("BEGIN IMMEDIATE")
        bare.database.execute(
            "INSERT INTO codes VALUES (?, ?, ?, NULL)", (digest(code), user_id, organization)
        )
        bare.database.execute("COMMIT")
        target = f"{request.query_params['redirect_uri']}?code={code}&state={request.query_params['state']}"
        return Response(None, status_code=302, headers={"location": target})

    @post("/code", status_code=200)
    async def redeem(data: FormBody) -> dict[str, Any]:
        bare.database.execute("BEGIN IMMEDIATE")
        claim = "UPDATE codes SET used_at = ? WHERE digest = ? AND used_at IS NULL RETURNING user_id"
        (user_id,) = bare.one(claim, int(time.time() * 1000), digest(data.code))
        user = bare.one(USER, user_id)
        bare.database.execute("COMMIT")
        tokens = {"access_token": bare.access_token(user_id), "id_token": bare.id_token(user)}
        return {**tokens, "token_type": "Bearer", "expires_in": 86400}

    return [issue, redeem]


def userinfo(bare: Bare) -> Any:
    @get("/userinfo")
    async def claims(request: Request[Any, Any, Any]) -> dict[str, Any]:
        token = jwt.decode(request.headers["authorization"][7:], bare.rsa, algorithms=["RS256"])
        user = bare.one(USER, token.claims["sub"])
        names = ("sub", "email", "email_verified", "name", "given_name", "family_name", "nickname")
        return dict(zip(names, user, strict=True))

    return claims


class UserOut(msgspec.Struct):
    user_id: str
    email: str
    email_verified: bool
    name: str
    given_name: str
    family_name: str
    nickname: str
    picture: str
    user_metadata: msgspec.Raw
    app_metadata: msgspec.Raw
    logins_count: int
    created_at: str
    updated_at: str


def list_users(bare: Bare) -> Any:
    @get("/users")
    async def page() -> list[UserOut]:
        rows = bare.database.execute("SELECT * FROM users ORDER BY created_at, user_id LIMIT 50").fetchall()
        return [_user_out(row) for row in rows]

    return page


def _user_out(row: tuple[Any, ...]) -> UserOut:
    created, updated = (time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at / 1000)) for at in row[11:13])
    return UserOut(
        user_id=row[0],
        email=row[1],
        email_verified=bool(row[2]),
        name=row[3],
        given_name=row[4],
        family_name=row[5],
        nickname=row[6],
        picture=row[7],
        user_metadata=msgspec.Raw(row[8].encode()),
        app_metadata=msgspec.Raw(row[9].encode()),
        logins_count=row[10],
        created_at=created,
        updated_at=updated,
    )


def create_floor() -> Litestar:
    """Called in the process that serves."""
    folder = Path(os.environ[DATA_VARIABLE])
    database = sqlite3.connect(folder / "floor.db", isolation_level=None)
    database.execute(f"PRAGMA synchronous = {os.environ[SYNCHRONOUS_VARIABLE]}")
    bare = Bare(
        database,
        RSAKey.import_key((folder / "rsa.pem").read_bytes()),
        ECKey.import_key((folder / "ec.pem").read_bytes()),
    )
    handlers = [
        documents((folder / "document.json").read_bytes()),
        machine_token(bare, "/token", "RS256"),
        machine_token(bare, "/token-es256", "ES256"),
        bound_machine_token(bare),
        refresh(bare, "/refresh", with_proof=False),
        refresh(bare, "/dpop/refresh", with_proof=True),
        introspect(bare),
        bound_userinfo(bare),
        *authorize(bare),
        userinfo(bare),
        list_users(bare),
    ]
    return Litestar(handlers, openapi_config=None, logging_config=None)


def prepare(folder: Path) -> Bare:
    """The floor's data, made before it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    rsa, elliptic = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
    (folder / "rsa.pem").write_bytes(rsa.as_pem(private=True))
    (folder / "ec.pem").write_bytes(elliptic.as_pem(private=True))
    (folder / "document.json").write_bytes(msgspec.json.encode({"keys": [rsa.as_dict(private=False)] * 3}))
    database = sqlite3.connect(folder / "floor.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(SCHEMA)
    _fill(database)
    return Bare(database, rsa, elliptic)


def seed(number: int) -> str:
    return f"seed-{number}"


def bound_seed(number: int) -> str:
    return f"bound-seed-{number}"


def _user(number: int) -> tuple[Any, ...]:
    names = (f"User {number}", "User", str(number), "user", f"https://acme.example/{number}.png")
    times = (1_760_000_000_000 + number, 1_760_000_000_000)
    return (f"auth0|{number:024x}", f"user{number}@acme.example", 1, *names, "{}", "{}", 3, *times)


def _fill(database: sqlite3.Connection) -> None:
    users = [_user(number) for number in range(USERS)]
    database.executemany(f"INSERT INTO users VALUES ({','.join('?' * 13)})", users)
    database.execute("INSERT INTO clients VALUES ('floor-client', ?, 'read:invoices')", (digest("secret"),))
    database.execute("INSERT INTO sessions VALUES (?, ?, 'org_floor')", (digest(SESSION), users[0][0]))
    tokens = [name(number) for name in (seed, bound_seed) for number in range(SEEDS)]
    seeds = [(digest(token), users[0][0]) for token in tokens]
    database.executemany("INSERT INTO refresh_tokens VALUES (?, ?, NULL)", seeds)


def command(port: int) -> list[str]:
    """Granian serves it, or uvicorn where granian is not installed."""
    address = ["--host", "127.0.0.1", "--port", str(port), "--factory", "--loop", "uvloop"]
    if find_spec("granian"):
        plain = ["--interface", "asgi", "--no-ws", "--no-log"]
        return [sys.executable, "-m", "granian", *address, *plain, "bench.floor:create_floor"]
    plain = ["--http", "httptools", "--no-access-log", "--ws", "none"]
    return [sys.executable, "-m", "uvicorn", *address, *plain, "bench.floor:create_floor"]
