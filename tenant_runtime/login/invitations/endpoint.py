"""The link of an invitation, opened in any browser, and the same question inside a sign-in.

`/u/invitation` is found by what its link holds; `/u/invitation/answer` is a step of a request, that of an application
or one that the first page began. Both look the same, and both act on a POST of their own form only
(`specs/bad-inputs.md` 104).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from litestar import Request, Response, get, post

from core.clock import now_ms
from core.errors import RateLimited, TenantSuspended
from core.ids import digest, new_secret
from core.tenants import TenantState
from tenant_runtime.audit import Event
from tenant_runtime.configuration import configuration
from tenant_runtime.dependencies import Services, client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.accounts import find_account
from tenant_runtime.login.answers import redirect, show, speech_of
from tenant_runtime.login.authorization_requests import RequestKey, complete_request, refuse_request
from tenant_runtime.login.cookies import Browser, binding_cookie, browser_of, new_binding
from tenant_runtime.login.forms import FORM_LIMIT, check_token, form_token, submitted
from tenant_runtime.login.invitations import answers
from tenant_runtime.login.invitations.answers import Answer
from tenant_runtime.login.invitations.looking import (
    Place,
    Seen,
    accepted,
    declined,
    is_unverified,
    look,
    over,
)
from tenant_runtime.login.invitations.pages import InvitationPage
from tenant_runtime.login.invitations.requests import (
    accept_invitation_request,
    begin,
    is_of_invitation,
    parameters_of,
)
from tenant_runtime.login.steps import (
    IDENTIFIER,
    INVITATION,
    PASSWORD,
    RESUME,
    SIGNUP,
    StepVisit,
    at,
    opened,
    posted,
)
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.oauth.body import parse_form
from tenant_runtime.organizations.invitations.asking import ask, tell_of_acceptance
from tenant_runtime.organizations.invitations.letters import PATH
from tenant_runtime.organizations.invitations.tickets import Found
from tenant_runtime.organizations.wire.errors import ApiError

AnyRequest = Request[Any, Any, Any]
LONGEST_TICKET = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A look at an invitation by one browser. `state` comes back with the form: the link's secret, or the request's."""

    place: Place
    services: Services
    browser: Browser
    binding: str
    seen: Seen
    path: str
    state: str
    event: Event

    def answer_of(self, found: Found) -> Answer:
        return Answer.of(self.services, self.place, found, self.browser.session_digest, self.event)


# --- The link ------------------------------------------------------------------------------------------------------


@get(PATH, include_in_schema=False)
async def invitation_page(request: AnyRequest) -> Response[str]:
    """Changes nothing, however often it is fetched."""
    ticket = parse_form(request.scope["query_string"]).get("ticket", "")
    return _shown(await _asked(request, ticket))


