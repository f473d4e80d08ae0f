"""Who acts in an organization, and whether they may: asked in the unit that acts, each time."""

from dataclasses import dataclass

from sqlalchemy import Connection

from tenant_runtime.organizations.access import Permissions
from tenant_runtime.organizations.members import Member, may, member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.policies import Suspended, refused_in
from tenant_runtime.organizations.policies.terms import SUSPENDED
from tenant_runtime.organizations.wire.errors import ApiError, refusal
from tenant_runtime.organizations.wire.sessions import ApiSession

POLICY_NOT_MET, IS_SUSPENDED = "ORGANIZATION_POLICY_NOT_MET", "ORGANIZATION_IS_SUSPENDED"
OF_STANDING = (POLICY_NOT_MET, IS_SUSPENDED)
"""Of a member, who stays one."""


@dataclass(frozen=True, slots=True)
class Acting:
    """A user, under the tenant's options, now."""

    user_id: str
    options: OrganizationOptions
    now: int
    session_id: str | None = None
    """Of the browser's session behind it; none, or empty, where it is not one (a program's call in the process)."""

    @property
    def log_in(self) -> str | None:
        """The session whose log-in is held against what an organization asks."""
        return self.session_id or None


def chosen_organization(session: ApiSession, named: str | None) -> str:
    """The one that is named, or the one that the session is in the middle of."""
    organization_id = named or session.active_organization_id
    if not organization_id:
        raise refusal(400, "NO_ACTIVE_ORGANIZATION")
    return organization_id


def acting_member(
    connection: Connection,
    acting: Acting,
    organization_id: str,
    asked: Permissions,
    *,
    stranger: ApiError,
    otherwise: ApiError,
) -> Member:
    """`stranger` is raised for who is no member, `otherwise` for one who lacks a permission."""
    member = member_of(connection, organization_id, acting.user_id)
    if member is None:
        raise stranger
    check_standing(connection, acting, organization_id)
    if not may(connection, member, acting.options, asked):
        raise otherwise
    return member


def check_standing(connection: Connection, acting: Acting, organization_id: str) -> None:
    """Of a member: a suspended organization takes nobody, and what it asks of log-ins holds for whoever reads or acts
    in it, not only for what is issued."""
    match refused_in(connection, organization_id, acting.log_in, acting.user_id, acting.now):
        case None:
            return
        case Suspended():
            raise suspended()
        case refused:
            raise refusal(403, POLICY_NOT_MET, refused.description)


def suspended() -> ApiError:
    return refusal(403, IS_SUSPENDED, SUSPENDED)
