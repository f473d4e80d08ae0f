"""Two tenants that are as alike as they can be: clients of the same ids with the same keys, people of the same ids."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, insert, select, update

from core.crypto.keys import SigningKey
from core.ids import digest
from core.tenants import Tenant
from entrypoints.demo_content import CALLBACK, Demo, DemoClient, DemoUser
from entrypoints.network import Api
from tenant_runtime import models
from tests.conformance.conftest import twins
from tests.holder import Holder
from tests.isolation.conftest import CONTROL_PLANE, A, B
from tests.isolation.rows import TRAIL, Rows, all_rows, rows_behind, rows_of
from tests.mailbox import OTP, Mailed, mailed
from tests.operators import machine_token, make_user
from tests.receivers import Receiver, receiving
from tests.relying_party import RelyingParty

API = "https://billing.example.com"
"""Of the catalogue: every tenant has it, under this name."""

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
VERIFIER = "v" * 64
GRANTS = ["authorization_code", "refresh_token", DEVICE, OTP, EXCHANGE]
KEY = SigningKey.generate("ES256")
APP = {
    "app_type": "native",
    "token_endpoint_auth_method": "none",
    "grant_types": GRANTS,
    "callbacks": [CALLBACK],
    "is_first_party": True,
}
CLIENTS: dict[str, dict[str, Any]] = {
    "app": APP,
    "server": {**APP, "app_type": "regular_web", "token_endpoint_auth_method": "client_secret_post"},
    "signing": {
        **APP,
        "app_type": "regular_web",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [{n: KEY.public_jwk[n] for n in ("kty", "crv", "x", "y", "kid")}]},
    },
}


@dataclass
class Side:
    """One tenant as its clients and its browsers see it."""

    mail: Mailed
    tenant: Tenant
    user: DemoUser
    clients: dict[str, dict[str, str]]
    receiver: Receiver
    http: httpx.AsyncClient
    """Keeps the cookies of whoever is signed in; `stranger` keeps none."""

    stranger: httpx.AsyncClient
    holder: Holder = field(init=False)
    is_signed_in: bool = False

    def __post_init__(self) -> None:
        self.holder = Holder(self.mail.installation.clock.now)

    @property
    def issuer(self) -> str:
        return self.tenant.issuer

    def credentials(self, client: str = "app") -> dict[str, str]:
        return self.clients[client]

    def client_id(self, client: str = "app") -> str:
        return self.clients[client]["client_id"]

    def party(self, client: str = "app", http: httpx.AsyncClient | None = None) -> RelyingParty:
        known = self.clients[client]
        party = RelyingParty(
            http or self.http,
            self.issuer,
            DemoClient(known["client_id"], known.get("client_secret")),
            API,
            self.user,
        )
        party.verifier = VERIFIER
        return party

    async def sign_in(self) -> None:
        """The browser of `http` has a session from now on; nothing that follows has to begin one."""
        if not self.is_signed_in:
            await self.party().sign_in()
            self.is_signed_in = True

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        """As a program does it, without cookies."""
        return await self.stranger.post(f"{self.issuer}{path}", data=form, headers=headers)

    async def get(self, path: str, params: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        return await self.stranger.get(f"{self.issuer}{path}", params=params, headers=headers)

    async def rows(self) -> dict[str, list[str]]:
        await self.mail.installation.running.services.audit.flush(self.tenant)
        ref = self.tenant.database.ref
        return rows_of(ref.path, TRAIL) if ref.path is not None else rows_behind(ref, TRAIL)


@dataclass(frozen=True)
class Sides:
    a: Side
    b: Side
    plane: Side
    """The control plane is a tenant, too."""

    async def signed_in(self) -> None:
        for side in (self.a, self.b, self.plane):
            await side.sign_in()

    async def rows(self) -> Rows:
        """Of every database, when the control plane has told everybody what it had to tell."""
        installation = self.a.mail.installation
        await installation.running.platform.lifecycle.wait_synced()
        await installation.running.services.audit.flush()
        return await all_rows(installation, without=(*TRAIL, "sync_states"))


@asynccontextmanager
async def two_sides(golden: tuple[Path, Demo], folder: Path) -> AsyncIterator[Sides]:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(Receiver()))
        allowed = frozenset({receiver.address})
        mail = await stack.enter_async_context(mailed(golden, folder, outbound_allowed=allowed))
        made = await twins(mail.installation, CLIENTS)
        user = await _twin_users(mail)
        sides = []
        for tenant_id in (A, B, CONTROL_PLANE):
            settings = {"client_registration": {"mode": "initial_token"}}
            await (await _manager(mail, tenant_id)).patch("/tenants/settings", settings)
            known = {
                name: {"client_id": client.client_id}
                | ({"client_secret": client.secret} if name == "server" else {})
                for name, client in made[tenant_id].items()
            }
            tenant = await _tenant(mail, tenant_id)
            await tenant.database.write(_tell_of_logouts, known["app"]["client_id"], receiver.url("/logout"))
            browser, stranger = [
                await stack.enter_async_context(mail.installation.browser()) for _ in range(2)
            ]
            sides.append(Side(mail, tenant, user, known, receiver, browser, stranger))
        yield Sides(*sides)


async def _tenant(mail: Mailed, tenant_id: str) -> Tenant:
    tenant = await mail.installation.running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    return tenant


async def _manager(mail: Mailed, tenant_id: str) -> Api:
    installation = mail.installation
    return await (installation.operator() if tenant_id == CONTROL_PLANE else installation.manager(tenant_id))


async def _twin_users(mail: Mailed) -> DemoUser:
    """One person, made at A, and again elsewhere with the same id, address and password."""
    a = mail.tenant(A)
    token = await machine_token(mail.http, a.issuer, a.clients["m2m"], a.management_audience)
    user_id, user = await make_user(mail.installation, a.issuer, token)
    rows = await (await _tenant(mail, A)).database.read(_rows_of_user, user_id)
    for tenant_id in (B, CONTROL_PLANE):
        await (await _tenant(mail, tenant_id)).database.write(_copy_user, rows)
    return user


_OF_USER = (models.User, models.Identity, models.Password)


def _rows_of_user(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    found = []
    for model in _OF_USER:
        table = model.__table__
        row = connection.execute(select(table).where(table.c.user_id == user_id)).one()
        found.append(dict(row._mapping))
    return found


def _copy_user(connection: Connection, rows: list[dict[str, Any]]) -> None:
    table = models.Connection.__table__
    own = connection.execute(select(table.c.id).where(table.c.strategy == "auth0")).scalar_one()
    for model, row in zip(_OF_USER, rows, strict=True):
        values = {**row, "connection_id": own} if "connection_id" in row else row
        connection.execute(insert(model.__table__), values)


def _tell_of_logouts(connection: Connection, client_id: str, url: str) -> None:
    table = models.Client.__table__
    logout = {"backchannel_logout_urls": [url]}
    connection.execute(update(table).where(table.c.client_id == client_id).values(oidc_logout=logout))


async def copy_registered(of: Side, to: Side, client_id: str) -> None:
    """A client that registered itself at one tenant, at the other one too: with another registration access token."""

    def find(connection: Connection) -> dict[str, Any]:
        table = models.Client.__table__
        return dict(connection.execute(select(table).where(table.c.client_id == client_id)).one()._mapping)

    def put(connection: Connection) -> None:
        another = {"registration_digest": digest(secrets.token_urlsafe(32))}
        connection.execute(insert(models.Client.__table__), {**row, **another})

    row = await of.tenant.database.read(find)
    await to.tenant.database.write(put)
