"""What only tenant one has: the operators' roles, the console's client, a machine client, the first operator.

None of it is in the catalogue (`metadata.sync: false`, and platform scopes never travel).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from core.crypto.sealing import DataKey
from core.ids import new_id, new_secret
from provisioning.first_rows import client_row, secret_row
from tenant_runtime.management.permissions import AUDITOR, PLATFORM, READ_ONLY, SUPPORT, TENANT
from tenant_runtime.models import TenantBase

_TABLES = TenantBase.metadata.tables
_SERVERS, _ROLES, _CLIENTS = _TABLES["resource_servers"], _TABLES["roles"], _TABLES["clients"]
_CONNECTIONS, _USERS, _IDENTITIES = _TABLES["connections"], _TABLES["users"], _TABLES["identities"]
_SECRETS = _TABLES["client_secrets"]

TENANT_ADMIN, TENANT_MEMBER, PLATFORM_ADMIN = "Tenant Admin", "Tenant Member", "Platform Admin"
PLATFORM_SUPPORT, PLATFORM_AUDITOR = "Platform Support", "Platform Auditor"
SETUP = "setup"
CONSOLE, MACHINE = "Operator Console", "Platform Machine Client"

ROLES = (
    (TENANT_ADMIN, "Manages one tenant", frozenset(TENANT)),
    (TENANT_MEMBER, "Reads the configuration and people of one tenant", READ_ONLY),
    (PLATFORM_ADMIN, "Runs the installation and every tenant", frozenset(TENANT) | frozenset(PLATFORM)),
    (PLATFORM_SUPPORT, "Reads the installation and every tenant, and no secret", SUPPORT),
    (PLATFORM_AUDITOR, "Reads the log of the control plane, and operations", AUDITOR),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneRows:
    roles: tuple[tuple[dict[str, Any], frozenset[str]], ...]
    console: dict[str, Any]
    machine: dict[str, Any]
    machine_secret: dict[str, Any]
    machine_grant: dict[str, Any]
    signup_enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The first person. `password_hash` was made before: nothing slow happens in a unit."""

    email: str
    password_hash: str


def prepare_control_plane(
    data_key: DataKey,
    *,
    audience: str,
    origin: str,
    now: int,
    callbacks: tuple[str, ...] = (),
    logout_urls: tuple[str, ...] = (),
    signup_enabled: bool = False,
) -> ControlPlaneRows:
    console = client_row(
        CONSOLE,
        now,
        app_type="spa",
        auth_method="none",
        grant_types=["authorization_code", "refresh_token"],
        callbacks=[f"{origin}/console/callback", *callbacks],
        allowed_logout_urls=[f"{origin}/console", *logout_urls],
        web_origins=[origin],
    )
    machine = client_row(MACHINE, now, app_type="non_interactive", grant_types=["client_credentials"])
    return ControlPlaneRows(
        roles=tuple((_role(name, text, now), permissions) for name, text, permissions in ROLES),
        console=console,
        machine=machine,
        machine_secret=secret_row(data_key, machine["client_id"], new_secret(), now),
        machine_grant={
            "id": new_id("cgr"),
            "client_id": machine["client_id"],
            "audience": audience,
            "scope": [*TENANT, *PLATFORM],
            "created_at": now,
            "updated_at": now,
        },
        signup_enabled=signup_enabled,
    )


def _role(name: str, description: str, now: int) -> dict[str, Any]:
    return {
        "id": new_id("rol"),
        "name": name,
        "description": description,
        "metadata": {"sync": False},
        "created_at": now,
        "updated_at": now,
    }


