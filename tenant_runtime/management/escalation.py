"""Nobody gives away, or takes, more power over this API than they hold (`specs/bad-inputs.md` 133).

Power here is permissions on the tenant's own Management API, platform permissions included; other APIs are the
tenant's product and are granted freely. Read inside the unit that writes, so no change slips in between.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, exists, or_, select, union_all

from core.errors import Forbidden
from tenant_runtime.management.access import Actor
from tenant_runtime.models import (
    ClientGrant,
    Membership,
    MembershipRole,
    Organization,
    OrganizationClientGrant,
    ResourceServer,
    RolePermission,
    Scope,
    UserPermission,
    UserRole,
)

_server = ResourceServer.__table__.c
_held = RolePermission.__table__.c
_grant = ClientGrant.__table__.c
_own_role, _direct = UserRole.__table__.c, UserPermission.__table__.c
_membership, _member_role = Membership.__table__.c, MembershipRole.__table__.c
_OF_ROLES = (
    select(_held.permission)
    .join(ResourceServer.__table__, _server.id == _held.resource_server_id)
    .where(_server.is_management.is_(True), _held.role_id.in_(bindparam("roles", expanding=True)))
)
_OF_CLIENT = (
    select(_grant.id, _grant.scope, _grant.organization_usage, _grant.allow_any_organization)
    .join(ResourceServer.__table__, _server.identifier == _grant.audience)
    .where(_server.is_management.is_(True), _grant.client_id == bindparam("client"))
)

_of_organization = OrganizationClientGrant.__table__.c
_OPENS_TENANTS = (
    select(_of_organization.organization_id)
    .join(Organization.__table__, Organization.__table__.c.id == _of_organization.organization_id)
    .where(
        _of_organization.client_grant_id == bindparam("grant"),
        Organization.__table__.c.managed_by.is_not(None),
    )
    .limit(1)
)
_PLATFORM_OF_ROLES = (
    select(_held.permission)
    .join(
        Scope.__table__,
        (Scope.__table__.c.resource_server_id == _held.resource_server_id)
        & (Scope.__table__.c.value == _held.permission),
    )
    .where(Scope.__table__.c.is_platform.is_(True), _held.role_id.in_(bindparam("roles", expanding=True)))
)
_PLATFORM_DIRECT = (
    select(_direct.permission)
    .join(
        Scope.__table__,
        (Scope.__table__.c.resource_server_id == _direct.resource_server_id)
        & (Scope.__table__.c.value == _direct.permission),
    )
    .where(Scope.__table__.c.is_platform.is_(True), _direct.user_id == bindparam("user"))
)
_ROLES_OF_USER = select(_own_role.role_id).where(_own_role.user_id == bindparam("user"))
_HOLDS_PLATFORM = select(Scope.__table__.c.value).where(
    Scope.__table__.c.is_platform.is_(True),
    or_(
        exists().where(
            _direct.user_id == bindparam("user"),
            _direct.resource_server_id == Scope.__table__.c.resource_server_id,
            _direct.permission == Scope.__table__.c.value,
        ),
        exists().where(
            _own_role.user_id == bindparam("user"),
            _held.role_id == _own_role.role_id,
            _held.resource_server_id == Scope.__table__.c.resource_server_id,
            _held.permission == Scope.__table__.c.value,
        ),
    ),
)
_IS_TENANT_ONE = select(Scope.__table__.c.value).where(Scope.__table__.c.is_platform.is_(True)).limit(1)
_IS_MEMBER_OF_TENANT = (
    select(_membership.id)
    .join(Organization.__table__, Organization.__table__.c.id == _membership.organization_id)
    .where(_membership.user_id == bindparam("user"), Organization.__table__.c.managed_by.is_not(None))
    .limit(1)
)


def check_not_self(actor: Actor, *user_ids: str) -> None:
    """Whoever may change every tenant anyway may also join one of its organizations."""
    if any(actor.is_user(user_id) for user_id in user_ids) and not actor.holds("update:tenants"):
        raise Forbidden("Nobody may change their own roles, permissions or memberships.")


def check_permissions(actor: Actor, permissions: Iterable[str]) -> None:
    missing = sorted(set(permissions) - actor.permissions)
    if missing:
        shown = ", ".join(missing[:5])
        raise Forbidden(f"Only permissions that one holds can be granted; missing: {shown}.")


def check_roles(connection: Connection, actor: Actor, role_ids: Iterable[str]) -> None:
    """Whether the actor may give these roles to somebody."""
    rows = connection.execute(_OF_ROLES, {"roles": list(role_ids)})
    check_permissions(actor, rows.scalars().all())


def check_platform_roles(connection: Connection, actor: Actor, role_ids: Iterable[str]) -> None:
    """Who runs the platform is settled by those who do: nobody else changes such a role or takes it from anybody."""
    rows = connection.execute(_PLATFORM_OF_ROLES, {"roles": list(role_ids)})
    _check_platform(actor, rows.scalars().all())


def check_platform_permissions(
    connection: Connection, actor: Actor, user_id: str, permissions: Iterable[str]
) -> None:
    """The same of what somebody holds without a role."""
    direct = connection.execute(_PLATFORM_DIRECT, {"user": user_id}).scalars().all()
    _check_platform(actor, set(direct).intersection(permissions))


def check_platform_user(connection: Connection, actor: Actor, user_id: str) -> None:
    role_ids = connection.execute(_ROLES_OF_USER, {"user": user_id}).scalars().all()
    check_platform_roles(connection, actor, role_ids)
    _check_platform(actor, connection.execute(_PLATFORM_DIRECT, {"user": user_id}).scalars().all())


def _check_platform(actor: Actor, permissions: Iterable[str]) -> None:
    if not actor.permissions.issuperset(permissions):
        raise Forbidden(
            "This concerns operators of the platform, and takes the platform permissions they hold."
        )


def platform_permissions_of(connection: Connection, user_id: str) -> frozenset[str]:
    """Held directly or by a role of the user's own: in an organization there are none."""
    return frozenset(connection.execute(_HOLDS_PLATFORM, {"user": user_id}).scalars())


