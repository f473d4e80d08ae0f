"""Making an account: address, password, and nothing else that the person could claim for themself."""

from litestar import Response, get, post

from core.errors import RateLimited
from core.ids import new_secret, new_user_id
from tenant_runtime.attack_protection.addresses import admit_registration
from tenant_runtime.attack_protection.leaks import Chosen, is_refused
from tenant_runtime.login.accounts import PROVIDER, NewAccount
from tenant_runtime.login.authentication import enter_anew, sign_in, signed_in
from tenant_runtime.login.email_verification import letter_at_signup
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import Problems, SignupPage
from tenant_runtime.login.password_rules import MINIMUM, problem_of
from tenant_runtime.login.steps import IDENTIFIER, SIGNUP, AnyRequest, StepVisit, at, opened, posted

NAME_LENGTH = 150


@get(SIGNUP, include_in_schema=False)
async def signup_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, SIGNUP)
    if not visit.configuration.takes_signups_by_page(visit.request.connection):
        return visit.go(IDENTIFIER)
    return visit.show(_page(visit, visit.progress.identifier or visit.request.parameters.login_hint))


@post(SIGNUP, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def sign_up(request: AnyRequest) -> Response[str]:
    """The password is hashed before it is known whether the address is taken: both answers take as long."""
    visit = await posted(request, SIGNUP)
    email, name = normal_email(visit.fields.get("email", "")), visit.fields.get("name", "").strip()
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
    )
    secret = new_secret()
    events = tuple(visit.event(type, user_id=account.user_id, user_name=email) for type in ("ss", "s"))
    signing = sign_in(visit, secret, account.user_id, email=email, events=events)
    letter = await letter_at_signup(
        visit.services,
        visit.tenant,
        visit.ip,
        account,
        visit.request.client.client_id,
        visit.speech.asked,
    )
    if await visit.tenant.database.write(enter_anew, signing, account, letter):
        if letter is not None:
            visit.services.deliveries.soon(visit.tenant)
        return signed_in(visit, secret)
    visit.services.audit.add(visit.tenant, visit.event("fs", "The address is taken.", user_name=email))
    return visit.show(_page(visit, email, name, {"": "signup_refused"}), status=400)


handlers = [signup_page, sign_up]


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
    if not visit.configuration.takes_signups_by_page(visit.request.connection):
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
        email=email,
        name=name,
        asks_name=True,
        password_minimum=max(MINIMUM, visit.request.connection.database.least_length),
        login_url=at(IDENTIFIER, visit.state),
        problems=problems or {},
    )
