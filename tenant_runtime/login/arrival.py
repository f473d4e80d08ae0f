"""One arrival at /authorize or /authorize/resume: what is next, and the code if nothing is. One unit of work.

A silent switch of organization is exactly this unit: session, membership, code, event, one commit. Nothing is stored
of a request that asks nothing of the person, and one that is refused leaves everything as it was.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from core.errors import AccessDenied, OAuthError
from tenant_runtime.audit import Event, record
from tenant_runtime.login.authorization_requests import (
    Progress,
    RequestKey,
    complete_request,
    load_request,
    save_progress,
    store_request,
)
from tenant_runtime.login.flow import Step, next_step
from tenant_runtime.login.invitations.arriving import (
    Entry,
    entry_of,
    is_to_be_answered,
    waiting_invitation,
)
from tenant_runtime.login.sessions import Lifetimes, join_session, session_here, touch_session
from tenant_runtime.login.standing import Situation, led_to, login_of, rules_of, situation
from tenant_runtime.login.sweeping import SWEEP_WHEN, sweep
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest
from tenant_runtime.oauth.authorization.codes import NewCode, issue_code
from tenant_runtime.oauth.authorization.parameters import PUSHED
from tenant_runtime.oauth.authorization.pushed_requests import claim_pushed
from tenant_runtime.organizations.invitations.tickets import Found
from tenant_runtime.organizations.joining.at_login import WayIn, join_at_login
from tenant_runtime.organizations.joining.doors import Newcomer, door_of
from tenant_runtime.organizations.members import member_of
from tenant_runtime.organizations.membership import NotAMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What is fixed before the unit runs. `is_new`: the request is not stored yet."""

    request: AcceptedRequest
    parameters: Mapping[str, str]
    key: RequestKey
    is_new: bool
    session_digest: str | None
    code: NewCode
    event: Event
    now: int
    lifetimes: Lifetimes
    way_in: WayIn


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next step; or the error that ends the request. What is over by then is kept as over. `entry`: for whom the
    log-in is."""

    step: Step | None
    error: OAuthError | None = None
    entry: Entry | None = None


def arrive(connection: Connection, arrival: Arrival) -> Outcome:
    stored = Progress() if arrival.is_new else load_request(connection, arrival.key, arrival.now).progress
    client_id, issuer = arrival.request.client.client_id, arrival.key.issuer
    session = session_here(connection, arrival.session_digest, arrival.now, issuer, client_id=client_id)
    entry: Entry | None = None
    try:
        invited = _invitation(connection, arrival, session, stored)
        step, found = _next(connection, arrival, session, stored, invited)
        if step is Step.DONE and (pushed := arrival.parameters.get(PUSHED)) is not None:
            claim_pushed(connection, pushed, arrival.now)
    except OAuthError as error:
        if not arrival.is_new:
            complete_request(connection, arrival.key.digest, arrival.now)
        return Outcome(None, error)
    if step is Step.DONE:
        _finish(connection, arrival, found)
    elif arrival.is_new:
        entry = entry_of(connection, arrival.request, invited) if invited is not None else None
        kept = {**arrival.parameters, **(entry.parameters if entry is not None else {})}
        store_request(connection, arrival.key, client_id, kept, arrival.now)
        if entry is not None:
            save_progress(connection, arrival.key.digest, Progress(identifier=entry.email))
    if arrival.is_new and arrival.code.digest.startswith(SWEEP_WHEN):
        sweep(connection, arrival.now)
    return Outcome(step, entry=entry)


def _invitation(
    connection: Connection, arrival: Arrival, session: Row[Any] | None, stored: Progress
) -> Found | None:
    """Who has said no already is not asked again."""
    if stored.has_refused:
        return None
    rules, is_new = arrival.way_in.rules, arrival.is_new
    return waiting_invitation(connection, arrival.request, session, rules, arrival.now, is_new=is_new)


def _next(
    connection: Connection,
    arrival: Arrival,
    session: Row[Any] | None,
    stored: Progress,
    invited: Found | None,
) -> tuple[Step, Situation]:
    """Who would be refused as a stranger to the organization, and logs in by a connection that brings membership, is no
    stranger any more; others may ask to be let in."""
    rules, request, now = rules_of(arrival.request), arrival.request, arrival.now
    _join_where_led(connection, arrival, session, stored)
    found = situation(connection, request, session, stored, rules=arrival.way_in.rules, now=now)
    if is_to_be_answered(connection, invited, session):
        return next_step(rules, replace(found.standing, is_invited=True), now), found
    try:
        return next_step(rules, found.standing, now), found
    except NotAMember:
        named = request.parameters.organization
        if session is None or named is None or stored.has_refused:
            raise
        if not _join(connection, arrival, named, session):
            if arrival.way_in.post is None:
                raise
            may_ask = door_of(connection, named, _newcomer(arrival, session)) is not None
            return next_step(rules, replace(found.standing, may_ask=may_ask), now), found
    found = situation(connection, request, session, stored, rules=arrival.way_in.rules, now=now)
    return next_step(rules, found.standing, now), found


def _join_where_led(
    connection: Connection, arrival: Arrival, session: Row[Any] | None, stored: Progress
) -> None:
    """Nobody asked to go there: where there is no room, they go on without."""
    led = led_to(arrival.request, session, stored) if session is not None else None
    if session is None or led is None or member_of(connection, led, session.user_id) is not None:
        return
    with suppress(AccessDenied):
        _join(connection, replace(arrival, way_in=replace(arrival.way_in, post=None)), led, session)


def _join(connection: Connection, arrival: Arrival, named: str, session: Row[Any]) -> bool:
    way = replace(arrival.way_in, joined=replace(arrival.way_in.joined, user_name=session.email))
    return join_at_login(connection, way, named, session.user_id, login_of(session))


def _newcomer(arrival: Arrival, session: Row[Any]) -> Newcomer:
    way = arrival.way_in
    return Newcomer(user_id=session.user_id, data_key=way.data_key, rules=way.rules, now=arrival.now)


def _finish(connection: Connection, arrival: Arrival, found: Situation) -> None:
    session, organization = found.session, found.organization
    assert session is not None
    if not arrival.is_new:
        complete_request(connection, arrival.key.digest, arrival.now)
    organization_id = organization.id if organization else None
    issue_code(connection, arrival.code, arrival.request, session, organization_id, arrival.now)
    join_session(connection, session, arrival.request.client.client_id)
    touch_session(connection, session, arrival.now, arrival.lifetimes)
    if arrival.request.parameters.is_silent:
        who, name = session.user_id, session.email
        event = replace(arrival.event, user_id=who, user_name=name, organization_id=organization_id)
        record(connection, event)
