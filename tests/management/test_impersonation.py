"""A token in a user's name: who gets one, what it says, what it opens, what is written down (RFC 8693 section 4.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import DemoClient, DemoUser
from tests.controlplane.conftest import Platform, platform_of
from tests.installation import Installation
from tests.operators import Caller, make_user, operator_token, token_of
from tests.relying_party import payload

pytestmark = pytest.mark.anyio

REASON = "Ticket 4711: sees no invoices"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True)
class Desk:
    """Acme with a user who is in trouble, and people who would help."""

    installation: Installation
    platform: Platform
    machine: Caller
    target: str
    admin: Caller
    admin_id: str

    @property
    def acme(self) -> Any:
        return self.installation.tenant("acme")

    @property
    def web(self) -> DemoClient:
        client: DemoClient = self.acme.clients["web"]
        return client

    def asked(self, **changes: Any) -> dict[str, Any]:
        body = {
            "reason": REASON,
            "client_id": self.web.client_id,
            "audience": self.acme.api_audience,
            "scope": "openid profile read:invoices offline_access",
        }
        return {name: value for name, value in {**body, **changes}.items() if value is not None}

    async def ask(
        self, caller: Caller | None = None, *, user: str | None = None, headers: Any = None, **changes: Any
    ) -> httpx.Response:
        url = f"{self.acme.issuer}api/v2/users/{user or self.target}/impersonation"
        return await (caller or self.admin).call("POST", url, self.asked(**changes), headers=headers)

    async def person(self, *permissions: str) -> tuple[str, Caller]:
        """Somebody of acme's own with these permissions of its Management API."""
        user_id, user = await make_user(self.installation, self.acme.issuer, str(self.machine.token))
        held = [
            {"resource_server_identifier": self.acme.management_audience, "permission_name": permission}
            for permission in permissions
        ]
        url = f"{self.acme.issuer}api/v2/users/{user_id}/permissions"
        if held:
            assert (await self.machine.call("POST", url, {"permissions": held})).status_code in (200, 201)
        return user_id, Caller(self.installation.http, await self.token(user))

    async def token(self, user: DemoUser) -> str:
        acme = self.acme
        return await token_of(self.installation, acme.issuer, self.web, acme.management_audience, user)

    async def log(self, caller: Caller, issuer: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = (await caller.call("GET", f"{issuer}api/v2/logs", per_page=100)).json()
        return events

    async def introspected(self, token: str) -> Mapping[str, Any]:
        form = {"token": token, "client_id": self.web.client_id, "client_secret": self.web.client_secret}
        answer = await self.installation.http.post(f"{self.acme.issuer}oauth/introspect", data=form)
        found: Mapping[str, Any] = answer.json()
        return found


@pytest.fixture
async def desk(installation: Installation) -> Desk:
    platform = await platform_of(installation)
    acme = installation.tenant("acme")
    machine = Caller(installation.http, (await installation.manager("acme"))._headers["Authorization"][7:])
    target, _ = await make_user(installation, acme.issuer, str(machine.token))
    partial = Desk(installation, platform, machine, target, machine, "")
    admin_id, admin = await partial.person("create:impersonation", "read:users", "read:logs")
    return Desk(installation, platform, machine, target, admin, admin_id)


async def test_the_token_says_who_acts_and_ends_within_half_an_hour(desk: Desk) -> None:
    answer = await desk.ask()
    assert answer.status_code == 201, answer.text
    body = answer.json()
    claims = payload(body["access_token"])
    assert (claims["sub"], claims["iss"]) == (desk.target, desk.acme.issuer)
    assert claims["act"] == {"sub": desk.admin_id, "iss": desk.acme.issuer}
    assert claims["exp"] - claims["iat"] == body["expires_in"] <= 1800
    assert "offline_access" not in claims["scope"]
    assert not {"refresh_token", "id_token"} & body.keys()
    assert not {"auth_time", "amr", "acr", "sid"} & claims.keys(), "the user has not signed in"
    seen = await desk.introspected(body["access_token"])
    assert (seen["active"], seen["act"]) == (True, claims["act"])
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    person = await desk.installation.http.get(f"{desk.acme.issuer}userinfo", headers=bearer)
    assert (person.json()["sub"], person.json()["act"]) == (desk.target, claims["act"])
    desk.installation.clock.advance(1801 + 60)
    assert (await desk.introspected(body["access_token"])) == {"active": False}


async def test_who_whom_why_and_until_when_is_in_the_logs_and_the_token_is_not(desk: Desk) -> None:
    body = (await desk.ask()).json()
    events = await desk.log(desk.machine, desk.acme.issuer)
    mine = [event for event in events if event.get("description") == f"Impersonate user {desk.target}"]
    theirs = [
        event for event in events if event.get("user_id") == desk.target and "given" in event["description"]
    ]
    assert len(mine) == len(theirs) == 1
    told = mine[0]["details"]["after"]
    assert mine[0]["user_id"] == desk.admin_id
    assert (told["user_id"], told["reason"], told["expires_at"]) == (desk.target, REASON, body["expires_at"])
    assert theirs[0]["details"]["act"]["sub"] == desk.admin_id
    assert body["access_token"] not in str(events)


async def test_it_is_taken_back_at_once(desk: Desk) -> None:
    url = f"{desk.acme.issuer}api/v2/users/{desk.target}/impersonation"
    body = (await desk.ask()).json()
    assert (await desk.admin.call("DELETE", f"{url}/{body['id']}")).status_code == 204
    assert await desk.introspected(body["access_token"]) == {"active": False}
    assert (await desk.admin.call("DELETE", f"{url}/fam_0000000000000000")).status_code == 404
    other = (await desk.ask()).json()
    form = {
        "token": other["access_token"],
        "client_id": desk.web.client_id,
        "client_secret": desk.web.client_secret,
    }
    await desk.installation.http.post(f"{desk.acme.issuer}oauth/revoke", data=form)
    assert await desk.introspected(other["access_token"]) == {"active": False}
    last = (await desk.ask()).json()
    blocked = f"{desk.acme.issuer}api/v2/users/{desk.target}"
    assert (await desk.machine.call("PATCH", blocked, {"blocked": True})).status_code == 200
    assert await desk.introspected(last["access_token"]) == {"active": False}
    assert (await desk.ask()).status_code == 403, "nobody is in a blocked user's name"


async def test_it_ends_with_the_actor(desk: Desk) -> None:
    operator = await desk.platform.person("Platform Admin")
    actors = (
        (desk.admin, desk.acme.issuer, desk.admin_id),
        (operator, desk.platform.issuer, operator.user_id),
    )  # type: ignore[attr-defined]
    for caller, home, whose in actors:
        token = (await desk.ask(caller)).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (
            await desk.installation.http.get(f"{desk.acme.issuer}userinfo", headers=bearer)
        ).status_code == 200
        owner = desk.machine if home == desk.acme.issuer else desk.platform.machine
        gone = await owner.call("PATCH", f"{home}api/v2/users/{whose}", {"blocked": True})
        assert gone.status_code == 200, gone.text
        assert await desk.introspected(token) == {"active": False}
        assert (
            await desk.installation.http.get(f"{desk.acme.issuer}userinfo", headers=bearer)
        ).status_code == 401


async def test_it_opens_neither_api_that_has_power_and_is_exchanged_for_nothing(desk: Desk) -> None:
    token = (await desk.ask()).json()["access_token"]
    helper = Caller(desk.installation.http, token)
    assert (await helper.call("GET", f"{desk.acme.issuer}api/v2/users")).status_code == 401
    plane = desk.installation.demo.control_plane.issuer
    assert (await helper.call("GET", f"{plane}api/v2/tenants")).status_code == 401
    for audience in (desk.acme.api_audience, desk.acme.management_audience, None):
        form = {
            "grant_type": EXCHANGE,
            "client_id": desk.web.client_id,
            "client_secret": desk.web.client_secret,
            "subject_token": token,
            "subject_token_type": ACCESS,
            **({"audience": audience} if audience else {}),
        }
        patch = f"{desk.acme.issuer}api/v2/clients/{desk.web.client_id}"
        client = (await desk.machine.call("GET", patch)).json()
        grants = sorted({*client["grant_types"], EXCHANGE})
        assert (await desk.machine.call("PATCH", patch, {"grant_types": grants})).status_code == 200
        answer = await desk.installation.http.post(f"{desk.acme.issuer}oauth/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), audience
        assert "exchanged for nothing" in answer.json()["error_description"]


NOT_WELL_ASKED: list[tuple[dict[str, Any], int]] = [
    ({"reason": None}, 400),
    ({"reason": "too short"}, 400),
    ({"reason": "x" * 501}, 400),
    ({"reason": " " * 20}, 400),
    ({"reason": "a line\nand another one"}, 400),
    ({"client_id": "nobody"}, 404),
    ({"audience": "https://nobody.example"}, 404),
    ({"audience": None}, 400),
    ({"organization": "org_0000000000000000"}, 400),
    ({"expires_in": 86400}, 400),
    ({"act": {"sub": "x"}}, 400),
]


async def test_what_is_not_well_asked_is_refused(desk: Desk) -> None:
    for changes, status in NOT_WELL_ASKED:
        assert (await desk.ask(**changes)).status_code == status, changes


async def test_never_for_the_management_api_oneself_or_by_a_machine(desk: Desk) -> None:
    assert (await desk.ask(audience=desk.acme.management_audience)).status_code == 403
    assert (await desk.ask(user=desk.admin_id)).status_code == 403
    assert (await desk.ask(desk.machine)).status_code == 403
    _, clerk = await desk.person("read:users", "update:users")
    refused = await desk.ask(clerk)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "insufficient_scope")
    assert (await desk.ask(user="auth0|0000")).status_code == 404


async def test_never_for_somebody_who_may_do_more(desk: Desk) -> None:
    stronger, _ = await desk.person("delete:users")
    answer = await desk.ask(user=stronger)
    assert answer.status_code == 403
    assert "delete:users" in answer.json()["message"]
    equal, _ = await desk.person("read:users")
    assert (await desk.ask(user=equal)).status_code == 201


async def test_an_operator_and_a_delegated_administrator_are_written_down_at_home_too(desk: Desk) -> None:
    platform = desk.platform
    tenant = (await platform("GET", "/tenants/acme")).json()
    operator = await platform.person("Platform Admin")
    user_id, user = await make_user(desk.installation, platform.issuer, str(platform.machine.token))
    await platform.join(tenant, user_id)
    roles = (await platform("GET", "/roles", per_page=100)).json()
    admin = next(role["id"] for role in roles if role["name"] == "Tenant Admin")
    members = f"/organizations/{tenant['organization_id']}/members"
    await platform("POST", f"{members}/{user_id}/roles", {"roles": [admin]})
    delegated = Caller(
        desk.installation.http, await operator_token(desk.installation, user, tenant["organization_id"])
    )
    for caller, whose in ((operator, operator.user_id), (delegated, user_id)):  # type: ignore[attr-defined]
        answer = await desk.ask(caller)
        assert answer.status_code == 201, answer.text
        claims = payload(answer.json()["access_token"])
        assert claims["act"] == {"sub": whose, "iss": platform.issuer}
        at_home = await desk.log(platform.machine, platform.issuer)
        [told] = [
            event
            for event in at_home
            if event.get("user_id") == whose and "Impersonate" in event.get("description", "")
        ]
        assert (told["details"]["tenant"], told["details"]["reason"]) == ("acme", REASON)
    support = await platform.person("Platform Support")
    assert (await desk.ask(support)).status_code == 403


async def test_never_in_the_name_of_an_operator_not_even_by_another(desk: Desk) -> None:
    platform, http = desk.platform, desk.installation.http
    one, other = await platform.person("Platform Admin"), await platform.person("Platform Auditor")
    plain = await platform.person()
    servers = (await platform("GET", "/resource-servers", per_page=100)).json()
    api = next(server["identifier"] for server in servers if "api/v2" not in server["identifier"])
    console = desk.installation.demo.control_plane.clients["console"].client_id
    body = desk.asked(client_id=console, audience=api)
    statuses = []
    for person in (other, plain):
        path = f"{platform.issuer}api/v2/users/{person.user_id}/impersonation"  # type: ignore[attr-defined]
        statuses.append((await Caller(http, one.token).call("POST", path, body)).status_code)
    assert statuses == [403, 201]


async def test_more_than_thirty_an_hour_are_too_many(desk: Desk) -> None:
    statuses = [(await desk.ask(scope="openid")).status_code for _ in range(31)]
    assert statuses == [201] * 30 + [429]


async def test_what_agents_call_takes_no_such_token(desk: Desk) -> None:
    answer = await desk.ask(audience=f"{desk.acme.issuer}mcp", scope="openid organizations:read")
    assert answer.status_code == 201, answer.text
    token = answer.json()["access_token"]
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    refused = await Caller(desk.installation.http, token).call("POST", f"{desk.acme.issuer}mcp", asked)
    assert refused.status_code == 401
