"""What somebody decided about a device, written once: of two answers to one code the first counts.

Everything is looked at again in the unit that decides: who is signed in, in which organization they may act, and
whether the device still waits.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from core.errors import InvalidRequest
from tenant_runtime.audit import Event, record
from tenant_runtime.expiry import is_current
from tenant_runtime.login.authorization_requests import complete_request, load_request
from tenant_runtime.login.consents import Consent, is_needed, remember_consent
from tenant_runtime.login.devices.requests import MARKER
from tenant_runtime.login.flow import Step, next_step
from tenant_runtime.login.sessions import Lifetimes, load_session, session_here, touch_session
from tenant_runtime.login.standing import rules_of, situation
from tenant_runtime.login.steps import StepVisit
from tenant_runtime.models import DeviceCode
from tenant_runtime.oauth.authorization.acr import acr_of

APPROVED = "sdeac"
DENIED = "fdecc"

_c = DeviceCode.__table__.c
_is_waiting = (
    _c.digest == bindparam("device"),
    _c.client_id == bindparam("client"),
    _c.issuer == bindparam("of"),
    is_current(DeviceCode.__table__),
    _c.is_approved.is_(None),
)
_FIND = select(_c.digest).where(*_is_waiting)
_DECIDED = (
    "is_approved",
    "user_id",
    "session_id",
    "organization_id",
    "acr",
    "amr",
    "authenticated_at",
)
MISSING = (Step.LOG_IN, Step.LOG_IN_AGAIN, Step.CHOOSE_ORGANIZATION)
"""What a person does before they are asked."""

_DECIDE = (
    update(DeviceCode.__table__)
    .where(*_is_waiting)
    .values({name: bindparam(f"new_{name}") for name in _DECIDED})
)


class DeviceGone(InvalidRequest):
    """Shown to the person; the device is told by its next poll."""

    description = (
        "This code has expired, or it was already decided about. Start again on your device to get a new one."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is fixed before the unit."""

    visit: StepVisit
    grant_id: str
    event: Event
    lifetimes: Lifetimes


def find_waiting(connection: Connection, visit: StepVisit) -> Row[Any] | None:
    return connection.execute(_FIND, _key(visit)).one_or_none()


def approve(connection: Connection, decision: Decision) -> Step | None:
    """The step that is missing, or None when the device may go on."""
    visit, now = decision.visit, decision.visit.now
    client_id, issuer = visit.request.client.client_id, visit.key.issuer
    progress = load_request(connection, visit.key, now).progress
    session = session_here(connection, visit.browser.session_digest, now, issuer, client_id=client_id)
    rules = visit.organization_rules
    found = situation(connection, visit.request, session, progress, rules=rules, now=now)
    step = next_step(rules_of(visit.request), found.standing, now)
    if step in MISSING:
        return step
    assert session is not None
    organization_id = found.organization.id if found.organization else None
    _decide(connection, decision, True, session, organization_id)
    if is_needed(visit.request):
        asked = Consent.asked(visit.request, session.user_id, organization_id)
        remember_consent(connection, asked, decision.grant_id, now)
    touch_session(connection, session, now, decision.lifetimes)
    return None


def deny(connection: Connection, decision: Decision) -> Step | None:
    visit = decision.visit
    load_request(connection, visit.key, visit.now)
    session = load_session(connection, visit.browser.session_digest, visit.now, visit.key.issuer)
    _decide(connection, decision, False, session, None)
    return None


def _decide(
    connection: Connection,
    decision: Decision,
    is_approved: bool,
    session: Row[Any] | None,
    organization_id: str | None,
) -> None:
    """Claimed, not looked up."""
    visit = decision.visit
    complete_request(connection, visit.key.digest, visit.now)
    values = {
        "is_approved": is_approved,
        "user_id": session.user_id if session else None,
        "session_id": session.id if session else None,
        "organization_id": organization_id,
        "acr": acr_of(session.amr) if session else None,
        "amr": session.amr if session else [],
        "authenticated_at": session.authenticated_at if session else None,
    }
    new = {f"new_{name}": value for name, value in values.items()}
    if connection.execute(_DECIDE, _key(visit) | new).rowcount != 1:
        raise DeviceGone()
    who = {"user_id": session.user_id, "user_name": session.email} if session else {}
    kind = APPROVED if is_approved else DENIED
    record(connection, replace(decision.event, type=kind, organization_id=organization_id, **who))


def _key(visit: StepVisit) -> dict[str, Any]:
    return {
        "device": visit.parameters.get(MARKER, ""),
        "client": visit.request.client.client_id,
        "of": visit.key.issuer,
        "now": visit.now,
    }