def check_no_operator(connection: Connection, user_id: str) -> None:
    """Whoever runs the platform is nobody else's to be, not even for those who run it too."""
    if platform_permissions_of(connection, user_id):
        raise Forbidden("Nobody acts in the name of an operator of the platform.")


def check_enters_tenants(connection: Connection, actor: Actor) -> None:
    """On tenant one an organization stands for a tenant: who may act in it reaches that tenant, and so is chosen by
    those who may change every tenant anyway. In other tenants organizations open nothing."""
    if not actor.holds("update:tenants") and connection.execute(_IS_TENANT_ONE).first() is not None:
        raise Forbidden("This opens the organizations of tenants, which takes update:tenants.")


def opens_organizations(connection: Connection, grant_id: str, usage: str | None, allow_any: bool) -> bool:
    """Whether a client grant on the Management API is also good for tokens of all organizations, or of one that stands
    for a tenant."""
    if usage not in ("allow", "require"):
        return False
    if allow_any:
        return True
    return connection.execute(_OPENS_TENANTS, {"grant": grant_id}).first() is not None


def check_client(connection: Connection, actor: Actor, client_id: str) -> None:
    """Whether the actor may act as this client: see its secret, or choose a new one."""
    for grant_id, scope, usage, allow_any in connection.execute(_OF_CLIENT, {"client": client_id}).all():
        check_permissions(actor, scope)
        if opens_organizations(connection, grant_id, usage, allow_any):
            check_enters_tenants(connection, actor)


def may_act_as(connection: Connection, actor: Actor, client_id: str) -> bool:
    try:
        check_client(connection, actor, client_id)
    except Forbidden:
        return False
    return True


def check_user(connection: Connection, actor: Actor, user_id: str) -> None:
    """Who gives a user a new password or address could sign in as that user."""
    if actor.is_user(user_id):
        return
    if connection.execute(_IS_MEMBER_OF_TENANT, {"user": user_id}).first() is not None:
        check_enters_tenants(connection, actor)
    check_permissions(actor, _power_of(connection, user_id))


def may_sign_in_as(connection: Connection, permissions: frozenset[str], user_id: str) -> bool:
    """`check_user` of somebody who held these when they asked: what the user was given since counts."""
    if not _power_of(connection, user_id) <= permissions:
        return False
    if "update:tenants" in permissions or connection.execute(_IS_TENANT_ONE).first() is None:
        return True
    return connection.execute(_IS_MEMBER_OF_TENANT, {"user": user_id}).first() is None


def _power_of(connection: Connection, user_id: str) -> set[str]:
    roles = union_all(
        select(_own_role.role_id).where(_own_role.user_id == user_id),
        select(_member_role.role_id)
        .join(Membership.__table__, _membership.id == _member_role.membership_id)
        .where(_membership.user_id == user_id),
    )
    role_ids = connection.execute(roles).scalars().all()
    by_roles = connection.execute(_OF_ROLES, {"roles": list(role_ids)}).scalars().all()
    direct = (
        select(_direct.permission)
        .join(ResourceServer.__table__, _server.id == _direct.resource_server_id)
        .where(_server.is_management.is_(True), _direct.user_id == user_id)
    )
    return {*by_roles, *connection.execute(direct).scalars().all()}
