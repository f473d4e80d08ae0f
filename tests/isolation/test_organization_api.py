"""Asked of every route of `/api/auth`: no session, a neighbour's session, the ids of a neighbour and of another
organization, and somebody without a role that may, do nothing (`specs/bad-inputs.md` 88 to 96).

Nothing is picked: a route that is added tomorrow is asked the same. After each round every row of every database is
compared with what it was, but for what a session is in the middle of.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.installation import Installation
from tests.isolation.conftest import CONTROL_PLANE, A, B
from tests.isolation.organization_routes import PUBLIC, ApiRoute, api_routes
from tests.isolation.organization_standing import Standing, made, standing, unknown
from tests.isolation.rows import TRAIL, all_rows, transitions
from tests.organizations.people import AuthAnswer, AuthClient, member, signed_in, visitor
from tests.organizations.places import suspend

pytestmark = pytest.mark.anyio

REFUSED = (400, 401, 403, 404)
SESSION = ("sessions", "session_contexts")
ROUTES = api_routes()
WITH_SESSION = [route for route in ROUTES if route.path not in PUBLIC]
SILENT = frozenset({"/revoke-session"})
"""Tells nobody whether what was named is there: nothing happens."""

ONE_BY_ONE = "/organization/invite-members"
"""Answers for each address by itself."""

OWN = frozenset({"organization", "slug"})


@pytest.fixture(scope="module")
async def of_tenant_one(shared: Installation) -> AuthClient:
    plane, user = shared.demo.control_plane, shared.demo.control_plane.users[0]
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=shared.app), timeout=30)
    return await AuthClient(http, plane.issuer, user.email, user.password).sign_in()


@pytest.fixture(scope="module")
async def gone(shared: Installation, own: Standing) -> dict[str, AuthClient]:
    """Who was an administrator and in that organization, until somebody else said otherwise."""
    about = {"organizationId": own.ids["organization"]}
    found = {why: await member(shared, about["organizationId"]) for why in ("removed", "blocked", "deleted")}
    for person in found.values():
        shown = (await person.get("/organization/get-full-organization", **about)).body["members"]
        (own_id,) = [each["id"] for each in shown if each["userId"] == person.user_id]
        await made(own.owner, "/organization/update-member-role", memberId=own_id, role="admin", **about)
        await made(person, "/organization/set-active", **about)
    manager = await shared.manager(A)
    await made(own.owner, "/organization/remove-member", memberIdOrEmail=found["removed"].email, **about)
    await manager.patch(f"/users/{found['blocked'].user_id}", {"blocked": True})
    await manager.delete(f"/users/{found['deleted'].user_id}")
    tenant = await shared.running.platform.directory.by_id(A)
    assert tenant is not None
    await shared.running.services.deliveries.run_due(tenant)
    return found


@pytest.fixture
async def nothing_changes(
    shared: Installation,
    own: Standing,
    other: Standing,
    neighbour: Standing,
    of_tenant_one: AuthClient,
    gone: dict[str, AuthClient],
) -> AsyncIterator[None]:
    await shared.running.platform.lifecycle.wait_synced()
    before = await all_rows(shared, without=(*TRAIL, *SESSION))
    yield
    assert transitions(before, await all_rows(shared, without=(*TRAIL, *SESSION))) == []


async def asked(person: AuthClient, route: ApiRoute, ids: dict[str, str], **more: object) -> AuthAnswer:
    return await person.call(route.method, route.path, **route.sent(ids), **more)


def assert_refused(route: ApiRoute, answer: AuthAnswer) -> None:
    if route.path == ONE_BY_ONE:
        assert [each["error"]["status"] in REFUSED for each in answer.body["results"]] == [True]
        return
    assert answer.status in REFUSED, (route, answer)
    assert answer.code != "VALIDATION_ERROR", f"{route} says nothing of who may: {answer.text}"


@pytest.mark.usefixtures("nothing_changes")
async def test_without_a_session_every_route_but_the_entrances_is_refused(
    shared: Installation, own: Standing
) -> None:
    nobody = visitor(shared, A)
    for route in WITH_SESSION:
        answer = await asked(nobody, route, own.ids)
        expected = 400 if route.path == "/organization/list-user-invitations" else 401
        assert answer.status == expected, (route, answer)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("of", [B, CONTROL_PLANE])
async def test_a_session_of_another_tenant_is_none(
    shared: Installation, own: Standing, neighbour: Standing, of_tenant_one: AuthClient, of: str
) -> None:
    person = neighbour.owner if of == B else of_tenant_one
    cookies = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
    assert "better-auth.session_token" in cookies
    intruder = visitor(shared, A)
    for route in WITH_SESSION:
        answer = await asked(intruder, route, own.ids, headers={"Cookie": cookies})
        assert answer.status in (400, 401), (route, answer)
    assert (
        await asked(intruder, ApiRoute("GET", "/get-session"), {}, headers={"Cookie": cookies})
    ).text == "null"


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("whose", ["another organization", "a neighbour", "nobody"])
async def test_ids_of_others_are_refused_and_do_nothing(
    own: Standing, other: Standing, neighbour: Standing, whose: str
) -> None:
    ids = {"another organization": other.ids, "a neighbour": neighbour.ids, "nobody": unknown(own.ids)}[whose]
    for route in WITH_SESSION:
        if route.names and route.is_of_an_organization and not _is_about_a_name(route, whose):
            assert_refused(route, await asked(own.owner, route, ids))
        elif route.path in SILENT:
            assert (await asked(own.owner, route, ids)).status == 200


def _is_about_a_name(route: ApiRoute, whose: str) -> bool:
    """A slug is free that nobody of this tenant has."""
    return whose != "another organization" and route.path in (
        "/organization/create",
        "/organization/check-slug",
    )


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("whose", ["another organization", "a neighbour", "nobody"])
async def test_ids_of_others_in_ones_own_organization_are_refused(
    own: Standing, other: Standing, neighbour: Standing, whose: str
) -> None:
    theirs = {"another organization": other.ids, "a neighbour": neighbour.ids, "nobody": unknown(own.ids)}[
        whose
    ]
    ids = {**theirs, **{name: own.ids[name] for name in OWN}}
    for route in WITH_SESSION:
        if route.names - OWN and route.is_of_an_organization:
            assert_refused(route, await asked(own.owner, route, ids))


@pytest.mark.usefixtures("nothing_changes")
async def test_what_is_not_there_is_told_as_what_is_elsewhere(own: Standing, neighbour: Standing) -> None:
    """Nobody learns from an answer that an id is somebody's at another tenant."""
    nothing = unknown(own.ids)
    for route in WITH_SESSION:
        if route.names and route.is_of_an_organization and not _is_about_a_name(route, "a neighbour"):
            there, nowhere = [await asked(own.owner, route, ids) for ids in (neighbour.ids, nothing)]
            assert (there.status, there.text) == (nowhere.status, nowhere.text), route


