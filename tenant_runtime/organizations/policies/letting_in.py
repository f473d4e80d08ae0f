"""Nobody gives what they do not hold, to people yet to come either: whoever opens a way into an organization, or lets
somebody in by it, gives the role that people have who come by it."""

from sqlalchemy import Connection

from tenant_runtime.organizations.access import GUEST, MEMBER, OWNER, missing, of_roles
from tenant_runtime.organizations.members import Member, defined_roles
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.errors import refusal

_OF_STRANGERS = (MEMBER, GUEST)
"""What anybody becomes who is let in at all."""

MAY_NOT_UPDATE = "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"


def check_may_let_in(
    connection: Connection,
    member: Member,
    role: str,
    options: OrganizationOptions,
    *,
    otherwise: str = MAY_NOT_UPDATE,
) -> None:
    if OWNER in member.roles or role in _OF_STRANGERS:
        return
    stored = defined_roles(connection, member.organization_id)
    held, [given] = of_roles(member.roles, options, stored), of_roles([role], options, stored)
    lacking = missing(held, {resource: sorted(actions) for resource, actions in given.items()})
    if lacking:
        raise refusal(403, otherwise, extra={"missingPermissions": sorted(lacking)})
