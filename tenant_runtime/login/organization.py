"""In which organization? Asked of a person who is signed in, and offers their own ones only; who has none may ask
the one that their address opens."""

from dataclasses import replace

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from core.errors import OAuthError
from tenant_runtime.login.authorization_requests import RequestKey, load_request, save_progress
from tenant_runtime.login.cancelling import cancel, is_cancelled, may_cancel
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.joining import newcomer_of
from tenant_runtime.login.pages import OrganizationChoice, OrganizationPage
from tenant_runtime.login.standing import login_of
from tenant_runtime.login.steps import (
    IDENTIFIER,
    JOIN,
    ORGANIZATION,
    RESUME,
    AnyRequest,
    StepVisit,
    at,
    opened,
    posted,
)
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.organizations.active import active_organization
from tenant_runtime.organizations.joining.doors import door_by_address
from tenant_runtime.organizations.membership import organizations_of, resolve_organization
from tenant_runtime.organizations.policies import LoggedIn, Unmet
from tenant_runtime.organizations.rules import OrganizationRules


@get(ORGANIZATION, include_in_schema=False)
async def organization_page(request: AnyRequest) -> Response[str]:
    visit = await opened(request, ORGANIZATION)
    return await _ask(visit) if visit.session is not None else visit.go(RESUME)


@post(ORGANIZATION, include_in_schema=False, request_max_body_size=FORM_LIMIT)
async def choose_organization(request: AnyRequest) -> Response[str]:
    visit = await posted(request, ORGANIZATION)
    if visit.session is None:
        return visit.go(RESUME)
    if is_cancelled(visit):
        return await cancel(visit)
    chosen = visit.fields.get("organization")
    if chosen is None:
        return await _ask(visit, "organization_missing")
    rules = replace(visit.organization_rules, names_allowed=False)
    who = visit.session.user_id, login_of(visit.session)
    try:
        await visit.tenant.database.write(_choose, visit.key, chosen, who, rules, visit.now)
    except OAuthError:
        return await _ask(visit, "organization_refused")
    return visit.go(RESUME)


handlers = [organization_page, choose_organization]


async def _ask(visit: StepVisit, problem: ProblemKey | None = None) -> Response[str]:
    assert visit.session is not None
    user_id, login = visit.session.user_id, login_of(visit.session)
    rules, read = visit.organization_rules, visit.tenant.database.read
    found = await read(organizations_of, user_id, rules, login, visit.now)
    door = await read(door_by_address, newcomer_of(visit, user_id)) if not found else None
    current = await read(active_organization, visit.session.id) if rules.has_settings else None
    page = visit.page(
        OrganizationPage,
        email=visit.session.email or visit.session.user_id,
        organizations=tuple(
            OrganizationChoice(
                one.id,
                one.display_name or one.name,
                one.name if one.display_name else "",
                is_current=one.id == current,
            )
            for one in sorted(found, key=lambda one: one.id != current)
        ),
        switch_url=at(IDENTIFIER, visit.state),
        join_url=at(JOIN, visit.state) if door is not None else None,
        join_name=door.name if door is not None else "",
        may_cancel=may_cancel(visit),
        problems={"": problem} if problem else {},
    )
    return visit.show(page, status=400 if problem else 200)


def _choose(
    connection: Connection,
    key: RequestKey,
    chosen: str,
    who: tuple[str, LoggedIn],
    rules: OrganizationRules,
    now: int,
) -> None:
    """Also one that asks for another log-in, which is what comes next then."""
    progress, (user_id, login) = load_request(connection, key, now).progress, who
    try:
        resolve_organization(connection, chosen, user_id=user_id, rules=rules, login=login, now=now)
    except Unmet as refused:
        if not refused.login_helps:
            raise
    save_progress(connection, key.digest, msgspec.structs.replace(progress, organization_id=chosen))
