"""What happens at login, at the token endpoint, at logout and over the API is told by Auth0's types."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from entrypoints.browser import Browser
from entrypoints.demo_content import Demo, DemoClient
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.receivers import Receiver, receiving
from tests.waiting import until

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
OTP = "http://auth0.com/oauth/grant-type/passwordless/otp"
USERS = "Username-Password-Authentication"


class Log:
    def __init__(self, installation: Installation, api: Any) -> None:
        self.installation = installation
        self.api = api
        self.issuer = installation.tenant("acme").issuer
        self.seen: set[str] = set()

    async def new(self) -> list[dict[str, Any]]:
        """What came since this was asked last, but for the test's own changes and tokens."""
        found = await self.api.get("/logs", per_page=100)
        fresh = [event for event in found if event["log_id"] not in self.seen]
        self.seen.update(event["log_id"] for event in fresh)
        return [event for event in fresh if event["type"] not in ("sapi", "seccft")]

    async def types(self) -> list[str]:
        return sorted(event["type"] for event in await self.new())

    async def post(self, path: str, form: dict[str, str]) -> int:
        async with self.installation.browser() as http:
            return (await http.post(f"{self.issuer}{path}", data=form)).status_code

    async def client(self, **members: Any) -> DemoClient:
        whole = {
            "name": "Types",
            "app_type": "native",
            "is_first_party": True,
            "token_endpoint_auth_method": "none",
            **members,
        }
        return DemoClient((await self.api.post("/clients", whole))["client_id"])


@pytest.fixture
async def log(installation: Installation) -> Log:
    made = Log(installation, await installation.manager("acme"))
    await made.new()
    return made


async def test_management_tells_of_people_and_members_by_their_own_types(log: Log) -> None:
    body = {"email": "typed@new.example", "password": "correct horse battery", "connection": USERS}
    user = await log.api.post("/users", body)
    organization = await log.api.post("/organizations", {"name": "typed"})
    members = f"/organizations/{organization['id']}/members"
    await log.api.post(members, {"members": [user["user_id"]]})
    await log.api.post(members, {"members": [user["user_id"]]})
    [added] = await log.new()
    assert added["type"] == "organization_member_added"
    assert (added["organization_id"], added["user_id"]) == (organization["id"], user["user_id"])
    await log.api.delete(members, {"members": [user["user_id"]]})
    assert await log.types() == ["organization_member_removed"]
    await log.api.patch(f"/users/{user['user_id']}", {"email": "typed2@new.example"})
    assert await log.types() == ["sce"]
    await log.api.patch(f"/users/{user['user_id']}", {"password": "another horse battery"})
    assert await log.types() == ["scp"]
    await log.api.delete(f"/users/{user['user_id']}")
    [deleted] = await log.new()
    assert (deleted["type"], deleted["user_name"]) == ("sdu", "typed2@new.example")


async def test_what_fails_at_login_logout_and_sign_up_is_told(log: Log) -> None:
    installation = log.installation
    async with installation.browser() as http:
        party = installation.relying_party("acme", "spa", http=http)
        assert (await party.silent())["error"] == "login_required"
        assert await log.types() == ["fsa"]
        await http.get(f"{log.issuer}oidc/logout", params={"client_id": "nobody"})
        assert await log.types() == ["flo"]
        signup = {
            "client_id": party.client.client_id,
            "connection": USERS,
            "email": party.user.email,
            "password": "correct horse battery",
        }
        await http.post(f"{log.issuer}dbconnections/signup", json=signup)
        assert await log.types() == ["fs"]
        await party.sign_in()
        assert await log.types() == ["s", "seacft"]


async def test_what_fails_for_codes_and_devices_is_told(log: Log) -> None:
    client = await log.client(grant_types=[DEVICE, OTP, "refresh_token"])
    known = {"client_id": client.client_id}
    await log.post("oauth/token", {**known, "grant_type": OTP, "username": "a@b.example", "otp": "123456"})
    assert await log.types() == ["fepotpft"]
    await log.post("oauth/token", {**known, "grant_type": DEVICE, "device_code": "nothing"})
    assert await log.types() == ["fede"]
    await log.post("oauth/device/code", {**known, "audience": "https://nobody.example"})
    assert await log.types() == ["fdeaz"]
    async with log.installation.browser() as http:
        party = log.installation.relying_party("acme", "spa", http=http)
        await party.sign_in()
        await log.new()
        browser = Browser(http, stops=())
        await browser.open(f"{log.issuer}activate")
        await browser.submit({"user_code": "BCDF-GHJK"})
        assert await log.types() == ["fdeac"]
        answer = await http.post(f"{log.issuer}oauth/device/code", data={**known, "scope": "openid"})
        browser = Browser(http, stops=())
        await browser.open(f"{log.issuer}activate")
        await browser.submit({"user_code": answer.json()["user_code"]})
        await browser.submit(button=("decision", "deny"))
        assert await log.types() == ["fdecc"]


@pytest.fixture
async def told(golden: tuple[Any, Demo], data_dir: Any) -> AsyncIterator[tuple[Installation, Receiver]]:
    async with receiving(Receiver()) as receiver:
        settings = settings_for(data_dir, outbound_allowed=frozenset({receiver.address}))
        async with serving(settings, golden[1]) as installation:
            yield installation, receiver


async def test_a_client_that_was_told_of_a_logout_is_in_the_log(
    told: tuple[Installation, Receiver],
) -> None:
    installation, receiver = told
    log = Log(installation, await installation.manager("acme"))
    party = installation.relying_party("acme", "spa")
    logout = {"backchannel_logout_urls": [receiver.url("/logout")]}
    await log.api.patch(f"/clients/{party.client.client_id}", {"oidc_logout": logout})
    tokens = await party.sign_in()
    await party.http.get(f"{log.issuer}oidc/logout", params={"id_token_hint": tokens.body["id_token"]})

    async def is_told() -> bool:
        return bool(await log.api.get("/logs", q="type:oidc_backchannel_logout_succeeded"))

    await until(is_told)
    [event] = await log.api.get("/logs", q="type:oidc_backchannel_logout_succeeded")
    assert event["client_id"] == party.client.client_id


async def test_a_search_finds_by_type_client_user_address_and_day(log: Log) -> None:
    party = log.installation.relying_party("acme", "spa")
    await party.sign_in()
    [signed_in] = await log.api.get("/logs", q="type:s")
    for query in (
        f'client_id:"{party.client.client_id}" AND type:s',
        f'user_name:"{party.user.email}" AND type:s',
        f'user_id:"{signed_in["user_id"]}" AND type:s',
        f'ip:"{signed_in["ip"]}" AND type:s',
        f"date:[{signed_in['date']} TO *] AND type:s",
    ):
        found = await log.api.get("/logs", q=query)
        assert signed_in["log_id"] in {event["log_id"] for event in found}, query
    assert await log.api.get("/logs", q="type:s AND date:[* TO 2020-01-01]") == []
    newest = await log.api.get("/logs", sort="date:-1", per_page=2)
    oldest = await log.api.get("/logs", sort="date:1", per_page=2)
    assert newest[0]["date"] >= newest[1]["date"]
    assert oldest[0]["date"] <= oldest[1]["date"]
    some = await log.api.get("/logs", fields="type,date", per_page=1)
    assert some[0].keys() == {"type", "date"}
    assert {"_id", "log_id", "date", "type", "client_id", "ip", "user_agent", "details"} <= signed_in.keys()