@pytest.mark.usefixtures("nothing_changes")
async def test_a_page_of_somebody_else_does_nothing_by_any_route(own: Standing) -> None:
    """With the cookies of who may everything there: `specs/bad-inputs.md` 99 and 104."""
    strange = ("https://evil.example", f"{own.owner.origin}.evil.example", own.owner.origin.replace(A, B))
    for route in ROUTES:
        if route.method != "POST":
            continue
        for origin, code in (
            ("null", "MISSING_OR_NULL_ORIGIN"),
            *((each, "INVALID_ORIGIN") for each in strange),
        ):
            answer = await asked(own.owner, route, own.ids, headers={"Origin": origin})
            assert (answer.status, answer.code) == (403, code), (route, origin)
        if ApiRoute("GET", route.path) not in ROUTES:
            answer = await own.owner.call("GET", route.path, params=_flat(route.sent(own.ids)["json"]))
            assert (answer.status, answer.text) == (404, ""), route


def _flat(body: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}


FOR_ANYBODY = frozenset(
    f"/organization/{name}"
    for name in (
        *("create", "check-slug", "set-active", "leave", "has-permission", "set-active-team"),
        *("accept-invitation", "reject-invitation"),
    )
)
"""What a guest does to themselves, or asks."""


@pytest.mark.usefixtures("nothing_changes")
async def test_a_guest_changes_nothing_of_their_organization(own: Standing) -> None:
    for route in WITH_SESSION:
        if route.method == "POST" and route.is_of_an_organization and route.path not in FOR_ANYBODY:
            assert_refused(route, await asked(own.guest, route, own.ids))


@pytest.mark.usefixtures("nothing_changes")
async def test_who_was_removed_is_a_stranger_at_once(own: Standing, gone: dict[str, AuthClient]) -> None:
    for route in WITH_SESSION:
        if not route.is_of_an_organization:
            continue
        answer = await asked(gone["removed"], route, own.ids)
        if route.names:
            assert_refused(route, answer)
        assert own.ids["organization"] not in answer.text, route


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("why", ["blocked", "deleted"])
async def test_who_is_blocked_or_deleted_is_nobody_at_once(
    own: Standing, gone: dict[str, AuthClient], why: str
) -> None:
    for route in WITH_SESSION:
        answer = await asked(gone[why], route, own.ids)
        assert answer.status in (400, 401), (route, answer)
        assert own.ids["organization"] not in answer.text, route


