"""In which organization? Asked of a person who is signed in, and offers their own ones only."""

from dataclasses import replace

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection

from core.errors import OAuthError
from tenant_runtime.login.authorization_requests import RequestKey, load_request, save_progress
from tenant_runtime.login.forms import FORM_LIMIT
from tenant_runtime.login.pages import OrganizationChoice, OrganizationPage
from tenant_runtime.login.steps import (
    IDENTIFIER,
    ORGANIZATION,
    RESUME,
    AnyRequest,
    StepVisit,
    at,
    opened,
    posted,
)
from tenant_runtime.login.texts import ProblemKey
from tenant_runtime.organizations.membership import organizations_of, resolve_organization
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
    chosen = visit.fields.get("organization")
    if chosen is None:
        return await _ask(visit, "organization_missing")
    user_id = visit.session.user_id
    try:
        rules = replace(visit.organization_rules, names_allowed=False)
        await visit.tenant.database.write(_choose, visit.key, chosen, user_id, rules, visit.now)
    except OAuthError:
        return await _ask(visit, "organization_refused")
    return visit.go(RESUME)


handlers = [organization_page, choose_organization]


async def _ask(visit: StepVisit, problem: ProblemKey | None = None) -> Response[str]:
    assert visit.session is not None
    rules = visit.organization_rules
    found = await visit.tenant.database.read(organizations_of, visit.session.user_id, rules)
    page = visit.page(
        OrganizationPage,
        email=visit.session.email or visit.session.user_id,
        organizations=tuple(
            OrganizationChoice(one.id, one.display_name or one.name, one.name if one.display_name else "")
            for one in found
        ),
        switch_url=at(IDENTIFIER, visit.state),
        problems={"": problem} if problem else {},
    )
    return visit.show(page, status=400 if problem else 200)


def _choose(
    connection: Connection, key: RequestKey, chosen: str, user_id: str, rules: OrganizationRules, now: int
) -> None:
    progress = load_request(connection, key, now).progress
    found = resolve_organization(connection, chosen, user_id=user_id, rules=rules)
    save_progress(connection, key.digest, msgspec.structs.replace(progress, organization_id=found.id))
