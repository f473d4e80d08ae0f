"""The installation's own code is asked before, told after, and never about what is not allowed at all."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from core.settings import SettingsError
from entrypoints.asgi import create_app
from tenant_runtime.organizations.hooks import ACTIONS, OVERRIDABLE, InstalledHooks
from tenant_runtime.organizations.in_process import Organizations
from tenant_runtime.organizations.wire import ApiError, refusal
from tests.agents.callers import agent_for
from tests.conftest import settings_for
from tests.engines.carried import ENGINE, carried_installation
from tests.installation import Installation, MovableClock
from tests.organizations.people import AuthClient, new_address, signed_in
from tests.organizations.places import organization_of, suspend, telling
from tests.organizations.test_members import Company

pytestmark = pytest.mark.anyio


@dataclass
class Book:
    """Hooks that write down what they are asked and told, and answer what a test wants."""

    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    breaks: set[str] = field(default_factory=set)
    meanwhile: dict[str, Callable[[], Awaitable[Any]]] = field(default_factory=dict)
    """What happens while a hook thinks, once."""

    def clear(self) -> None:
        for each in (self.asked, self.told, self.refuses, self.answers, self.breaks, self.meanwhile):
            each.clear()

    def hooks(self) -> Any:
        methods = {f"before_{action}": self._before(action) for action in ACTIONS}
        methods |= {f"after_{action}": self._after(action) for action in ACTIONS}
        return type("Hooks", (), {name: staticmethod(method) for name, method in methods.items()})()

    def _before(self, action: str) -> Any:
        async def before(values: dict[str, Any], about: dict[str, Any]) -> dict[str, Any] | None:
            self.asked.append((action, values, about))
            if action in self.refuses:
                raise refusal(403, "NOT_TODAY", "Not today")
            if (happens := self.meanwhile.pop(action, None)) is not None:
                await happens()
            return self.answers.get(action)

        return before

    def _after(self, action: str) -> Any:
        async def after(about: dict[str, Any]) -> None:
            self.told.append((action, about))
            if action in self.breaks:
                raise RuntimeError("an observer that cannot")

        return after


@pytest.fixture(scope="module")
def book() -> Book:
    return Book()


@pytest.fixture
async def watched(shared: Installation, book: Book) -> AsyncIterator[Installation]:
    book.clear()
    yield shared
    book.clear()


@pytest.fixture(scope="module")
async def shared(
    golden: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory, book: Book
) -> AsyncIterator[Installation]:
    data = tmp_path_factory.mktemp("hooks") / "data"
    shutil.copytree(golden[0], data)
    clock = MovableClock()
    with carried_installation(settings_for(data), ENGINE) as settings:
        app = create_app(settings, clock=clock, organization_hooks=[book.hooks()])
        async with (
            app.lifespan() as running,
            Installation.over(app, running, golden[1], clock) as installation,
        ):
            yield installation


async def everything(owner: AuthClient, robin: AuthClient, organizations: Organizations) -> None:
    """Each action once, and more than once what there is no way around."""
    organization_id = (await organization_of(owner))["id"]
    await owner.post("/organization/update", data={"name": "New"})

    async def invited() -> str:
        asked = {"email": robin.email, "role": "member"}
        return str((await owner.post("/organization/invite-member", **asked)).body["id"])

    await owner.post("/organization/cancel-invitation", invitationId=await invited())
    await robin.post("/organization/reject-invitation", invitationId=await invited())
    accepted = await robin.post("/organization/accept-invitation", invitationId=await invited())
    member_id = accepted.body["member"]["id"]
    await owner.post("/organization/update-member-role", memberId=member_id, role="admin")
    team = (await owner.post("/organization/create-team", name="Tools")).body["id"]
    await owner.post("/organization/update-team", teamId=team, data={"name": "Works"})
    place = {"teamId": team, "userId": robin.user_id}
    await owner.post("/organization/add-team-member", **place)
    await owner.post("/organization/remove-team-member", **place)
    await owner.post("/organization/remove-team", teamId=team)
    await owner.post("/organization/remove-member", memberIdOrEmail=member_id)
    await organizations.add_member(organization_id=organization_id, user_id=robin.user_id, role="member")
    await owner.post("/organization/delete", organizationId=organization_id)


async def test_each_of_the_fifteen_actions_is_asked_about_and_told(watched: Installation, book: Book) -> None:
    owner, robin = await signed_in(watched), await signed_in(watched)
    tenant = await watched.running.platform.directory.by_id("acme")
    assert tenant is not None
    await everything(owner, robin, Organizations(tenant, watched.running.services))
    assert {action for action, _, _ in book.asked} == set(ACTIONS)
    assert [action for action, _ in book.told] != []
    assert {action for action, _ in book.told} == set(ACTIONS)
    assert len(ACTIONS) == 15
    for action, values, about in book.asked:
        assert about["tenant"] == "acme"
        assert bool(values) == (action in OVERRIDABLE), action
    made = next(about for action, about in book.told if action == "create_organization")
    assert made["organization"]["id"] == made["organization_id"]
    assert made["user_id"] == owner.user_id


async def test_a_hook_that_says_no_is_answered_to_the_client_and_nothing_is_done(
    watched: Installation, book: Book
) -> None:
    owner = await signed_in(watched)
    await organization_of(owner)
    book.refuses.add("create_team")
    refused = await owner.post("/organization/create-team", name="Tools")
    assert (refused.status, refused.body) == (403, {"code": "NOT_TODAY", "message": "Not today"})
    assert len((await owner.get("/organization/list-teams")).body) == 1
    assert "create_team" not in [action for action, _ in book.told]


async def test_a_hook_s_values_take_the_place_of_the_caller_s(watched: Installation, book: Book) -> None:
    owner = await signed_in(watched)
    address, other = new_address(), new_address()
    book.answers = {
        "create_organization": {"name": "By hook"},
        "create_team": {"name": "Hooked"},
        "invite_member": {"email": other},
        "remove_team": {"name": "ignored"},
    }
    assert (await organization_of(owner))["name"] == "By hook"
    team = (await owner.post("/organization/create-team", name="Tools")).body
    assert team["name"] == "Hooked"
    invited = await owner.post("/organization/invite-member", email=address, role="member")
    assert invited.body["email"] == other
    book.answers = {"invite_member": {"role": ["owner", "emperor"]}}
    unknown = await owner.post("/organization/invite-member", email=address, role="member")
    assert (unknown.status, unknown.body["message"]) == (400, "ROLE_NOT_FOUND: emperor")


async def test_a_hook_s_values_are_held_to_what_a_caller_s_are(watched: Installation, book: Book) -> None:
    owner = await signed_in(watched)
    organization = await organization_of(owner)
    for wrong in ({"slug": "Not A Slug"}, {"name": ""}, {"logo": "javascript:alert(1)"}, {"metadata": []}):
        book.answers |= {"create_organization": wrong, "update_organization": wrong}
        created = await owner.post("/organization/create", name="Other", slug="other-of-hooks")
        updated = await owner.post("/organization/update", data={"name": "Other"})
        assert {(each.status, each.code) for each in (created, updated)} == {(400, "VALIDATION_ERROR")}
    assert [each["id"] for each in (await owner.get("/organization/list")).body] == [organization["id"]]


async def test_an_agent_s_tools_ask_the_same_hooks_and_are_held_to_the_same(
    watched: Installation, book: Book
) -> None:
    agent = await agent_for(watched, "acme", watched.tenant("acme").users[0])
    tool, named = "create-organization", {"name": "Theirs", "slug": "made-by-agent"}
    book.refuses = {"add_member"}
    assert (await agent.use(tool, **named)).code == "NOT_TODAY"
    book.refuses = set()
    book.answers = {"create_organization": {"logo": "javascript:alert(1)"}}
    assert (await agent.use(tool, **named)).code == "VALIDATION_ERROR"
    book.clear()
    made = await agent.use(tool, **named)
    told = [action for action, _ in book.told]
    assert [action for action, _, _ in book.asked] == told == ["create_organization", "add_member"]
    inviting = {"email": new_address(), "organizationId": made.value["organization"]["id"]}
    book.answers = {"invite_member": {"team_id": ["tem_nowhere"]}}
    assert (await agent.use("invite-member", **inviting)).code == "TEAM_NOT_FOUND"
    book.clear()
    manager, id = await watched.manager("acme"), inviting["organizationId"]
    robin = await signed_in(watched)
    await manager.post(f"/organizations/{id}/members", {"members": [robin.user_id]})
    members = (await agent.use("list-members", organizationId=id)).value["members"]
    of_robin = next(each["id"] for each in members if each["userId"] == robin.user_id)
    await agent.use("update-member-role", memberId=of_robin, roles=["admin"], organizationId=id)
    await agent.use("remove-member", memberIdOrEmail=of_robin, organizationId=id)
    for action, whom in (("update_member_role", "member_id"), ("remove_member", "member_id_or_email")):
        asked = next(each for each in book.asked if each[0] == action)
        said = next(about for each, about in book.told if each == action)
        assert (asked[2][whom], said[whom], bool(asked[1])) == (of_robin, of_robin, action in OVERRIDABLE)
    book.clear()
    required = {"code": {"type": "string", "required": True}}
    async with telling(watched, additional_fields={"organization": required, "invitation": required}):
        for name, arguments in ((tool, {**named, "slug": "no-code"}), ("invite-member", inviting)):
            refused = await agent.use(name, **arguments)
            assert (refused.code, refused.value["message"]) == ("VALIDATION_ERROR", "[body.code] Required")


async def test_nobody_is_asked_about_what_is_not_allowed(watched: Installation, book: Book) -> None:
    owner, stranger = await signed_in(watched), await signed_in(watched)
    organization_id = (await organization_of(owner))["id"]
    book.asked.clear()
    for path, body in (
        ("create-team", {"name": "x"}),
        ("update", {"data": {"name": "x"}}),
        ("invite-member", {"email": new_address(), "role": "member"}),
        ("delete", {}),
        ("remove-member", {"memberIdOrEmail": owner.email}),
    ):
        answer = await stranger.post(f"/organization/{path}", **body, organizationId=organization_id)
        assert answer.status in (400, 403), path
    assert book.asked == []
    listed = (await owner.get("/organization/list")).body
    assert [row["id"] for row in listed] == [organization_id]


async def test_what_becomes_of_who_acts_while_a_hook_is_asked_counts(
    watched: Installation, book: Book
) -> None:
    manager, tenant = await watched.manager("acme"), await watched.running.platform.directory.by_id("acme")
    assert tenant is not None
    organizations = Organizations(tenant, watched.running.services)
    for acts_here, happens in product((True, False), ("demoted", "put out", "blocked", "suspended")):
        company = await Company.of(watched)
        admin, body = await company.person("admin"), {"name": "Late", "organizationId": company.id}
        about = {
            "demoted": partial(company.give, company.owner, admin, "member"),
            "put out": partial(company.remove, company.owner, admin),
            "blocked": partial(manager.patch, f"/users/{admin.user_id}", {"blocked": True}),
            "suspended": partial(suspend, watched, company.id),
        }
        book.meanwhile["create_team"] = about[happens]
        if acts_here:
            with pytest.raises(ApiError) as refused:
                await organizations.create_team(by=admin.user_id, name="Late", organization_id=company.id)
            status = refused.value.status
        else:
            status = (await admin.post("/organization/create-team", **body)).status
        assert book.meanwhile == {}
        assert status == (401 if happens == "blocked" else 403), (acts_here, happens)
    assert "create_team" not in [action for action, _ in book.told]


async def test_an_observer_that_fails_undoes_nothing(watched: Installation, book: Book) -> None:
    owner = await signed_in(watched)
    book.breaks.add("create_organization")
    made = await organization_of(owner)
    assert [row["id"] for row in (await owner.get("/organization/list")).body] == [made["id"]]


def test_what_is_no_hook_stops_the_start() -> None:
    class Misspelt:
        async def before_make_organization(self, values: Any, about: Any) -> None: ...

    class NotAsync:
        def before_create_team(self, values: Any, about: Any) -> None: ...

    class Sends:
        async def send_invitation(self, invitation: Any, about: Any) -> None: ...

    for hooks, sentence in (
        ([Misspelt()], "no organization hook before_make_organization"),
        ([NotAsync()], "before_create_team must be async"),
        ([Sends(), Sends()], "More than one organization hook sends invitations"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            InstalledHooks(hooks)