def put_control_plane_rows(connection: Connection, prepared: ControlPlaneRows) -> list[str]:
    """What is missing is made; says in words what it made."""
    made: list[str] = []
    if not _has(connection, _ROLES, PLATFORM_ADMIN):  # the first time: strangers are no operators
        closed = {"key": "signup_enabled", "source": "tenant", "value": prepared.signup_enabled}
        connection.execute(insert(_TABLES["settings"]), closed)
    management = connection.execute(select(_SERVERS.c.id).where(_SERVERS.c.is_management)).scalar_one()
    for role, permissions in prepared.roles:
        if _has(connection, _ROLES, role["name"]):
            continue
        connection.execute(insert(_ROLES), role)
        rows = [
            {"role_id": role["id"], "resource_server_id": management, "permission": value}
            for value in sorted(permissions)
        ]
        connection.execute(insert(_TABLES["role_permissions"]), rows)
        made.append(f"role {role['name']}")
    if not _has(connection, _CLIENTS, CONSOLE):
        connection.execute(insert(_CLIENTS), prepared.console)
        made.append(f"client {CONSOLE}")
    if not _has(connection, _CLIENTS, MACHINE):
        connection.execute(insert(_CLIENTS), prepared.machine)
        connection.execute(insert(_TABLES["client_secrets"]), prepared.machine_secret)
        connection.execute(insert(_TABLES["client_grants"]), prepared.machine_grant)
        made.append(f"client {MACHINE}")
    return made


def _has(connection: Connection, table: Any, name: str) -> bool:
    return connection.execute(select(table.c.name).where(table.c.name == name).limit(1)).first() is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneClients:
    console: str | None
    machine: str | None
    machine_secret: tuple[str, bytes] | None  # row id, sealed


def control_plane_clients(connection: Connection) -> ControlPlaneClients:
    """By the names they were given here; an operator may have renamed or removed them."""
    found = {
        row.name: row.client_id
        for row in connection.execute(
            select(_CLIENTS.c.name, _CLIENTS.c.client_id).where(_CLIENTS.c.name.in_((CONSOLE, MACHINE)))
        )
    }
    secret = connection.execute(
        select(_SECRETS.c.id, _SECRETS.c.sealed).where(_SECRETS.c.client_id == found.get(MACHINE))
    ).first()
    return ControlPlaneClients(
        console=found.get(CONSOLE),
        machine=found.get(MACHINE),
        machine_secret=(secret[0], secret[1]) if secret is not None else None,
    )


def has_operator(connection: Connection) -> bool:
    """Anybody who holds Platform Admin."""
    held = _TABLES["user_roles"]
    statement = (
        select(held.c.user_id)
        .join(_ROLES, _ROLES.c.id == held.c.role_id)
        .where(_ROLES.c.name == PLATFORM_ADMIN)
    )
    return connection.execute(statement.limit(1)).first() is not None


def put_operator(connection: Connection, user_id: str, operator: Operator, *, now: int) -> bool:
    """The first operator only: once somebody holds Platform Admin, people are managed like everywhere else."""
    if has_operator(connection):
        return False
    email = operator.email.lower()
    own = select(_CONNECTIONS.c.id).where(_CONNECTIONS.c.strategy == "auth0").order_by(_CONNECTIONS.c.id)
    connection_id = connection.execute(own.limit(1)).scalar_one()
    connection.execute(
        insert(_USERS),
        {
            "user_id": user_id,
            "email": email,
            "email_verified": True,
            "name": email,
            "nickname": email.partition("@")[0],
            "created_at": now,
            "updated_at": now,
        },
    )
    connection.execute(
        insert(_IDENTITIES),
        {
            "connection_id": connection_id,
            "provider_user_id": user_id.partition("|")[2],
            "user_id": user_id,
            "provider": "auth0",
            "email": email,
        },
    )
    connection.execute(
        insert(_TABLES["passwords"]),
        {"user_id": user_id, "hash": operator.password_hash, "changed_at": now},
    )
    role = connection.execute(select(_ROLES.c.id).where(_ROLES.c.name == PLATFORM_ADMIN)).scalar_one()
    connection.execute(
        insert(_TABLES["user_roles"]), {"user_id": user_id, "role_id": role, "created_at": now}
    )
    return True


def put_setup_ticket(connection: Connection, of: str, *, now: int, expires_at: int) -> None:
    """Whoever follows the link becomes the first operator (`tenant_runtime.login.setup`)."""
    tickets = _TABLES["tickets"]
    role = connection.execute(select(_ROLES.c.id).where(_ROLES.c.name == PLATFORM_ADMIN)).scalar_one()
    connection.execute(delete(tickets).where(tickets.c.kind == SETUP))
    connection.execute(
        insert(tickets),
        {
            "digest": of,
            "kind": SETUP,
            "payload": {"role_id": role},
            "created_at": now,
            "expires_at": expires_at,
        },
    )
