"""The installation's own code is asked before somebody answers an invitation, and told after."""

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import Connection

from core.tenants import Tenant
from tenant_runtime.organizations.hooks import Hooks
from tenant_runtime.organizations.invitations import shapes
from tenant_runtime.organizations.invitations.answering import Accepted
from tenant_runtime.organizations.invitations.tickets import find
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.people.shapes import newcomer_shown

Answering = Literal["accept_invitation", "reject_invitation", "cancel_invitation"]


async def about(
    hooks: Hooks, tenant: Tenant, action: Answering, shown: str, options: OrganizationOptions
) -> dict[str, Any]:
    """Which invitation it is; nothing where nobody is asked."""
    if not hooks.has_before(action):
        return {}
    found = await tenant.database.read(find, shown)
    if found is None:
        return {}
    return {
        "organization_id": found.row.organization_id,
        "invitation": shapes.invitation(found.row, options),
    }


async def ask(
    hooks: Hooks,
    tenant: Tenant,
    action: Answering,
    shown: str,
    options: OrganizationOptions,
    user_id: str | None,
    check: Callable[[Connection], Any] | None = None,
) -> None:
    """From a page. `check` is what is asked of the rows: nobody is asked about what is not allowed at all."""
    if not hooks.has_before(action):
        return
    if check is not None:
        await tenant.database.read(check)
    more = await about(hooks, tenant, action, shown, options)
    await hooks.before(action, {}, {"tenant": tenant.id, "user_id": user_id, **more})


async def tell_of_acceptance(
    hooks: Hooks, tenant: Tenant, accepted: Accepted, options: OrganizationOptions
) -> None:
    told = {
        "tenant": tenant.id,
        "user_id": accepted.member.user_id,
        "organization_id": accepted.row.organization_id,
        "invitation": shapes.invitation(accepted.row, options),
        "member": newcomer_shown(accepted.member, options.fields("member")),
    }
    await hooks.after("accept_invitation", told)
