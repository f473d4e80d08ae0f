"""What all steps of the flow share: their addresses, and the request they are steps of.

A step is reached by `state` and works only for the browser that began the request. It ends by sending that browser to
`/authorize/resume`, which alone knows what comes next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from litestar import Request, Response
from sqlalchemy import Connection, Row

from core.clock import now_ms
from core.errors import TenantSuspended
from core.ids import digest
from core.tenants import Tenant, TenantState
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services, client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.answers import branding_of, redirect, show, speech_of
from tenant_runtime.login.authorization_requests import Progress, RequestKey, StoredRequest, load_request
from tenant_runtime.login.branding import Branding
from tenant_runtime.login.client_card import card_of
from tenant_runtime.login.cookies import Browser, browser_of
from tenant_runtime.login.custom_texts import Speech
from tenant_runtime.login.devices.requests import accept_device, is_of_device
from tenant_runtime.login.flow import Step
from tenant_runtime.login.forms import check_token, form_token, state_of, submitted
from tenant_runtime.login.invitations.requests import accept_invitation_request, is_of_invitation
from tenant_runtime.login.pages import FormPage
from tenant_runtime.login.sessions import load_session
from tenant_runtime.login.ways import by_organization
from tenant_runtime.oauth.authorization.acceptance import AcceptedRequest, accept, destination
from tenant_runtime.oauth.authorization.parameters import ADDRESS_PROVED, Sent
from tenant_runtime.organizations.invitations.tickets import Found, find
from tenant_runtime.organizations.looks import Look, look_in, look_of
from tenant_runtime.organizations.membership import is_id
from tenant_runtime.organizations.options import OPTIONS
from tenant_runtime.organizations.rules import OrganizationRules

IDENTIFIER = "/u/login/identifier"
PASSWORD = "/u/login/password"
RESET = "/u/reset-password/request"
SIGNUP = "/u/signup"
ORGANIZATION = "/u/organization"
JOIN = "/u/organization/join"
CONSENT = "/u/consent"
RESUME = "/authorize/resume"
CONFIRM_DEVICE = "/activate/confirm"
INVITATION = "/u/invitation/answer"

_ADDRESSES: Mapping[Step, str] = {
    Step.LOG_IN: IDENTIFIER,
    Step.LOG_IN_AGAIN: IDENTIFIER,
    Step.ANSWER_INVITATION: INVITATION,
    Step.ASK_TO_JOIN: JOIN,
    Step.CHOOSE_ORGANIZATION: ORGANIZATION,
    Step.CONSENT: CONSENT,
}

AnyRequest = Request[Any, Any, Any]
P = TypeVar("P", bound=FormPage)


def at(path: str, state: str) -> str:
    return f"{path}?state={quote(state, safe='')}"


def address_of(step: Step, state: str, *, wants_signup: bool = False) -> str:
    return at(SIGNUP if wants_signup and step is Step.LOG_IN else _ADDRESSES[step], state)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepVisit:
    """One request to a step's page."""

    tenant: Tenant
    services: Services
    configuration: Configuration
    browser: Browser
    state: str
    key: RequestKey
    parameters: Mapping[str, str]
    progress: Progress
    request: AcceptedRequest
    session: Row[Any] | None
    now: int
    ip: str
    user_agent: str | None
    request_id: str
    path: str
    fields: Mapping[str, str]
    speech: Speech
    invitation: Found | None = None
    look: Look | None = None

    @property
    def branding(self) -> Branding:
        """The organization's over the tenant's."""
        own = branding_of(self.tenant, self.configuration.settings)
        return own if self.look is None else own.of_organization(self.look.name, self.look.branding)

    @property
    def live_invitation(self) -> Found | None:
        found = self.invitation
        return found if found is not None and found.is_live(self.now) else None

    @property
    def takes_signups(self) -> bool:
        """Who is invited may make an account where others may not: who opened the letter, or was sent the link by the
        tenant's own software. What a member of an organization can see of an invitation opens no closed door."""
        connection, found = self.request.connection, self.live_invitation
        is_by_letter = found is not None and (found.proves_address or found.row.inviter_id is None)
        if is_by_letter and not connection.database.requires_username:
            return True
        return self.configuration.takes_signups_by_page(connection)

    def page(self, kind: type[P], **values: Any) -> P:
        return kind(
            branding=self.branding,
            speech=self.speech,
            action=self.path,
            form_token=form_token(self.tenant, self.browser.binding or "", self.path, self.state),
            state=self.state,
            client_name=self.request.client.name,
            invited_to=self.live_invitation.organization_label if self.live_invitation is not None else "",
            client=card_of(self.request.client),
            **values,
        )

    def show(
        self, page: FormPage, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> Response[str]:
        to = self.request.destination
        return show(page, status=status, redirect_uri=to.redirect_uri, headers=headers)

    @property
    def takes_new_passwords(self) -> bool:
        """Whether people choose themselves a new password when they forgot theirs."""
        return not self.request.connection.database.disable_self_service_change_password

    def go(self, path: str) -> Response[str]:
        return redirect(at(path, self.state))

    @property
    def organization_rules(self) -> OrganizationRules:
        return self.configuration.organization_rules

    def event(self, type: str, description: str | None = None, **values: Any) -> Event:
        client = self.request.client
        return Event(
            type=type,
            created_at=self.now,
            description=description,
            client_id=client.client_id,
            client_name=client.name,
            connection=self.request.connection.name,
            ip=self.ip,
            user_agent=self.user_agent,
            request_id=self.request_id,
            **values,
        )


async def opened(request: AnyRequest, path: str) -> StepVisit:
    """A GET of a step's page."""
    return await _visit(request, path, state_of(request), {})


async def posted(request: AnyRequest, path: str) -> StepVisit:
    """A form of a step's page, from this host, this browser and this request."""
    tenant = tenant_of(request)
    fields = await submitted(request, tenant)
    state = fields.get("state", "")
    check_token(tenant, fields, browser_of(request.scope["headers"], tenant.issuer).binding, path, state)
    return await _visit(request, path, state, fields)


async def _visit(request: AnyRequest, path: str, state: str, fields: Mapping[str, str]) -> StepVisit:
    tenant, services = tenant_of(request), services_of(request)
    if tenant.state is TenantState.SUSPENDED:
        raise TenantSuspended()
    browser = browser_of(request.scope["headers"], tenant.issuer)
    key = RequestKey(digest(state), browser.binding_digest or "", tenant.issuer)
    now = now_ms(services.clock)
    held = await configuration(tenant)
    found = await tenant.database.read(_found, key, browser.session_digest, now, held)
    stored = found.request
    accepted = _accepted(stored.parameters, held, tenant)
    return StepVisit(
        tenant=tenant,
        services=services,
        configuration=held,
        browser=browser,
        state=state,
        key=key,
        parameters=stored.parameters,
        progress=stored.progress,
        request=await by_organization(tenant, held, accepted, stored.progress.led_to),
        session=found.session,
        now=now,
        ip=client_ip_of(request),
        user_agent=(request.headers.get("user-agent") or "")[:500] or None,
        request_id=request_id_of(request),
        path=path,
        fields=fields,
        speech=speech_of(request, held, accepted.parameters.ui_locales),
        invitation=found.invitation,
        look=found.look,
    )


def _accepted(parameters: Mapping[str, str], held: Configuration, tenant: Tenant) -> AcceptedRequest:
    if is_of_device(parameters):
        return accept_device(parameters, held, tenant.issuer)
    if is_of_invitation(parameters):
        return accept_invitation_request(parameters, held, tenant.issuer)
    sent = Sent(parameters)
    return accept(sent, destination(sent, held, tenant.issuer), held, tenant.issuers)


@dataclass(frozen=True, slots=True)
class _Found:
    request: StoredRequest
    session: Row[Any] | None
    invitation: Found | None
    look: Look | None


def _found(
    connection: Connection, key: RequestKey, session_digest: str | None, now: int, held: Configuration
) -> _Found:
    stored = load_request(connection, key, now)
    session = load_session(connection, session_digest, now, key.issuer)
    invitation_id, is_proved = stored.parameters.get("invitation"), ADDRESS_PROVED in stored.parameters
    invitation = find(connection, invitation_id, is_proved=is_proved) if invitation_id is not None else None
    if invitation is not None and invitation.is_live(now):
        return _Found(stored, session, invitation, look_in(invitation.row))
    look = _look(connection, stored, held, is_somebody=session is not None)
    return _Found(stored, session, invitation, look)


def _look(
    connection: Connection, stored: StoredRequest, held: Configuration, *, is_somebody: bool
) -> Look | None:
    """Of the organization that is named by its id, or was chosen. Which names there are, and where an address leads, is
    shown to nobody who has not signed in unless the tenant says so (`specs/tenancy.md` section 7)."""
    progress, is_open = stored.progress, held.documents.value(OPTIONS).show_organization_before_login
    named = stored.parameters.get("organization") or progress.organization_id
    if named is None:
        named = progress.led_to if is_open and progress.session_id is None else None
    elif not is_id(named) and not (held.organization_rules.names_allowed and (is_somebody or is_open)):
        named = None
    return look_of(connection, named) if named is not None else None