@post(PATH, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def answer_invitation(request: AnyRequest) -> Response[str]:
    tenant = tenant_of(request)
    fields = await submitted(request, tenant)
    ticket = fields.get("state", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, PATH, ticket)
    asked = await _asked(request, ticket)
    if (page := over(asked.place, asked.seen)) is not None:
        return page
    found, seen, decision = asked.seen.found, asked.seen, fields.get("decision")
    assert found is not None
    if decision == "switch" or (decision == "accept" and not seen.is_theirs):
        return await _log_in_first(asked, found)
    if decision == "decline" and (found.proves_address or seen.is_theirs):
        return await _decline(asked, found)
    return await _acted(asked, found, decision) or accepted(asked.place, found)


async def _log_in_first(asked: Asked, found: Found) -> Response[str]:
    """To the form that fits; only who reads that address's mail is told whether it has an account."""
    place, state = asked.place, new_secret()
    key = RequestKey(digest(state), asked.browser.binding_digest or "", place.tenant.issuer)
    parameters, email = parameters_of(found, place.current), found.row.email
    await place.tenant.database.write(begin, key, parameters, email, place.now)
    if not found.proves_address:
        return redirect(at(IDENTIFIER, state))
    request = accept_invitation_request(parameters, place.current, place.tenant.issuer)
    account = await place.tenant.database.read(find_account, request.connection.id, email)
    return redirect(at(SIGNUP if account is None else PASSWORD, state))


async def _asked(request: AnyRequest, ticket: str) -> Asked:
    tenant, services = tenant_of(request), services_of(request)
    if tenant.state is TenantState.SUSPENDED:
        raise TenantSuspended()
    browser, current = browser_of(request.scope["headers"], tenant.issuer), await configuration(tenant)
    now, seen = now_ms(services.clock), Seen(None, None, None, False)
    if current.has_organization_api and 0 < len(ticket) <= LONGEST_TICKET:
        digest_, issuer = browser.session_digest, tenant.issuer
        seen = await tenant.database.read(look, ticket, digest_, now, issuer, is_proved=False)
    return Asked(
        place=Place(tenant, current, speech_of(request, current), now),
        services=services,
        browser=browser,
        binding=browser.binding or new_binding(),
        seen=seen,
        path=PATH,
        state=ticket,
        event=_event(request, now),
    )


def _event(request: AnyRequest, now: int) -> Event:
    return Event(
        type="organization_invitation_accepted",
        created_at=now,
        description="An invitation was answered on its page.",
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
    )


# --- Inside a sign-in ----------------------------------------------------------------------------------------------


@get(INVITATION, include_in_schema=False)
async def answer_page(request: AnyRequest) -> Response[str]:
    """Where the steps of the login come back to, too."""
    visit = await opened(request, INVITATION)
    asked = await _asked_in(visit)
    if asked.seen.session is None:
        return visit.go(IDENTIFIER)
    return _gone_on(visit, asked) or _shown(asked, visit)


@post(INVITATION, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def answer_in_flow(request: AnyRequest) -> Response[str]:
    visit = await posted(request, INVITATION)
    asked = await _asked_in(visit)
    found, decision = asked.seen.found, visit.fields.get("decision")
    if asked.seen.session is None or decision == "switch":
        return visit.go(IDENTIFIER)
    if (page := _gone_on(visit, asked) or over(asked.place, asked.seen)) is not None:
        return page
    assert found is not None
    if decision == "decline" and (found.proves_address or asked.seen.is_theirs):
        return await _decline_in(visit, asked, found)
    page = await _acted(asked, found, decision, visit)
    if page is not None:
        return page
    return await _done(visit, asked, found) if is_of_invitation(visit.parameters) else visit.go(RESUME)


def _gone_on(visit: StepVisit, asked: Asked) -> Response[str] | None:
    """Where it was answered in this very request: the login's unit did."""
    found, session = asked.seen.found, asked.seen.session
    if found is None or session is None or found.row.accepted_by != session.user_id:
        return None
    return accepted(asked.place, found) if is_of_invitation(visit.parameters) else visit.go(RESUME)


async def _decline_in(visit: StepVisit, asked: Asked, found: Found) -> Response[str]:
    page = await _decline(asked, found)
    if is_of_invitation(visit.parameters):
        return page
    await visit.tenant.database.write(refuse_request, visit.key, visit.now)
    return visit.go(RESUME)


async def _done(visit: StepVisit, asked: Asked, found: Found) -> Response[str]:
    await visit.tenant.database.write(complete_request, visit.key.digest, visit.now)
    return accepted(asked.place, found)


async def _asked_in(visit: StepVisit) -> Asked:
    found, digest_ = visit.invitation, visit.browser.session_digest
    shown, is_proved = (found.row.id, found.proves_address) if found is not None else ("", False)
    tenant = visit.tenant
    seen = await tenant.database.read(look, shown, digest_, visit.now, tenant.issuer, is_proved=is_proved)
    return Asked(
        place=Place(tenant, visit.configuration, visit.speech, visit.now),
        services=visit.services,
        browser=visit.browser,
        binding=visit.browser.binding or "",
        seen=seen,
        path=INVITATION,
        state=visit.state,
        event=visit.event("organization_invitation_accepted", "An invitation was answered on its page."),
    )


handlers = [invitation_page, answer_invitation, answer_page, answer_in_flow]


# --- Both ----------------------------------------------------------------------------------------------------------


async def _acted(
    asked: Asked, found: Found, decision: str | None, visit: StepVisit | None = None
) -> Response[str] | None:
    """None: it is accepted. Anything that is not clearly a yes shows the question again."""
    place, services, user_id = asked.place, asked.services, _user_of(asked)
    if decision == "letter" and user_id is not None and is_unverified(place, asked.seen):
        try:
            await answers.send_proof(services, place.tenant, user_id, place.now)
        except RateLimited as error:
            return _shown(asked, visit, "too_many", status=error.status)
        return _shown(asked, visit, letter_was_sent=True)
    if decision != "accept":
        return _shown(asked, visit)
    if user_id is None:
        return _shown(asked, visit)
    answer, hooks = asked.answer_of(found), services.organization_hooks
    check = partial(answers.check, answer=answer, user_id=user_id)
    try:
        await ask(hooks, place.tenant, "accept_invitation", found.row.id, place.options, user_id, check)
        done = await place.tenant.database.write(answers.accept, answer)
    except ApiError as error:
        return _shown(asked, visit, answers.problem_of(error), status=error.status)
    if done is None:
        return _shown(asked, visit)
    await tell_of_acceptance(hooks, place.tenant, done, place.options)
    return None


async def _decline(asked: Asked, found: Found) -> Response[str]:
    place, hooks = asked.place, asked.services.organization_hooks
    try:
        user_id = _user_of(asked)
        await ask(hooks, place.tenant, "reject_invitation", found.row.id, place.options, user_id)
        await place.tenant.database.write(answers.decline, asked.answer_of(found))
    except ApiError as error:
        return _shown(asked, None, answers.problem_of(error), status=error.status)
    told = {"tenant": place.tenant.id, "user_id": user_id, "organization_id": found.row.organization_id}
    await hooks.after("reject_invitation", told)
    return declined(place, found)


def _user_of(asked: Asked) -> str | None:
    return asked.seen.person.user_id if asked.seen.person is not None else None


def _shown(
    asked: Asked,
    visit: StepVisit | None = None,
    problem: ProblemKey | None = None,
    *,
    status: int = 200,
    letter_was_sent: bool = False,
) -> Response[str]:
    place, seen = asked.place, asked.seen
    if (page := over(place, seen)) is not None:
        return page
    found = seen.found
    assert found is not None
    is_wrong = seen.person is not None and not seen.is_theirs
    shown = InvitationPage(
        branding=place.branding(found),
        speech=place.speech,
        action=asked.path,
        form_token=form_token(place.tenant, asked.binding, asked.path, asked.state),
        state=asked.state,
        organization_name=found.organization_label,
        inviter=seen.inviter,
        email=found.row.email,
        account=(seen.person.email or seen.person.user_id) if seen.person is not None else "",
        is_wrong_account=is_wrong,
        is_unverified=is_unverified(place, seen),
        letter_was_sent=letter_was_sent,
        may_decline=found.proves_address or seen.is_theirs,
        problems={"": problem} if problem else {},
    )
    fresh = () if asked.browser.binding else (binding_cookie(asked.binding, is_https=asked.browser.is_https),)
    target = visit.request.destination.redirect_uri if visit is not None else None
    return show(shown, status=status, redirect_uri=target, cookies=fresh)
