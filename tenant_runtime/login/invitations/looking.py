"""What an invitation's pages look at, and what can be said about an invitation that is no question any more."""

from dataclasses import dataclass
from typing import Any

from litestar import Response
from sqlalchemy import Connection, Row, bindparam, select

from core.tenants import Tenant
from tenant_runtime.configuration import Configuration
from tenant_runtime.login.answers import branding_of, redirect, show
from tenant_runtime.login.branding import Branding
from tenant_runtime.login.custom_texts import Speech
from tenant_runtime.login.pages import MessagePage
from tenant_runtime.login.result_urls import is_known, way_back, with_result
from tenant_runtime.login.sessions import load_session
from tenant_runtime.login.texts import Texts
from tenant_runtime.mail.templates import link_options
from tenant_runtime.models import User
from tenant_runtime.organizations.invitations.answering import (
    Person,
    is_recipient,
    needs_verification,
    person_of,
)
from tenant_runtime.organizations.invitations.tickets import ACCEPTED, CANCELED, PENDING, Found, find
from tenant_runtime.organizations.looks import look_in
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions

SCREEN = "invitation"
OVER = 403

_u = User.__table__.c
_NAME = select(_u.name, _u.email).where(_u.user_id == bindparam("user"))


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: the invitation, who is signed in, and whether they belong to the organization already."""

    found: Found | None
    session: Row[Any] | None
    person: Person | None
    is_member: bool
    inviter: str = ""

    @property
    def is_theirs(self) -> bool:
        return self.found is not None and self.person is not None and is_recipient(self.found, self.person)


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is looked at."""

    tenant: Tenant
    current: Configuration
    speech: Speech
    now: int

    @property
    def options(self) -> OrganizationOptions:
        return self.current.documents.value(OPTIONS)

    def branding(self, found: Found | None) -> Branding:
        own = branding_of(self.tenant, self.current.settings)
        look = look_in(found.row) if found is not None else None
        return own if look is None else own.of_organization(look.name, look.branding)

    def texts(self, found: Found | None) -> Texts:
        return self.speech.of(
            SCREEN,
            organization=found.organization_label if found is not None else "",
            email=found.row.email if found is not None else "",
            company=self.branding(None).display_name,
        )


def look(
    connection: Connection, shown: str, session_digest: str | None, now: int, issuer: str, is_proved: bool
) -> Seen:
    found = find(connection, shown, is_proved=is_proved)
    session = load_session(connection, session_digest, now, issuer)
    person = person_of(connection, session.user_id) if session is not None else None
    if found is None:
        return Seen(None, session, person, False)
    row = found.row
    is_member = person is not None and member_of(connection, row.organization_id, person.user_id) is not None
    return Seen(found, session, person, is_member, row.inviter_name or _name_of(connection, row.inviter_id))


def _name_of(connection: Connection, user_id: str | None) -> str:
    if user_id is None:
        return ""
    row = connection.execute(_NAME, {"user": user_id}).one_or_none()
    return str(row.name or row.email or "") if row is not None else ""


def is_unverified(place: Place, seen: Seen) -> bool:
    if seen.found is None or seen.person is None or not seen.is_theirs:
        return False
    return needs_verification(seen.found, seen.person, place.options)


def over(place: Place, seen: Seen) -> Response[str] | None:
    """None: it still is a question."""
    found, texts = seen.found, place.texts(seen.found)
    if found is not None and seen.is_member and (seen.is_theirs or found.row.status == ACCEPTED):
        return _message(place, "invitation_member", found, status=200)
    if found is not None and found.is_live(place.now):
        return None
    page = MessagePage(
        branding=place.branding(None),
        speech=place.speech,
        heading=texts.say("invitation_over_title"),
        text=texts.say(_why_over(found)),
    )
    return show(page, status=OVER)


def _why_over(found: Found | None) -> str:
    if found is None:
        return "invitation_unknown"
    match found.row.status:
        case status if status == PENDING:
            return "invitation_expired"
        case status if status == CANCELED:
            return "invitation_canceled"
    return "invitation_used"


def accepted(place: Place, found: Found) -> Response[str]:
    """The address that the tenant's template names, or a page of ours with the way to the application."""
    options = link_options(place.current, "invitation")
    if options.result_url is not None and is_known(place.current, options.result_url):
        said = place.texts(found).say("invitation_accepted_lead", organization=found.organization_label)
        return redirect(
            with_result(options.result_url, said, found.row.email if options.shows_email else None)
        )
    return _message(place, "invitation_accepted", found, done=True)


def declined(place: Place, found: Found) -> Response[str]:
    return _message(place, "invitation_declined", found, leads_on=False)


def _message(
    place: Place, kind: str, found: Found, *, status: int = 200, done: bool = False, leads_on: bool = True
) -> Response[str]:
    texts, row = place.texts(found), found.row
    organization = {"organization": row.organization_id, "organization_name": row.organization_name}
    page = MessagePage(
        branding=place.branding(found),
        speech=place.speech,
        heading=texts.say(f"{kind}_title"),
        text=texts.say(f"{kind}_lead", organization=found.organization_label),
        link_url=way_back(place.current, row.client_id, organization) if leads_on else None,
        link_label=texts.say("invitation_accepted_link"),
        done=done,
    )
    return show(page, status=status)
