"""Not a member of the organization that one is on the way into: ask to be let in, and see what became of it. Who may
choose, and has none to choose from, is led here from the choice.

The request, its limits and its letters are those of `/api/auth/organization/request-to-join`. Whoever may not ask never
comes here: the arrival has told the client that they are no member, and every look here asks again.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from litestar import Response, get, post
from sqlalchemy import Connection

from core.errors import RateLimited
from core.ids import new_id
from tenant_runtime.audit.codes import CODES
from tenant_runtime.login.authorization_requests import load_request
from tenant_runtime.login.cancelling import cancel, is_cancelled, may_cancel
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import FormPage
from tenant_runtime.login.sessions import load_session
from tenant_runtime.login.steps import IDENTIFIER, JOIN, RESUME, AnyRequest, StepVisit, at, opened, posted
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.organizations.joining.doors import Door, Newcomer, door_by_address, door_of
from tenant_runtime.organizations.joining.letters import Post
from tenant_runtime.organizations.joining.requests import Asking, ask
from tenant_runtime.organizations.wire.errors import ApiError

ASKED = "organization_join_requested"


@dataclass(frozen=True, slots=True)
class JoinPage(FormPage):
    """Posts `decision`: `ask`, `look` (whether it is decided) or `cancel`."""

    template: ClassVar[str] = "join.html"

    _: KW_ONLY
    email: str
    organization_name: str
    switch_url: str
    is_asked: bool = False
    has_declined: bool = False
    has_mail: bool = False
    may_cancel: bool = False


@get(JOIN, include_in_schema=False)
async def join_page(request: AnyRequest) -> Response[str]:
    return await _shown(await opened(request, JOIN))


@post(JOIN, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def ask_to_join(request: AnyRequest) -> Response[str]:
    visit = await posted(request, JOIN)
    if is_cancelled(visit):
        return await cancel(visit)
    if visit.fields.get("decision") != "ask":
        return visit.go(RESUME)
    mail = Post.of(visit.tenant, visit.services, visit.configuration)
    try:
        await visit.tenant.database.write(_ask, visit, new_id("jrq"), mail)
    except RateLimited as error:
        return await _shown(visit, "too_many", status=error.status, headers=error.headers)
    except ApiError:
        return visit.go(JOIN)  # asked by another form of theirs at the same moment
    visit.services.deliveries.soon(visit.tenant)
    return visit.go(JOIN)


handlers = [join_page, ask_to_join]


async def _shown(
    visit: StepVisit,
    problem: ProblemKey | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    """Where there is nothing to ask (any more), the arrival knows what is next."""
    session = visit.session
    door = await visit.tenant.database.read(_door, visit, session.user_id) if session is not None else None
    if session is None or door is None:
        return visit.go(RESUME)
    page = visit.page(
        JoinPage,
        email=session.email or session.user_id,
        organization_name=door.name,
        switch_url=at(IDENTIFIER, visit.state),
        is_asked=door.is_asked,
        has_declined=door.has_declined,
        may_cancel=may_cancel(visit),
        has_mail=visit.services.mail.are_there(visit.tenant, visit.configuration),
        problems={"": problem} if problem else {},
    )
    return visit.show(page, status=status, headers=headers)


def newcomer_of(visit: StepVisit, user_id: str) -> Newcomer:
    key, rules = visit.tenant.data_key, visit.organization_rules
    return Newcomer(user_id=user_id, data_key=key, rules=rules, now=visit.now)


def _door(connection: Connection, visit: StepVisit, user_id: str) -> Door | None:
    """Which one the request names is bound to it: no other is asked in its place."""
    named, newcomer = visit.request.parameters.organization, newcomer_of(visit, user_id)
    if named is not None:
        return door_of(connection, named, newcomer)
    takes_any = visit.request.client.organization_usage != "deny"
    return door_by_address(connection, newcomer) if takes_any else None


def _ask(connection: Connection, visit: StepVisit, request_id: str, mail: Post) -> None:
    """By the session of this moment, in a sign-in that still goes on. Who has asked already has."""
    load_request(connection, visit.key, visit.now)
    session = load_session(connection, visit.browser.session_digest, visit.now, visit.key.issuer)
    door = _door(connection, visit, session.user_id) if session is not None else None
    if session is None or door is None or door.is_asked:
        return
    organization_id = door.organization_id
    who = {"user_id": session.user_id, "user_name": session.email, "organization_id": organization_id}
    asking = Asking(
        id=request_id,
        organization_id=organization_id,
        user_id=session.user_id,
        message=None,
        event=visit.event(ASKED, CODES[ASKED].description, **who),
    )
    ask(connection, asking, mail)
