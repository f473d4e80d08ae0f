"""May this application have that? Remembered for the client, the API and the organization it was asked for."""

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from core.ids import new_id
from tenant_runtime.login.authorization_requests import load_request, refuse_request, save_progress
from tenant_runtime.login.consents import Consent, remember_consent
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import ConsentPage, ScopeItem
from tenant_runtime.login.sessions import load_session
from tenant_runtime.login.standing import Situation, situation
from tenant_runtime.login.steps import CONSENT, IDENTIFIER, RESUME, AnyRequest, StepVisit, at, opened, posted
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest


@get(CONSENT, include_in_schema=False)
async def consent_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, CONSENT)
    if visit.session is None:
        return visit.go(RESUME)
    found = await visit.tenant.database.read(_situation, visit)
    organization = found.organization
    page = visit.page(
        ConsentPage,
        email=visit.session.email or visit.session.user_id,
        scopes=tuple(scope_items(visit.request)),
        asked=Consent.asked(
            visit.request, visit.session.user_id, organization.id if organization else None
        ).fingerprint,
        organization_name=(organization.display_name or organization.name) if organization else "",
        redirect_uri=visit.request.destination.redirect_uri,
        switch_url=at(IDENTIFIER, visit.state),
    )
    return visit.show(page)


@post(CONSENT, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def decide(request: AnyRequest) -> Response[str]:
    """Anything but a clear yes is a no."""
    visit = await posted(request, CONSENT)
    if visit.session is None:
        return visit.go(RESUME)
    if visit.fields.get("decision") == "allow":
        is_seen = await visit.tenant.database.write(_allow, visit, new_id("cgr"))
        return visit.go(RESUME if is_seen else CONSENT)
    await visit.tenant.database.write(refuse_request, visit.key, visit.now)
    return visit.go(RESUME)


handlers = [consent_page, decide]


def _situation(connection: Connection, visit: StepVisit) -> Situation:
    rules = visit.organization_rules
    return situation(connection, visit.request, visit.session, visit.progress, rules=rules, now=visit.now)


def _allow(connection: Connection, visit: StepVisit, grant_id: str) -> bool:
    """Consent is given by the session of this moment, for the organization of this moment, and for what the page said:
    False where the client, the API or another page of the person has changed that since."""
    progress = load_request(connection, visit.key, visit.now).progress
    session = load_session(connection, visit.browser.session_digest, visit.now, visit.key.issuer)
    rules = visit.organization_rules
    found = situation(connection, visit.request, session, progress, rules=rules, now=visit.now)
    if session is None or found.standing.refusal is not None:
        return True
    asked = Consent.asked(visit.request, session.user_id, found.standing.organization_id)
    if visit.fields.get("asked") != asked.fingerprint:
        return False
    remember_consent(connection, asked, grant_id, visit.now)
    save_progress(connection, visit.key.digest, msgspec.structs.replace(progress, has_consented=True))
    return True


def scope_items(request: AcceptedRequest) -> list[ScopeItem]:
    server = request.resource_server
    if server is None:
        return [ScopeItem(value) for value in request.to_consent]
    return [
        ScopeItem(value, server.scopes[value] or value, server.name)
        if value in server.scopes
        else ScopeItem(value)
        for value in request.to_consent
    ]
