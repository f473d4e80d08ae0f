"""W1 to W6 and W8: what a tenant is asked all day, each beside its floor."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import msgspec

from bench import floor, proofs
from bench.bare_program import HOST, BareProgram
from bench.processes import Program
from bench.rounds import CONNECTIONS, Effort, Operation, Result, Side, take_turns
from bench.table import Row
from bench.tenant_content import ELLIPTIC_API, Content
from bench.wire import Connection, UnexpectedAnswer, form_request, request
from entrypoints.demo_content import CALLBACK

DOCUMENTS = ("/.well-known/jwks.json", "/.well-known/openid-configuration")
SILENT_SCOPE = "openid profile email read:invoices"


class Tokens(msgspec.Struct):
    access_token: str
    id_token: str | None = None
    refresh_token: str | None = None


_tokens = msgspec.json.Decoder(Tokens).decode


Server = Callable[[Content, Connection], Awaitable[Operation]]
Bare = Callable[[BareProgram, Connection, int], Operation]


@dataclass(frozen=True, slots=True)
class Workload:
    id: str
    work: str
    target: float
    floor_of_target: float
    server: Server
    bare: Bare


def repeat(connection: Connection, message: bytes) -> Operation:
    async def operation() -> None:
        await connection.expect(200, message)

    return operation


# ---- W1: client credentials ----


def machine_token_request(content: Content, audience: str) -> bytes:
    fields = {"grant_type": "client_credentials", "audience": audience, **content.credentials}
    return form_request(content.host, "/oauth/token", fields)


async def machine_token(content: Content, connection: Connection) -> Operation:
    return repeat(connection, machine_token_request(content, content.tenant.api_audience))


async def elliptic_token(content: Content, connection: Connection) -> Operation:
    return repeat(connection, machine_token_request(content, ELLIPTIC_API))


def bare_token(path: str) -> Bare:
    fields = {
        "grant_type": "client_credentials",
        "client_id": "floor-client",
        "client_secret": "x" * 43,
        "audience": "https://api.acme.example",
    }

    def of(_: BareProgram, connection: Connection, number: int) -> Operation:
        return repeat(connection, form_request(HOST, path, fields))

    return of


# ---- W2: refresh with rotation ----


async def refresh(content: Content, connection: Connection) -> Operation:
    token = (await exchange_silently(content, connection, f"{SILENT_SCOPE} offline_access")).refresh_token
    if token is None:
        raise UnexpectedAnswer("no refresh token was issued")
    fields = {"grant_type": "refresh_token", **content.credentials}
    return rotate(connection, content.host, "/oauth/token", fields, token)


def bare_refresh(_: BareProgram, connection: Connection, number: int) -> Operation:
    fields = {"grant_type": "refresh_token", "client_id": "floor-client", "client_secret": "x" * 43}
    return rotate(connection, HOST, "/refresh", fields, floor.seed(number))


def rotate(connection: Connection, host: str, path: str, fields: dict[str, str], token: str) -> Operation:
    """Each answer's refresh token is the next request's."""
    held = token

    async def operation() -> None:
        nonlocal held
        answer = await connection.expect(200, form_request(host, path, {**fields, "refresh_token": held}))
        issued = _tokens(answer.body)
        if issued.refresh_token in (None, held) or issued.id_token is None:
            raise UnexpectedAnswer("the refresh did not rotate, or brought no ID token")
        held = issued.refresh_token

    return operation


# ---- W3: silent authorize with an organization, and the code's exchange ----


async def silent(content: Content, connection: Connection) -> Operation:
    ask = silent_request(content, SILENT_SCOPE)

    async def operation() -> None:
        await redeem(content, connection, ask)

    return operation


def bare_silent(_: BareProgram, connection: Connection, number: int) -> Operation:
    path = (
        f"/authorize?redirect_uri={CALLBACK}&state=state-of-the-benchmark&organization=org_floor&prompt=none"
    )
    ask = request("GET", HOST, path, headers={"cookie": f"session={floor.SESSION}"})

    async def operation() -> None:
        answer = await connection.expect(302, ask)
        fields = {"grant_type": "authorization_code", "code": code_in(answer.header("location"))}
        await connection.expect(200, form_request(HOST, "/code", fields))

    return operation


async def exchange_silently(content: Content, connection: Connection, scope: str) -> Tokens:
    return await redeem(content, connection, silent_request(content, scope))


def silent_request(content: Content, scope: str) -> bytes:
    return request("GET", content.host, content.authorize_path(scope), headers={"cookie": content.cookies})


async def redeem(content: Content, connection: Connection, ask: bytes) -> Tokens:
    answer = await connection.send(ask)
    if answer.status not in (302, 303):
        raise UnexpectedAnswer(f"/authorize answered {answer.status}: {answer.body[:400]!r}")
    fields = content.redemption(answer.header("location"), CALLBACK)
    issued = await connection.expect(200, form_request(content.host, "/oauth/token", fields))
    return _tokens(issued.body)


def code_in(location: str) -> str:
    query = parse_qs(urlsplit(location).query)
    if "code" not in query:
        raise UnexpectedAnswer(f"no code was issued: {location}")
    return query["code"][0]


# ---- W4: documents ----


def documents_of(host: str, connection: Connection) -> Operation:
    """Key set and metadata in turn: each call is one of them."""
    messages = [request("GET", host, path) for path in DOCUMENTS]
    turn = 0

    async def operation() -> None:
        nonlocal turn
        turn = 1 - turn
        await connection.expect(200, messages[turn])

    return operation


async def documents(content: Content, connection: Connection) -> Operation:
    return documents_of(content.host, connection)


def bare_documents(_: BareProgram, connection: Connection, number: int) -> Operation:
    return documents_of(HOST, connection)


# ---- W5: userinfo ----


async def userinfo(content: Content, connection: Connection) -> Operation:
    tokens = await exchange_silently(content, connection, SILENT_SCOPE)
    return repeat(connection, bearer_request(content.host, "/userinfo", tokens.access_token))


def bare_userinfo(running: BareProgram, connection: Connection, number: int) -> Operation:
    token = running.bare.access_token(f"auth0|{0:024x}")
    return repeat(connection, bearer_request(HOST, "/userinfo", token))


def bearer_request(host: str, path: str, token: str) -> bytes:
    return request("GET", host, path, headers={"authorization": f"Bearer {token}"})


# ---- W6: introspection ----


async def introspection(content: Content, connection: Connection) -> Operation:
    tokens = await exchange_silently(content, connection, SILENT_SCOPE)
    fields = {"token": tokens.access_token, **content.credentials}
    return repeat(connection, form_request(content.host, "/oauth/introspect", fields))


def bare_introspection(running: BareProgram, connection: Connection, number: int) -> Operation:
    token = running.bare.access_token(f"auth0|{0:024x}")
    fields = {"token": token, "client_id": "floor-client", "client_secret": "x" * 43}
    return repeat(connection, form_request(HOST, "/introspect", fields))


# ---- W8: a page of users ----


async def list_users(content: Content, connection: Connection) -> Operation:
    return repeat(
        connection, bearer_request(content.host, "/api/v2/users?per_page=50", content.management_token)
    )


def bare_list_users(_: BareProgram, connection: Connection, number: int) -> Operation:
    return repeat(connection, request("GET", HOST, "/users"))


WORKLOADS = (
    Workload("W1", "client credentials token, RS256", 0.54, 0.50, machine_token, bare_token("/token")),
    Workload("W1", "client credentials token, ES256", 0.30, 0.25, elliptic_token, bare_token("/token-es256")),
    Workload("W2", "refresh with rotation: access, ID, refresh", 1.1, 0.81, refresh, bare_refresh),
    Workload("W3", "silent authorize (organization) + exchange", 1.5, 1.04, silent, bare_silent),
    Workload("W4", "key set / discovery", 0.07, 0.06, documents, bare_documents),
    Workload("W5", "userinfo", 0.22, 0.20, userinfo, bare_userinfo),
    Workload("W6", "introspection", 0.24, 0.20, introspection, bare_introspection),
    Workload(
        "W1", "client credentials, ES256, DPoP", 0.48, 0.40, proofs.machine_token, proofs.bare_machine_token
    ),
    Workload("W2", "refresh with rotation, DPoP", 1.3, 0.96, proofs.refresh, proofs.bare_refresh),
    Workload("W5", "userinfo, DPoP", 0.45, 0.37, proofs.userinfo, proofs.bare_userinfo),
    Workload("W8", "list 50 users", 0.4, 0.27, list_users, bare_list_users),
)


def is_possible(workload: Workload, content: Content) -> bool:
    """A tenant without an elliptic key signs with RSA only."""
    return workload.server not in (elliptic_token, proofs.machine_token) or content.has_elliptic_api


async def measure(
    workload: Workload, program: Program, content: Content, bare: BareProgram, effort: Effort
) -> Row:
    """Server and floor take turns, so that the ratio holds whatever the machine does meanwhile."""
    ours = [await Connection.open(content.port) for _ in range(CONNECTIONS)]
    theirs = [await Connection.open(bare.port) for _ in range(CONNECTIONS)]
    try:
        sides = [
            Side(program, [await workload.server(content, connection) for connection in ours]),
            Side(bare.program, [workload.bare(bare, each, number) for number, each in enumerate(theirs)]),
        ]
        measured, least = await take_turns(sides, effort)
    finally:
        _close([*ours, *theirs])
    return row(workload, measured, least)


def row(workload: Workload, measured: Result, least: Result) -> Row:
    return Row(
        workload=workload.id,
        work=workload.work,
        unit="CPU ms",
        measured=measured.cpu_ms,
        floor=least.cpu_ms,
        aim=workload.target / workload.floor_of_target,
        target=workload.target,
        rate=measured.rate,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        spread=measured.spread,
        more={"floor_rate": least.rate, "floor_p99_ms": least.p99_ms, "floor_spread": least.spread},
    )


def _close(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.close()
