"""Tenants side by side, with callers who each hold a real token."""

import io
import logging
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

import httpx
import pytest
import structlog
from structlog._config import BoundLoggerLazyProxy

from core.logs import configure_logs
from tests.installation import Installation
from tests.isolation.organization_standing import Standing, standing
from tests.operators import Caller, give_roles, machine_token, make_user, operator_token, token_of

CONTROL_PLANE, A, B = "control_plane", "acme", "globex"


@dataclass(frozen=True)
class Neighbours:
    """Tenants A and B, and who may call what."""

    installation: Installation
    callers: dict[str, Caller] = field(default_factory=dict)

    @property
    def http(self) -> httpx.AsyncClient:
        return self.installation.http

    def issuer(self, tenant_id: str) -> str:
        if tenant_id == CONTROL_PLANE:
            return self.installation.demo.control_plane.issuer
        return self.installation.tenant(tenant_id).issuer

    @property
    def platform(self) -> Caller:
        return self.callers["platform machine"]

    async def made(self, tenant_id: str, path: str, body: object) -> dict[str, str]:
        answer = await self.platform.call("POST", f"{self.issuer(tenant_id)}api/v2{path}", body)
        assert answer.status_code in (200, 201), answer.text
        value: dict[str, str] = answer.json()
        return value


async def neighbours_of(installation: Installation) -> Neighbours:
    found = Neighbours(installation)
    plane = installation.demo.control_plane
    token = await machine_token(
        installation.http, plane.issuer, plane.clients["m2m"], plane.management_audience
    )
    found.callers["platform machine"] = Caller(installation.http, token)
    await _people_of_tenant_one(found)
    for tenant_id, letter in ((A, "A"), (B, "B")):
        await _those_of(found, tenant_id, letter)
    return found


async def _people_of_tenant_one(found: Neighbours) -> None:
    installation, issuer = found.installation, found.issuer(CONTROL_PLANE)
    token = str(found.platform.token)
    person_id, person = await make_user(installation, issuer, token)
    await give_roles(installation, issuer, token, person_id, ["Tenant Admin"])
    found.callers["person"] = Caller(found.http, await operator_token(installation, person))
    member_id, member = await make_user(installation, issuer, token)
    tenant = (await found.platform.call("GET", f"{issuer}api/v2/tenants/{A}")).json()
    members = f"{issuer}api/v2/organizations/{tenant['organization_id']}/members"
    await found.platform.call("POST", members, {"members": [member_id]})
    roles = (await found.platform.call("GET", f"{issuer}api/v2/roles", per_page=100)).json()
    admin = next(role["id"] for role in roles if role["name"] == "Tenant Admin")
    await found.platform.call("POST", f"{members}/{member_id}/roles", {"roles": [admin]})
    bound = await operator_token(installation, member, tenant["organization_id"])
    found.callers["person with organization A"] = Caller(found.http, bound)


async def _those_of(found: Neighbours, tenant_id: str, letter: str) -> None:
    """A machine, and a user who may manage everything there."""
    installation, tenant = found.installation, found.installation.tenant(tenant_id)
    machine = await machine_token(
        found.http, tenant.issuer, tenant.clients["m2m"], tenant.management_audience
    )
    found.callers[f"{letter}'s machine"] = Caller(found.http, machine)
    own = f"{tenant.issuer}api/v2"
    servers = (await found.platform.call("GET", f"{own}/resource-servers", per_page=100)).json()
    management = next(item for item in servers if item["identifier"] == tenant.management_audience)
    role = await found.made(tenant_id, "/roles", {"name": f"Everything {secrets.token_hex(3)}"})
    permissions = [
        {"resource_server_identifier": tenant.management_audience, "permission_name": scope["value"]}
        for scope in management["scopes"]
    ]
    await found.platform.call("POST", f"{own}/roles/{role['id']}/permissions", {"permissions": permissions})
    user_id, user = await make_user(installation, tenant.issuer, machine)
    await found.platform.call("POST", f"{own}/users/{user_id}/roles", {"roles": [role["id"]]})
    token = await token_of(
        installation, tenant.issuer, tenant.clients["web"], tenant.management_audience, user
    )
    found.callers[f"{letter}'s user"] = Caller(found.http, token)


@pytest.fixture(scope="module")
async def neighbours(shared: Installation) -> Neighbours:
    return await neighbours_of(shared)


@pytest.fixture(scope="module")
async def own(shared: Installation) -> Standing:
    return await standing(shared, A, "own")


@pytest.fixture(scope="module")
async def other(shared: Installation) -> Standing:
    """Another organization of the same tenant."""
    return await standing(shared, A, "other")


@pytest.fixture(scope="module")
async def neighbour(shared: Installation) -> Standing:
    return await standing(shared, B, "neighbour")


def _loggers() -> Iterator[BoundLoggerLazyProxy]:
    for module in [module for module in sys.modules.values() if isinstance(module, ModuleType)]:
        yield from (value for value in vars(module).values() if isinstance(value, BoundLoggerLazyProxy))


def _forget_where_to() -> None:
    """Loggers that have been used keep their stream."""
    for logger in _loggers():
        vars(logger).pop("bind", None)


@pytest.fixture(scope="module")
def log() -> Iterator[io.BytesIO]:
    """Everything that the process says, down to the last detail."""
    root = logging.getLogger()
    before, level, settings = root.handlers[:], root.level, structlog.get_config()
    stream = io.BytesIO()
    configure_logs("debug", stream)
    _forget_where_to()
    yield stream
    structlog.configure(**settings)
    _forget_where_to()
    root.handlers[:] = before
    root.setLevel(level)
