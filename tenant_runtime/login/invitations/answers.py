"""What a person's button does, as units: who is signed in is asked again in each."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.audit import Event
from tenant_runtime.dependencies import Services
from tenant_runtime.login.email_verification import send_verification
from tenant_runtime.login.invitations.looking import Place
from tenant_runtime.login.sessions import load_session
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.organizations.invitations import answering
from tenant_runtime.organizations.invitations.answering import Acceptance, Accepted, person_of
from tenant_runtime.organizations.invitations.tickets import Found
from tenant_runtime.organizations.options import OrganizationOptions
from tenant_runtime.organizations.wire.errors import ApiError

_FULL = frozenset({"NO_SEATS_LEFT", "ORGANIZATION_MEMBERSHIP_LIMIT_REACHED", "TEAM_MEMBER_LIMIT_REACHED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is fixed before the unit."""

    invitation_id: str
    is_proved: bool
    session_digest: str | None
    issuer: str
    event: Event
    options: OrganizationOptions
    membership_id: str
    default_roles: tuple[str, ...]

    @classmethod
    def of(
        cls, services: Services, place: Place, found: Found, session: str | None, event: Event
    ) -> "Answer":
        is_one = place.tenant.is_control_plane
        return cls(
            invitation_id=found.row.id,
            is_proved=found.proves_address,
            session_digest=session,
            issuer=place.tenant.issuer,
            event=event,
            options=place.options,
            membership_id=new_id("mem"),
            default_roles=services.settings.default_member_roles if is_one else (),
        )


def accept(connection: Connection, answer: Answer) -> Accepted | None:
    """None: nobody is signed in any more."""
    now = answer.event.created_at
    session = load_session(connection, answer.session_digest, now, answer.issuer)
    if session is None:
        return None
    person = person_of(connection, session.user_id)
    found = answering.acceptable(
        connection, answer.invitation_id, person, answer.options, now, is_proved=answer.is_proved
    )
    event = replace(answer.event, type="organization_invitation_accepted")
    how = Acceptance(
        membership_id=answer.membership_id,
        session_id=session.id,
        event=event,
        default_roles=answer.default_roles,
    )
    return answering.accept_found(connection, found, person, how, answer.options)


def decline(connection: Connection, answer: Answer) -> None:
    """Who reads that address's mail may; so may who is signed in with it."""
    event = replace(answer.event, type="organization_invitation_rejected")
    if answer.is_proved:
        answering.decline(connection, answer.invitation_id, event)
        return
    session = load_session(connection, answer.session_digest, event.created_at, answer.issuer)
    if session is not None:
        answering.reject(connection, answer.invitation_id, session.user_id, answer.options, event)


def check(connection: Connection, answer: Answer, user_id: str) -> None:
    """Whether it could be accepted, before anybody else is asked."""
    person, now = person_of(connection, user_id), answer.event.created_at
    answering.acceptable(
        connection, answer.invitation_id, person, answer.options, now, is_proved=answer.is_proved
    )


async def send_proof(services: Services, tenant: Tenant, user_id: str, now: int) -> None:
    await tenant.database.write(send_verification, tenant.data_key, user_id, now)
    services.deliveries.soon(tenant)


def problem_of(error: ApiError) -> ProblemKey:
    if error.code in _FULL:
        return "invitation_full"
    return "invitation_suspended" if error.code == "ORGANIZATION_IS_SUSPENDED" else "invitation_failed"
