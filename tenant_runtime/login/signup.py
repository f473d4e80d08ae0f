"""Making an account: address, password, and nothing else that the person could claim for themself."""

from dataclasses import replace

from litestar import Response, get, post

from core.errors import RateLimited
from core.ids import new_secret, new_user_id
from tenant_runtime.attack_protection.addresses import admit_registration
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.deliveries import Outgoing
from tenant_runtime.login.accounts import PROVIDER, NewAccount
from tenant_runtime.login.authentication import enter_anew, sign_in, signed_in
from tenant_runtime.login.email_verification import letter_at_signup
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.invitations.at_login import answering, tell_of_answer
from tenant_runtime.login.pages import Problems, SignupPage
from tenant_runtime.login.password_rules import MINIMUM, problem_of
from tenant_runtime.login.steps import IDENTIFIER, SIGNUP, AnyRequest, StepVisit, at, opened, posted

NAME_LENGTH = 150


@get(SIGNUP, include_in_schema=False)
async def signup_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, SIGNUP)
    if not visit.takes_signups:
        return visit.go(IDENTIFIER)
    return visit.show(_page(visit, visit.progress.identifier or visit.request.parameters.login_hint))


@post(SIGNUP, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def sign_up(request: AnyRequest) -> Response[str]:
    """The password is hashed before it is known whether the address is taken: both answers take as long."""
    visit = await posted(request, SIGNUP)
    email, name = _address(visit), visit.fields.get("name", "").strip()
    problems = _problems(visit, email, name)
    if problems:
        return visit.show(_page(visit, email, name, problems), status=400)
    try:
        await _count_signup(visit, email)
    except RateLimited as error:
        page = _page(visit, email, name, {"": "too_many"})
        return visit.show(page, status=error.status, headers=error.headers)
    if await is_refused(_chosen(visit, email)):
        return visit.show(_page(visit, email, name, {"password": "password_leaked"}), status=400)
    account = NewAccount(
        user_id=new_user_id(PROVIDER),
        connection_id=visit.request.connection.id,
        email=email,
        name=name,
        hash=await visit.services.passwords.hash(visit.fields["password"], tenant=visit.tenant.id),
        now=visit.now,
        profile={"email_verified": True} if _is_proved(visit) else {},
    )
    secret = new_secret()
    events = tuple(visit.event(type, user_id=account.user_id, user_name=email) for type in ("ss", "s"))
    signing = sign_in(visit, secret, account.user_id, email=email, events=events)
    signing = replace(signing, answering=await answering(visit, account.user_id))
    letter = None if _is_proved(visit) else await _letter(visit, account)
    if await visit.tenant.database.write(enter_anew, signing, account, letter):
        if letter is not None:
            visit.services.deliveries.soon(visit.tenant)
        await tell_of_answer(visit, signing.answering, account.user_id)
        return signed_in(visit, secret)
    visit.services.audit.add(visit.tenant, visit.event("fs", "The address is taken.", user_name=email))
    return visit.show(_page(visit, email, name, {"": "signup_refused"}), status=400)


handlers = [signup_page, sign_up]


async def _letter(visit: StepVisit, account: NewAccount) -> Outgoing | None:
    client_id = visit.request.client.client_id
    return await letter_at_signup(
        visit.services, visit.tenant, visit.ip, account, client_id, visit.speech.asked
    )


def _address(visit: StepVisit) -> str:
    """An invitation is for one address."""
    invited = visit.live_invitation
    return normal_email(visit.fields.get("email", "")) if invited is None else str(invited.row.email)


def _is_proved(visit: StepVisit) -> bool:
    return visit.live_invitation is not None and visit.live_invitation.proves_address


async def _count_signup(visit: StepVisit, email: str) -> None:
    """As by the other door (`authentication_api.dbconnections`): an answer tells whether an address is taken."""
    event = visit.event("limit_mu", "Too many new accounts from one address.", user_name=email)
    await admit_registration(visit.tenant, visit.services, visit.configuration, event)


def _chosen(visit: StepVisit, email: str) -> Chosen:
    event = visit.event("signup_pwd_leak", "The password is known from a leak.", user_name=email)
    return Chosen(
        tenant=visit.tenant,
        services=visit.services,
        current=visit.configuration,
        password=visit.fields["password"],
        event=event,
    )


def _problems(visit: StepVisit, email: str, name: str) -> Problems:
    database = visit.request.connection.database
    if not visit.takes_signups:
        return {"": "signup_closed"}
    if not email:
        return {"email": "email_missing"}
    if not is_email(email):
        return {"email": "email_malformed"}
    if len(name) > NAME_LENGTH:
        return {"name": "name_long"}
    names = (email, name, visit.tenant.id, visit.request.client.name, *database.blocked_words)
    problem = problem_of(visit.fields.get("password", ""), *names, least=database.least_length)
    return {"password": problem} if problem else {}


def _page(visit: StepVisit, email: str, name: str = "", problems: Problems | None = None) -> SignupPage:
    return visit.page(
        SignupPage,
        email=email if visit.live_invitation is None else str(visit.live_invitation.row.email),
        email_is_fixed=visit.live_invitation is not None,
        name=name,
        asks_name=True,
        password_minimum=max(MINIMUM, visit.request.connection.database.least_length),
        login_url=at(IDENTIFIER, visit.state),
        problems=problems or {},
    )
