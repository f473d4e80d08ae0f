"""From rows to what `flow.next_step` wants to know, in the unit that acts on its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from core.errors import OAuthError
from tenant_runtime.login import consents
from tenant_runtime.login.authorization_requests import Progress
from tenant_runtime.login.flow import Rules, Standing
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest
from tenant_runtime.organizations.membership import MemberOrganization, organizations_of, resolve_organization
from tenant_runtime.organizations.policies import LoggedIn
from tenant_runtime.organizations.rules import OrganizationRules


@dataclass(frozen=True, slots=True)
class Situation:
    """Who is there, where they may act, and what follows for the flow."""

    standing: Standing
    session: Row[Any] | None = None
    organization: MemberOrganization | None = None
    choices: Sequence[MemberOrganization] = ()


def rules_of(request: AcceptedRequest) -> Rules:
    return Rules(
        prompt=request.parameters.prompt,
        max_age=_max_age(request),
        expected_subject=request.expected_subject,
        needs_organization=request.client.organization_usage == "require",
        needs_consent=consents.is_needed(request),
    )


def _max_age(request: AcceptedRequest) -> int | None:
    """As asked for, or as the client registered it (OpenID Connect Dynamic Client Registration 1.0, section 2)."""
    asked = request.parameters.max_age
    return asked if asked is not None else request.client.registration.get("default_max_age")


def situation(
    connection: Connection,
    request: AcceptedRequest,
    session: Row[Any] | None,
    progress: Progress,
    *,
    rules: OrganizationRules,
    now: int,
) -> Situation:
    """A refusal is kept as a value: whether it matters yet is for the flow to say. Names are looked up for a person
    who has signed in, and for nobody else (`specs/tenancy.md` section 7)."""
    if session is None:
        return Situation(Standing(has_refused=progress.has_refused))
    organization: MemberOrganization | None = None
    choices: Sequence[MemberOrganization] = ()
    refusal: OAuthError | None = None
    try:
        organization, choices = _organization(connection, request, session, progress, rules, now)
    except OAuthError as error:
        refusal = error
    organization_id = organization.id if organization else None
    standing = Standing(
        subject=session.user_id,
        authenticated_at=session.authenticated_at,
        is_fresh=progress.session_id == session.id and progress.authenticated_at == session.authenticated_at,
        organization_id=organization_id,
        refusal=refusal,
        has_consented=progress.has_consented,
        has_refused=progress.has_refused,
        is_covered=not refusal and _is_covered(connection, request, session.user_id, organization_id),
    )
    return Situation(standing, session, organization, choices)


def _organization(
    connection: Connection,
    request: AcceptedRequest,
    session: Row[Any],
    progress: Progress,
    rules: OrganizationRules,
    now: int,
) -> tuple[MemberOrganization | None, Sequence[MemberOrganization]]:
    """The one the request names; else the one that the person's address led to; else, where one is required, the chosen
    one or the only one there is."""
    named, login = request.parameters.organization, login_of(session)
    if named is not None:
        return resolve_organization(
            connection, named, user_id=session.user_id, rules=rules, login=login, now=now
        ), ()
    found = _where_led(connection, led_to(request, session, progress), session, rules, now)
    if found is not None or request.client.organization_usage != "require":
        return found, ()
    choices = organizations_of(connection, session.user_id, rules, login, now)
    chosen = next((one for one in choices if one.id == progress.organization_id), None)
    if len(choices) == 1:
        chosen = choices[0]
    if chosen is not None and chosen.unmet is not None:
        raise chosen.unmet
    return chosen, choices


def led_to(request: AcceptedRequest, session: Row[Any], progress: Progress) -> str | None:
    """By the address with which the person has just logged in, and by nobody else's."""
    is_free = request.parameters.organization is None and progress.organization_id is None
    is_theirs = progress.session_id == session.id
    takes_any = request.client.organization_usage != "deny"
    return progress.led_to if is_free and is_theirs and takes_any else None


def _where_led(
    connection: Connection, led: str | None, session: Row[Any], rules: OrganizationRules, now: int
) -> MemberOrganization | None:
    """Nobody asked to go there: who may not act there is not refused."""
    if led is None:
        return None
    try:
        return resolve_organization(
            connection, led, user_id=session.user_id, rules=rules, login=login_of(session), now=now
        )
    except OAuthError:
        return None


def login_of(session: Row[Any]) -> LoggedIn:
    return LoggedIn(session_id=session.id, authenticated_at=session.authenticated_at, amr=tuple(session.amr))


def _is_covered(
    connection: Connection, request: AcceptedRequest, user_id: str, organization_id: str | None
) -> bool:
    if not consents.is_needed(request):
        return True
    return consents.is_covered(connection, consents.Consent.asked(request, user_id, organization_id))
