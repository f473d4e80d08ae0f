"""The writer hook: what the database itself does on every write, whoever writes.

Triggers, because nothing gets past them: ORM flushes, Core statements, bulk updates, imports and raw text in any
process. They (a) raise `tenant.config_version` with every write to a configuration entity, in the same transaction,
(b) refuse writes to system entities and tenant organizations unless the transaction is one of converge
(`tenant.converging` = 1); the refusal's text is turned into `core.errors.ManagedByControlPlane` by the lane; and (c)
keep in the row of a membership what is repeated there of its roles.

They are made anew after every migration (`migrations.upgrade`), so changing the lists below needs a new revision.
"""

from collections.abc import Iterator

from core.database.triggers import Following, Refusing, Trigger
from tenant_runtime.models import telling
from tenant_runtime.models.telling import WITHIN_ORGANIZATIONS

CONFIGURATION = (
    "client_grants",
    "client_keys",
    "client_secrets",
    "clients",
    "connection_clients",
    "connections",
    "resource_servers",
    "role_permissions",
    "roles",
    "scopes",
    "settings",
    "signing_keys",
)

# table -> (kind named in the refusal, condition on a row by which it is a system entity's)
SYSTEM = {
    "resource_servers": ("resource_server", "{row}.is_system"),
    "roles": ("role", "{row}.is_system"),
    "connections": ("connection", "{row}.is_system"),
    "scopes": (
        "resource_server",
        "(SELECT is_system FROM resource_servers WHERE id = {row}.resource_server_id)",
    ),
    "role_permissions": ("role", "(SELECT is_system FROM roles WHERE id = {row}.role_id)"),
    "settings": ("setting", "{row}.source = 'control_plane'"),
}

_ROWS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
_OUTSIDE_CONVERGE = "(SELECT converging FROM tenant) = 0"


def all_triggers() -> Iterator[Trigger]:
    for table in CONFIGURATION:
        for event in _ROWS:
            yield Following(
                name=f"{table}_{event.lower()}_version",
                event=event,
                table=table,
                statement="UPDATE tenant SET config_version = config_version + 1",
            )
    for table, (kind, condition) in SYSTEM.items():
        for event, rows in _ROWS.items():
            is_system = " OR ".join(condition.format(row=row) for row in rows)
            yield _refusal(
                f"{table}_{event.lower()}_system", event, table, is_system, f"managed_by_control_plane:{kind}"
            )
    yield from _tenant_organizations()
    yield from _repeated_roles()
    yield from telling.all_triggers()
    yield _refusal(
        "tenant_update_identity",
        "UPDATE OF id, incarnation",
        "tenant",
        "true",
        "managed_by_control_plane:tenant",
    )


def _tenant_organizations() -> Iterator[Trigger]:
    """Name and existence of a tenant organization follow its tenant (`specs/tenancy.md` section 2)."""
    fields = "id, name, display_name, managed_by"
    for name, event, row in (
        ("insert", "INSERT", "NEW"),
        ("update", f"UPDATE OF {fields}", "OLD"),
        ("adopt", "UPDATE OF managed_by", "NEW"),
        ("delete", "DELETE", "OLD"),
    ):
        yield _refusal(
            f"organizations_{name}_managed",
            event,
            "organizations",
            f"{row}.managed_by IS NOT NULL",
            "managed_by_tenant",
        )


def _repeated_roles() -> Iterator[Trigger]:
    """A membership that goes takes its roles along, and is not there to be written any more."""
    table = "membership_organization_roles"
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        held = f"SELECT role FROM {table} WHERE membership_id = {row}.membership_id ORDER BY role"
        role = f"COALESCE((SELECT joined(role, ',') FROM ({held}) AS held), 'member')"
        yield Following(
            name=f"{table}_{event.lower()}_repeated",
            event=event,
            table=table,
            statement=f"UPDATE memberships SET role = {role} WHERE id = {row}.membership_id AND role <> {role}",
            since=WITHIN_ORGANIZATIONS,
        )


def _refusal(name: str, event: str, table: str, condition: str, message: str) -> Trigger:
    return Refusing(
        name=name,
        event=event,
        table=table,
        condition=f"({condition}) AND {_OUTSIDE_CONVERGE}",
        message=message,
    )
