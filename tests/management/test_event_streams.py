"""Event streams: whoever changes users, organizations and members, it is told once it is so, and signed."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from core.ids import new_id
from core.tenants import Tenant
from entrypoints.network import Api, ApiError
from tenant_runtime.streams import following
from tenant_runtime.streams.changes import TYPES
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.organizations.people import signed_in
from tests.organizations.places import organization_of
from tests.receivers import Receiver, receiving
from tests.waiting import until

pytestmark = pytest.mark.anyio

MEMBERS = ("added", "deleted", "updated", "role.assigned", "role.deleted")
ALL = [
    *(f"{kind}.{what}" for kind in ("user", "organization") for what in ("created", "updated", "deleted")),
    *(f"organization.member.{what}" for what in MEMBERS),
]
WITHIN = [type for type in TYPES if type.startswith("organization.") and type not in ALL]
PLATFORM = [f"tenant.{what}" for what in ("created", "updated", "suspended", "resumed", "deleted")]


class Hook:
    """A stream of one tenant, and what has come by it."""

    def __init__(self, installation: Installation, tenant_id: str, api: Api, receiver: Receiver) -> None:
        self.installation = installation
        self.tenant_id = tenant_id
        self.api = api
        self.receiver = receiver
        self.made: dict[str, Any] = {}

    async def make(self, *types: str, **configuration: Any) -> dict[str, Any]:
        body = {
            "name": "Hook",
            "subscriptions": [{"event_type": type} for type in types or ALL],
            "destination": {
                "type": "webhook",
                "configuration": {"webhook_endpoint": self.receiver.url("/hook"), **configuration},
            },
        }
        self.made = await self.api.post("/event-streams", body)
        return self.made

    def messages(self) -> list[dict[str, Any]]:
        """Each once: at least once is promised."""
        found = {}
        for sent in self.receiver.sent:
            message = json.loads(sent.body)
            assert sent.headers["webhook-id"] == message["id"]
            found[message["id"]] = message
        return list(found.values())

    def types(self) -> list[str]:
        return sorted(message["type"] for message in self.messages())

    async def told(self, *types: str) -> list[dict[str, Any]]:
        """Waits for exactly these, and forgets them."""

        async def came() -> bool:
            return len(self.types()) >= len(types)

        await until(came)
        messages = self.messages()
        assert self.types() == sorted(types)
        self.receiver.sent.clear()
        return messages

    async def tenant(self) -> Tenant:
        found = await self.installation.running.platform.directory.by_id(self.tenant_id)
        assert found is not None
        return found


@pytest.fixture
async def hook(golden: Any, data_dir: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hook]:
    monkeypatch.setattr(following, "GATHER_SECONDS", 0.02)
    async with receiving(Receiver()) as receiver:
        settings = settings_for(data_dir, outbound_allowed=frozenset({receiver.address}))
        async with serving(settings, golden[1]) as installation:
            yield Hook(installation, "acme", await installation.manager("acme"), receiver)


async def test_every_way_to_change_people_organizations_and_members_is_told(hook: Hook) -> None:
    api = hook.api
    await hook.make()
    user = await api.post(
        "/users", {"email": "ada@new.example", "password": "correct horse battery", "app_metadata": {"a": 1}}
    )
    [created] = await hook.told("user.created")
    assert created["data"]["object"]["user_id"] == user["user_id"]
    assert created["data"]["object"]["app_metadata"] == {"a": 1}
    assert created["data"]["object"]["email_verified"] is False
    assert created["data"]["object"]["identities"][0]["provider"] == "auth0"
    assert created["source"] == hook.installation.tenant("acme").issuer
    assert created["specversion"] == "1.0"
    assert created["a0stream"] == hook.made["id"]
    assert "hash" not in json.dumps(created)
    assert "correct horse" not in json.dumps(created)
    path = f"/users/{user['user_id']}"
    await api.patch(path, {"name": "Ada"})
    [updated] = await hook.told("user.updated")
    assert updated["data"]["object"]["name"] == "Ada"
    await api.patch(path, {"name": "Ada"})
    organization = await api.post("/organizations", {"name": "hooks", "metadata": {"x": "y"}})
    [made] = await hook.told("organization.created")
    assert made["data"]["object"]["metadata"] == {"x": "y"}
    inside = f"/organizations/{organization['id']}"
    await api.patch(inside, {"display_name": "Hooks"})
    await hook.told("organization.updated")
    await api.post(f"{inside}/members", {"members": [user["user_id"]]})
    [added] = await hook.told("organization.member.added")
    assert added["data"]["object"] == {
        "organization": {"id": organization["id"], "name": "hooks"},
        "user": {"user_id": user["user_id"]},
        "member": {"role": "member"},
    }
    role = await api.post("/roles", {"name": "Hooked"})
    await api.post(f"{inside}/members/{user['user_id']}/roles", {"roles": [role["id"]]})
    [assigned] = await hook.told("organization.member.role.assigned")
    assert assigned["data"]["object"]["role"] == {"id": role["id"], "name": "Hooked"}
    await api.delete(f"{inside}/members/{user['user_id']}/roles", {"roles": [role["id"]]})
    await hook.told("organization.member.role.deleted")
    await api.delete(f"{inside}/members", {"members": [user["user_id"]]})
    await hook.told("organization.member.deleted")
    await api.post(f"{inside}/members", {"members": [user["user_id"]]})
    await hook.told("organization.member.added")
    await api.delete(path)
    gone = await hook.told("user.deleted", "organization.member.deleted")
    assert {message["data"]["object"].get("user_id") for message in gone} == {user["user_id"], None}
    await api.delete(inside)
    await hook.told("organization.deleted")


async def test_sign_up_and_what_is_done_past_the_api_is_told_too(hook: Hook) -> None:
    await hook.make("user.created", "user.updated")
    demo = hook.installation.tenant("acme")
    async with hook.installation.browser() as http:
        body = {
            "client_id": demo.clients["spa"].client_id,
            "connection": "Username-Password-Authentication",
            "email": "signed-up@new.example",
            "password": "correct horse battery",
        }
        answer = await http.post(f"{demo.issuer}dbconnections/signup", json=body)
        assert answer.status_code == 200, answer.text
    [created] = await hook.told("user.created")
    assert created["data"]["object"]["email"] == "signed-up@new.example"
    party = hook.installation.relying_party("acme")
    await party.sign_in()
    statement = text("UPDATE users SET name = 'By hand' WHERE email = 'signed-up@new.example'")
    await (await hook.tenant()).database.alone(lambda connection: connection.execute(statement) and None)
    [updated] = await hook.told("user.updated")
    assert updated["data"]["object"]["name"] == "By hand", "a sign-in changes nothing that is told of"


async def test_what_an_organization_has_is_told_of_and_never_the_secret_of_a_letter(hook: Hook) -> None:
    owner, robin = await signed_in(hook.installation), await signed_in(hook.installation)
    organization_id = (await organization_of(owner))["id"]
    await hook.make(*WITHIN)

    async def done(path: str, **body: Any) -> Any:
        answer = await owner.post(f"/organization/{path}", **body)
        assert answer.status == 200, answer
        return answer.body

    team = await done("create-team", name="Tools")
    [created] = await hook.told("organization.team.created")
    assert created["data"]["object"]["organization"]["id"] == organization_id
    assert created["data"]["object"]["team"]["name"] == "Tools"
    await done("update-team", teamId=team["id"], data={"name": "Works"})
    await hook.told("organization.team.updated")
    invitation = await done("invite-member", email=robin.email, role="member", teamId=team["id"])
    [invited] = await hook.told("organization.invitation.created")
    assert invited["data"]["object"]["invitation"]["email"] == robin.email
    assert "digest" not in json.dumps(invited)
    await robin.post("/organization/accept-invitation", invitationId=invitation["id"])
    [_, added] = sorted(
        await hook.told("organization.invitation.accepted", "organization.team.member.added"),
        key=lambda message: str(message["type"]),
    )
    assert added["data"]["object"]["user"] == {"user_id": robin.user_id}
    for answer, word in (("reject", "rejected"), ("cancel", "canceled")):
        other = await signed_in(hook.installation)
        asked = await done("invite-member", email=other.email, role="member")
        who = other if answer == "reject" else owner
        await who.post(f"/organization/{answer}-invitation", invitationId=asked["id"])
        await hook.told("organization.invitation.created", f"organization.invitation.{word}")
    await done("create-role", role="clerk", permission={"team": ["create"]})
    await done("update-role", roleName="clerk", data={"roleName": "scribe"})
    await done("delete-role", roleName="scribe")
    told = await hook.told(*(f"organization.role.{what}" for what in ("created", "updated", "deleted")))
    assert {message["data"]["object"]["role"]["role"] for message in told} == {"clerk", "scribe"}
    await done("remove-member", memberIdOrEmail=robin.email)
    await hook.told("organization.team.member.deleted")
    await done("set-active-team", teamId=None)
    await done("remove-team", teamId=team["id"])
    await hook.told("organization.team.deleted")
    await done("delete", organizationId=organization_id)
    await owner.post("/organization/create", name="After", slug=new_id("x")[2:].lower())
    await hook.told("organization.team.created", "organization.team.member.added")


async def test_what_a_member_is_to_the_organization_is_told_once_for_each_change(hook: Hook) -> None:
    owner, robin = await signed_in(hook.installation), await signed_in(hook.installation)
    organization_id = (await organization_of(owner))["id"]
    await hook.make("organization.member.added", "organization.member.updated", "organization.member.deleted")
    invitation = await owner.post("/organization/invite-member", email=robin.email, role=["admin", "member"])
    accepted = await robin.post("/organization/accept-invitation", invitationId=invitation.body["id"])
    [added] = await hook.told("organization.member.added")
    assert (
        added["data"]["object"]["member"]
        == {"role": accepted.body["member"]["role"]}
        == {"role": "admin,member"}
    )

    async def becomes(*roles: str) -> Any:
        which = {"memberId": accepted.body["member"]["id"], "organizationId": organization_id}
        answer = await owner.post("/organization/update-member-role", role=list(roles), **which)
        assert answer.status == 200, answer
        return answer.body

    for roles in (("admin",), ("owner", "admin")):
        changed = await becomes(*roles)
        [updated] = await hook.told("organization.member.updated")
        assert updated["data"]["object"]["member"] == {"role": changed["role"]}
        assert updated["data"]["object"]["user"] == {"user_id": robin.user_id}
        assert updated["data"]["object"]["organization"]["id"] == organization_id
    await becomes("admin", "owner")
    await becomes("member")
    which = {"memberId": accepted.body["member"]["id"], "organizationId": organization_id}
    assert (await owner.post("/organization/transfer-ownership", **which)).status == 200
    told = await hook.told(*["organization.member.updated"] * 3)
    of = sorted(
        (each["data"]["object"]["user"]["user_id"] == owner.user_id, each["data"]["object"]["member"]["role"])
        for each in told
    )
    assert of == [(False, "member"), (False, "member,owner"), (True, "admin")]


async def test_what_was_rolled_back_is_not_told_and_nobody_listening_costs_no_row(hook: Hook) -> None:
    tenant = await hook.tenant()

    async def rows() -> int:
        statement = text("SELECT count(*) FROM changes")
        return int(await tenant.database.read(lambda connection: connection.execute(statement).scalar_one()))

    await hook.api.post("/users", {"email": "unheard@new.example"})
    assert await rows() == 0
    await hook.make("user.updated")

    def fail(connection: Any) -> None:
        connection.execute(text("UPDATE users SET name = 'Nobody'"))
        raise LookupError

    with pytest.raises(LookupError):
        await tenant.database.write(fail)
    assert await rows() == 0
    first = (await hook.api.get("/users"))[0]
    await hook.api.patch(f"/users/{first['user_id']}", {"nickname": "Somebody"})
    await hook.told("user.updated")


async def test_a_message_is_signed_and_shows_the_authorization_that_only_the_receiver_knows(
    hook: Hook,
) -> None:
    authorization = {"method": "basic", "username": "hook", "password": "s3cret-of-the-hook"}
    made = await hook.make("user.created", webhook_authorization=authorization)
    shown = await hook.api.get(f"/event-streams/{made['id']}")
    assert shown["destination"]["configuration"]["webhook_authorization"] == {
        "method": "basic",
        "username": "hook",
    }
    assert "signing_secret" not in shown
    assert await hook.api.get("/event-streams", take=10) == {"eventStreams": [shown]}
    await hook.api.post("/users", {"email": "signed@new.example"})
    await hook.receiver.arrivals(1)
    sent = hook.receiver.sent[0]
    Webhook(made["signing_secret"]).verify(sent.body, dict(sent.headers))
    assert sent.headers["authorization"] == "Basic aG9vazpzM2NyZXQtb2YtdGhlLWhvb2s="
    assert "s3cret-of-the-hook" not in json.dumps(await hook.api.get("/logs"))
    rotated = await hook.api.post(f"/event-streams/{made['id']}/rotate-secret")
    await hook.api.post("/users", {"email": "signed2@new.example"})
    await hook.receiver.arrivals(2)
    for secret in (made["signing_secret"], rotated["signing_secret"]):
        Webhook(secret).verify(hook.receiver.sent[1].body, dict(hook.receiver.sent[1].headers))
    moved = {"webhook_endpoint": hook.receiver.url("/other")}
    change = {"destination": {"type": "webhook", "configuration": moved}}
    with pytest.raises(ApiError, match=r"answered 400.*must be given again"):
        await hook.api.patch(f"/event-streams/{made['id']}", change)
    moved["webhook_authorization"] = {"method": "bearer", "token": "t"}  # type: ignore[assignment]
    await hook.api.patch(f"/event-streams/{made['id']}", change)
    await hook.api.post("/users", {"email": "signed3@new.example"})
    await hook.receiver.arrivals(3)
    assert hook.receiver.sent[2].target == "/other"
    assert hook.receiver.sent[2].headers["authorization"] == "Bearer t"


async def test_what_did_not_arrive_is_seen_and_sent_again(hook: Hook) -> None:
    hook.receiver.usual = 410
    made = await hook.make("user.created")
    user = await hook.api.post("/users", {"email": "lost@new.example"})
    path = f"/event-streams/{made['id']}"

    async def failed() -> bool:
        found = (await hook.api.get(f"{path}/deliveries", take=10))["deliveries"]
        return len(found) == 1 and found[0]["is_given_up"]

    await until(failed)
    [delivery] = (await hook.api.get(f"{path}/deliveries", take=10))["deliveries"]
    assert (delivery["status"], delivery["event_type"]) == ("failed", "user.created")
    assert delivery["attempts"][0]["error_message"] == "status 410"
    assert await hook.api.get(f"{path}/deliveries", event_types="user.deleted") == []
    whole = await hook.api.get(f"{path}/deliveries/{delivery['id']}")
    assert whole["event"]["data"]["object"]["user_id"] == user["user_id"]
    assert whole["event"]["id"] == delivery["id"]
    hook.receiver.usual = 200
    hook.receiver.sent.clear()
    await hook.api.post(f"{path}/redeliver/{delivery['id']}")
    [message] = await hook.told("user.created")
    assert message["id"] == delivery["id"]
    assert await hook.api.get(f"{path}/deliveries") == []
    hook.receiver.usual = 410
    await hook.api.post("/users", {"email": "lost2@new.example"})
    await until(failed)
    hook.receiver.usual = 200
    hook.receiver.sent.clear()
    assert (await hook.api.post(f"{path}/redeliver", {}))["redeliveries"] == 1
    await hook.told("user.created")
    hook.receiver.usual = 410
    for said in ({"user_id": {"any": "thing"}}, {"user_id": user["user_id"]}):
        test = {"event_type": "user.created", "data": said}
        tried = f"{path}/deliveries/{(await hook.api.post(f'{path}/test', test))['id']}"

        async def has_failed(tried: str = tried) -> bool:
            return await hook.api.status("GET", tried) == 200

        await until(has_failed)
        whole = await hook.api.get(tried)
        assert whole["attempts"][0]["error_message"] == "status 410"
        assert whole["event"]["data"]["object"] == said, "what a test says is of no user"
    for unknown in (f"{path}/redeliver/evt_nobody", "/event-streams/est_nobody/redeliver/evt_nobody"):
        assert await hook.api.status("POST", unknown) == 404


async def test_a_test_says_that_it_is_one_and_a_disabled_stream_is_told_nothing_later(hook: Hook) -> None:
    made = await hook.make("user.created")
    path = f"/event-streams/{made['id']}"
    shown = await hook.api.post(
        f"{path}/test", {"event_type": "organization.deleted", "data": {"id": "org_x"}}
    )
    [message] = await hook.told("organization.deleted")
    assert message == shown["event"]
    assert (message["a0purpose"], message["data"]["object"]) == ("test", {"id": "org_x"})
    await hook.api.patch(path, {"status": "disabled"})
    await hook.api.post("/users", {"email": "while-disabled@new.example"})
    await hook.api.patch(path, {"status": "enabled"})
    await hook.api.post("/users", {"email": "while-enabled@new.example"})
    [message] = await hook.told("user.created")
    assert message["data"]["object"]["email"] == "while-enabled@new.example"
    await hook.api.delete(path)
    await hook.api.post("/users", {"email": "after@new.example"})
    assert await hook.api.get("/event-streams") == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"subscriptions": [{"event_type": "tenant.created"}]}, "no type of event"),
        ({"subscriptions": []}, "subscriptions"),
        ({"destination": {"type": "eventbridge", "configuration": {}}}, "type"),
        ({"destination": {"type": "webhook", "configuration": {}}}, "webhook_endpoint"),
        (
            {"destination": {"type": "webhook", "configuration": {"webhook_endpoint": "https://10.0.0.1/"}}},
            "not a public one",
        ),
        (
            {
                "destination": {
                    "type": "webhook",
                    "configuration": {
                        "webhook_endpoint": "https://hooks.example.com/",
                        "webhook_authorization": {"method": "basic", "token": "x"},
                    },
                }
            },
            "username and password",
        ),
    ],
)
async def test_a_stream_that_cannot_be_is_refused(
    shared: Installation, change: dict[str, Any], sentence: str
) -> None:
    configuration = {"webhook_endpoint": "https://hooks.example.com/"}
    body = {
        "subscriptions": [{"event_type": "user.created"}],
        "destination": {"type": "webhook", "configuration": configuration},
    }
    with pytest.raises(ApiError, match=f"answered 400.*{sentence}"):
        await (await shared.manager("acme")).post("/event-streams", {**body, **change})


async def test_on_the_control_plane_tenants_are_told_of(hook: Hook) -> None:
    operator = await hook.installation.operator()
    hook.api = operator
    await hook.make(*PLATFORM)
    name = f"t{new_id('x')[2:10].lower()}"
    await operator.post("/tenants", {"id": name, "display_name": "Told"})
    [created] = await hook.told("tenant.created")
    assert created["data"]["object"]["display_name"] == "Told"
    await operator.patch(f"/tenants/{name}", {"display_name": "Told again"})
    [updated] = await hook.told("tenant.updated")
    assert updated["data"]["object"]["display_name"] == "Told again"
    await operator.post(f"/tenants/{name}/suspend")
    [suspended] = await hook.told("tenant.suspended")
    assert suspended["data"]["object"] == updated["data"]["object"]
    await operator.post(f"/tenants/{name}/resume")
    await hook.told("tenant.resumed")
    await operator.delete(f"/tenants/{name}")
    await hook.told("tenant.deleted")
