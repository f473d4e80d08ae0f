"""Who acts in an organization, and whether they may: asked in the unit that acts, each time."""

from dataclasses import dataclass

from sqlalchemy import Connection

from tenant_runtime.organizations.access import Permissions
from tenant_runtime.organizations.members import Member, may, member_of
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.policies import Unmet, unmet_by_session
from tenant_runtime.organizations.wire.errors import ApiError, refusal
from tenant_runtime.organizations.wire.sessions import ApiSession

POLICY_NOT_MET = "ORGANIZATION_POLICY_NOT_MET"


@dataclass(frozen=True, slots=True)
class Acting:
    """A user, under the tenant's options, now."""

    user_id: str
    options: OrganizationOptions
    now: int
    session_id: str | None = None
    """Of the browser's session behind it; None where it is not one (`check_log_in`)."""


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
    check_log_in(connection, acting, organization_id)
    if not may(connection, member, acting.options, asked):
        raise otherwise
    return member


def check_log_in(connection: Connection, acting: Acting, organization_id: str) -> None:
    """What the organization asks of log-ins holds for whoever acts in it, not only for what is issued."""
    if not acting.session_id:
        return
    refused = unmet_by_session(connection, organization_id, acting.session_id, acting.user_id, acting.now)
    if refused is not None:
        raise policy_not_met(refused)


def policy_not_met(refused: Unmet) -> ApiError:
    return refusal(403, POLICY_NOT_MET, refused.description)