async def test_what_one_reads_holds_nothing_of_others(
    own: Standing, other: Standing, neighbour: Standing
) -> None:
    theirs = {*other.ids.values(), *neighbour.ids.values()}
    await made(own.owner, "/organization/set-active", organizationId=own.ids["organization"])
    for route in WITH_SESSION:
        if route.method == "GET":
            answer = await asked(own.owner, route, own.ids)
            assert answer.status == (403 if route.path == "/organization/get-invitation" else 200), (
                route,
                answer,
            )
            assert not [id for id in theirs if json.dumps(id)[1:-1] in answer.text], route


STAYS_WITH_THE_MEMBER = frozenset(
    f"/organization/{name}"
    for name in ("create", "check-slug", "list", "list-joinable-organizations", "leave")
)
"""What asks nothing of the organization: its own entry in the list of one's own, and the way out."""

NOT_FOR_MEMBERS = {
    "/organization/accept-invitation": 403,
    "/organization/reject-invitation": 403,
    "/organization/get-invitation": 403,
    "/organization/request-to-join": 400,
    "/organization/join": 400,
    "/organization/cancel-join-request": 400,
}
"""Refused before anybody asks how the organization stands."""

NAMES_NONE: dict[str, dict[str, str]] = {
    "/organization/list-user-teams": {},
    "/organization/list-user-invitations": {},
}
"""Asked without an organization they answer of all of one's own: of this one, nothing."""


@pytest.mark.parametrize("why", ["suspended", "refused by its policy"])
async def test_an_organization_that_takes_nobody_now_is_neither_read_nor_changed(
    shared: Installation, why: str
) -> None:
    closed = await standing(shared, A, f"closed-{why.split()[0]}")
    for person in (closed.owner, closed.guest):
        await made(person, "/organization/set-active", organizationId=closed.ids["organization"])
    code = await _close(shared, closed, why)
    says = frozenset({f"/organization/{name}" for name in ("get-settings", "update-settings")})
    before = await all_rows(shared, without=(*TRAIL, "sessions"))
    for person in (closed.owner, closed.guest):
        for route in WITH_SESSION:
            if not route.is_of_an_organization or route.path in STAYS_WITH_THE_MEMBER:
                continue
            if why != "suspended" and person is closed.owner and route.path in says:
                continue  # an owner may always say less
            answer = await asked(person, route, closed.ids)
            assert closed.ids["team"] not in answer.text, route
            if route.path in NAMES_NONE:
                answer = await person.call(route.method, route.path, params=NAMES_NONE[route.path])
                assert (answer.status, answer.body) == (200, []), route
            elif route.path == ONE_BY_ONE:
                assert [each["error"]["code"] for each in answer.body["results"]] == [code]
            elif (expected := NOT_FOR_MEMBERS.get(route.path)) is not None:
                assert answer.status == expected, (route, answer)
            else:
                assert (answer.status, answer.code) == (403, code), (route, answer)
    for path in ("check?feature=seats", "entitlements"):
        assert (
            await closed.owner.http.get(f"{closed.owner.issuer}api/v1/licenses/{path}")
        ).status_code == 403
    assert transitions(before, await all_rows(shared, without=(*TRAIL, "sessions"))) == []
    assert len((await closed.guest.get("/organization/list")).body) == 1
    await made(closed.guest, "/organization/leave", organizationId=closed.ids["organization"])


async def _close(shared: Installation, closed: Standing, why: str) -> str:
    if why != "suspended":
        await made(closed.owner, "/organization/update-settings", data={"requireMfa": True})
        return "ORGANIZATION_POLICY_NOT_MET"
    await suspend(shared, closed.ids["organization"])
    return "ORGANIZATION_IS_SUSPENDED"


async def test_whom_a_suspended_organization_invited_learns_nothing_of_it_and_may_reject(
    shared: Installation,
) -> None:
    closed = await standing(shared, A, "closed-invites")
    invited = await signed_in(shared, A)
    about = {"organizationId": closed.ids["organization"]}
    sent = await made(
        closed.owner, "/organization/invite-member", email=invited.email, role="member", **about
    )
    code = await _close(shared, closed, "suspended")
    for answer in (
        await invited.get("/organization/get-invitation", id=sent["id"]),
        await invited.post("/organization/accept-invitation", invitationId=sent["id"]),
    ):
        assert (answer.status, answer.code) == (403, code)
    assert (await invited.get("/organization/list-user-invitations")).body == []
    await made(invited, "/organization/reject-invitation", invitationId=sent["id"])
