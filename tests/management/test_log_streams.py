"""Log streams: made and changed, sent and signed, in order and at least once, whatever the receiver does."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from entrypoints.demo_content import Demo, DemoUser
from entrypoints.network import Api, ApiError
from tenant_runtime.streams import following
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.receivers import Receiver, Sent, receiving, saying
from tests.waiting import until

pytestmark = pytest.mark.anyio

TENANT = "acme"
BACKOFFS = 8


@dataclass
class Ground:
    installation: Installation
    receiver: Receiver
    api: Api

    async def stream(self, **members: Any) -> dict[str, Any]:
        sink = {"httpEndpoint": self.receiver.url("/logs"), **members.pop("sink", {})}
        made: dict[str, Any] = await self.api.post(
            "/log-streams", {"name": "Sink", "type": "http", "sink": sink, **members}
        )
        return made

    async def events(self, *names: str) -> None:
        """One change each, in this order."""
        for name in names:
            await self.api.post("/roles", {"name": name})

    def received(self) -> list[dict[str, Any]]:
        return [event for sent in self.receiver.sent for event in events_in(sent)]

    def names(self) -> list[str]:
        """Of the roles that were told of."""
        told = [event["data"]["details"].get("after") or {} for event in self.received()]
        return [after["name"] for after in told if str(after.get("id")).startswith("rol_")]

    async def arrived(self, *names: str) -> None:
        async def have() -> bool:
            return set(names) <= set(self.names())

        await until(have)

    async def advance(self, seconds: float) -> None:
        """Tokens of before may have expired."""
        self.installation.clock.advance(seconds)
        self.installation._tokens.clear()
        self.api = await self.installation.manager(TENANT)
        streams = self.installation.running.services.streams
        assert streams is not None
        streams.soon(TENANT)

    async def stats(self, id: str) -> dict[str, Any]:
        shown: dict[str, Any] = await self.api.get(f"/log-streams/{id}/stats")
        return shown

    async def until_stats(self, id: str, **wanted: Any) -> dict[str, Any]:
        async def are() -> bool:
            shown = await self.stats(id)
            return all(shown.get(name) == value for name, value in wanted.items())

        await until(are)
        return await self.stats(id)


def events_in(sent: Sent) -> list[dict[str, Any]]:
    if sent.body.startswith(b"["):
        found: list[dict[str, Any]] = json.loads(sent.body)
        return found
    return [json.loads(line) for line in sent.body.splitlines()]


@asynccontextmanager
async def grounds(golden: tuple[Path, Demo], data_dir: Path, receiver: Receiver) -> AsyncIterator[Ground]:
    async with receiving(receiver):
        settings = settings_for(data_dir, outbound_allowed=frozenset({receiver.address}))
        async with serving(settings, golden[1]) as installation:
            yield Ground(installation, receiver, await installation.manager(TENANT))


@pytest.fixture
async def ground(
    golden: tuple[Path, Demo], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ground]:
    monkeypatch.setattr(following, "GATHER_SECONDS", 0.02)
    monkeypatch.setattr(following, "CLOSE_SECONDS", 0.2)
    async with grounds(golden, data_dir, Receiver()) as opened:
        yield opened


async def test_events_arrive_in_their_order_signed_so_that_another_s_library_can_tell(ground: Ground) -> None:
    sink = {"httpAuthorization": "Bearer let-me-in", "httpContentFormat": "JSONARRAY"}
    made = await ground.stream(sink=sink)
    assert made["signing_secret"].startswith("whsec_")
    names = [f"Role {number}" for number in range(12)]
    await ground.events(*names)
    await ground.arrived(*names)
    assert ground.names() == names
    webhook = Webhook(made["signing_secret"])
    for sent in ground.receiver.sent:
        webhook.verify(sent.body, dict(sent.headers))
        assert sent.headers["authorization"] == "Bearer let-me-in"
        assert sent.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        webhook.verify(ground.receiver.sent[0].body + b" ", dict(ground.receiver.sent[0].headers))
    first = ground.received()[0]
    assert first == {"log_id": first["data"]["log_id"], "data": first["data"]}
    assert first["data"] == await ground.api.get(f"/logs/{first['log_id']}")
    assert first["data"]["type"] == "sapi"


async def test_what_is_shown_is_auth0_s_shape_and_no_secret(ground: Ground) -> None:
    sink = {
        "httpAuthorization": "Bearer s3cret-of-the-sink",
        "httpContentFormat": "JSONARRAY",
        "httpCustomHeaders": [{"header": "X-Team", "value": "blue-and-for-the-receiver"}],
    }
    made = await ground.stream(sink=sink, filters=[{"type": "category", "name": "management.success"}])
    shown = await ground.api.get(f"/log-streams/{made['id']}")
    assert shown == {
        "id": made["id"],
        "name": "Sink",
        "type": "http",
        "status": "active",
        "sink": {
            "httpEndpoint": ground.receiver.url("/logs"),
            "httpContentType": "application/json",
            "httpContentFormat": "JSONARRAY",
            "httpCustomHeaders": [{"header": "X-Team", "value": "blue-and-for-the-receiver"}],
        },
        "filters": [{"type": "category", "name": "management.success"}],
    }
    assert await ground.api.get("/log-streams") == [shown]
    logs = json.dumps(await ground.api.get("/logs"))
    assert "s3cret-of-the-sink" not in logs
    assert made["signing_secret"] not in logs
    assert "blue-and-for-the-receiver" not in logs
    await ground.events("Blue")
    await ground.arrived("Blue")
    sent = ground.receiver.sent[-1]
    assert sent.body.startswith(b"[")
    assert sent.headers["x-team"] == "blue-and-for-the-receiver"
    await ground.api.delete(f"/log-streams/{made['id']}")
    assert await ground.api.get("/log-streams") == []


async def test_a_filter_lets_through_its_categories_only(ground: Ground) -> None:
    made = await ground.stream(filters=[{"type": "category", "name": "auth.login.fail"}])
    await ground.events("Unseen")
    party = ground.installation.relying_party(TENANT, "spa")
    party.user = DemoUser(party.user.email, "not the password")
    await party.authorize()
    await party.log_in()
    await ground.until_stats(made["id"], events_behind=0)
    types = {event["data"]["type"] for event in ground.received()}
    assert "fp" in types
    assert types <= {"f", "fp", "fu"}


async def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(ground: Ground) -> None:
    made = await ground.stream(sink={"httpContentFormat": "JSONARRAY"})
    rotated = await ground.api.post(f"/log-streams/{made['id']}/rotate-secret", {})
    assert rotated["signing_secret"] != made["signing_secret"]
    await ground.events("Both")
    await ground.arrived("Both")
    for secret in (made["signing_secret"], rotated["signing_secret"]):
        Webhook(secret).verify(ground.receiver.sent[-1].body, dict(ground.receiver.sent[-1].headers))
    await ground.advance(90_000)
    await ground.events("New only")
    await ground.arrived("New only")
    signature = ground.receiver.sent[-1].headers["webhook-signature"]
    assert len(signature.split(" ")) == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"type": "splunk"}, "`http` only"),
        ({"sink": {"httpEndpoint": "https://169.254.169.254/latest"}}, "not a public one"),
        ({"sink": {"httpEndpoint": "http://hooks.example.com/"}}, "must begin with https"),
        ({"sink": {}}, "httpEndpoint"),
        ({"isPriority": True}, "isPriority"),
        ({"filters": [{"type": "category", "name": "auth.everything"}]}, "filters"),
        ({"startFrom": "yesterday"}, "startFrom"),
        ({"sink": {"httpCustomHeaders": [{"header": "Webhook-Id", "value": "x"}]}}, "Webhook-Id"),
        ({"sink": {"httpCustomHeaders": [{"header": "X", "value": "a\r\nHost: b"}]}}, "control"),
        ({"sink": {"httpContentFormat": "XML"}}, "httpContentFormat"),
        ({"status": "suspended"}, "status"),
    ],
)
async def test_a_stream_that_cannot_be_is_refused_with_a_sentence(
    shared: Installation, body: dict[str, Any], sentence: str
) -> None:
    api = await shared.manager(TENANT)
    whole = {"name": "N", "type": "http", **body}
    whole["sink"] = body.get("sink", {"httpEndpoint": "https://hooks.example.com/"})
    if whole["sink"] and "httpEndpoint" not in whole["sink"]:
        whole["sink"] = {"httpEndpoint": "https://hooks.example.com/", **whole["sink"]}
    with pytest.raises(ApiError, match=f"answered 400.*{re.escape(sentence)}"):
        await api.post("/log-streams", whole)


async def test_another_address_needs_the_authorization_again(shared: Installation) -> None:
    api = await shared.manager(TENANT)
    sink = {"httpEndpoint": "https://hooks.example.com/", "httpAuthorization": "Bearer x"}
    made = await api.post("/log-streams", {"name": "N", "type": "http", "sink": sink})
    path = f"/log-streams/{made['id']}"
    moved = {"sink": {"httpEndpoint": "https://elsewhere.example.com/"}}
    with pytest.raises(ApiError, match=r"answered 400.*httpAuthorization. must be given again"):
        await api.patch(path, moved)
    assert (await api.get(path))["sink"]["httpEndpoint"] == "https://hooks.example.com/"
    await api.patch(path, {"sink": {**moved["sink"], "httpAuthorization": "Bearer y"}})
    assert (await api.get(path))["sink"]["httpEndpoint"] == "https://elsewhere.example.com/"
    await api.patch(path, {"sink": {"httpAuthorization": None}})
    await api.patch(path, {"sink": {"httpEndpoint": "https://hooks.example.com/"}})
    await api.delete(path)


async def test_a_receiver_that_is_down_gets_everything_when_it_is_back(ground: Ground) -> None:
    ground.receiver.answers = [500, saying(302, b"", location="http://127.0.0.1:1/inside")]
    made = await ground.stream()
    await ground.events("A", "B")
    shown = await ground.until_stats(made["id"], attempts=1)
    assert shown["last_error"] == "status 500"
    await ground.advance(7)
    shown = await ground.until_stats(made["id"], attempts=2)
    assert shown["last_error"] == "status 302"
    await ground.events("C")
    await ground.advance(31)
    await ground.until_stats(made["id"], events_behind=0, attempts=0)
    ground.receiver.sent[:-1] = []
    assert ground.names() == ["A", "B", "C"]


async def test_after_a_day_a_stream_is_suspended_and_goes_on_at_its_place_when_it_is_active_again(
    ground: Ground,
) -> None:
    ground.receiver.usual = 503
    made = await ground.stream()
    await ground.events("Kept")
    for attempt in range(1, BACKOFFS + 1):
        await ground.until_stats(made["id"], attempts=attempt)
        await ground.advance(15 * 3600)
    shown = await ground.until_stats(made["id"], status="suspended")
    assert shown["last_error"] == "status 503"
    [told] = await ground.api.get("/logs", q="type:fn")
    assert told["details"]["stream"] == made["id"]
    ground.receiver.usual, ground.receiver.sent = 200, []
    await ground.api.patch(f"/log-streams/{made['id']}", {"status": "active"})
    await ground.arrived("Kept")
    await ground.until_stats(made["id"], events_behind=0, status="active")


async def test_a_receiver_that_is_gone_suspends_at_once(ground: Ground) -> None:
    ground.receiver.usual = 410
    made = await ground.stream()
    await ground.events("Nobody")
    assert (await ground.until_stats(made["id"], status="suspended"))["attempts"] == 1


async def test_paused_streams_keep_their_place_and_start_from_goes_back(ground: Ground) -> None:
    began = ground.installation.clock.now()
    made = await ground.stream()
    await ground.events("First")
    await ground.arrived("First")
    path = f"/log-streams/{made['id']}"
    await ground.api.patch(path, {"status": "paused"})
    await ground.events("While paused")
    await ground.api.patch(path, {"status": "active"})
    await ground.arrived("While paused")
    assert ground.names().count("First") == 1
    ground.receiver.sent.clear()
    moment = iso(began)
    await ground.api.patch(path, {"startFrom": moment})
    await ground.arrived("First", "While paused")
    ground.receiver.sent.clear()
    await ground.stream(startFrom=moment)
    await ground.arrived("First", "While paused")


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


async def test_a_slow_stream_holds_up_neither_another_nor_the_tenant(ground: Ground) -> None:
    async with receiving(Receiver(delay=60)) as slow:
        allowed = ground.installation.running.services.outbound
        allowed._allowed = allowed._allowed | {slow.address}
        await ground.stream(sink={"httpEndpoint": slow.url("/")})
        await ground.stream()
        await ground.events("Quick")
        await ground.arrived("Quick")
        assert len(slow.sent) <= 1
        assert (await ground.api.get("/log-streams"))[0]["status"] == "active"


async def test_slow_receivers_of_one_tenant_take_their_share_of_the_places_and_no_more(
    ground: Ground,
) -> None:
    """Ten of them, where a process has sixteen places for all tenants."""
    slow = Receiver(delay=60)
    async with receiving(slow):
        outbound = ground.installation.running.services.outbound
        outbound._allowed = outbound._allowed | {slow.address}
        for _ in range(10):
            await ground.stream(sink={"httpEndpoint": slow.url("/")})
        await ground.events("Flood")
        await slow.arrivals(following.PER_TENANT)
        streams = ground.installation.running.services.streams
        assert streams is not None
        assert streams._slots._value == following.AT_ONCE - following.PER_TENANT
        assert slow.connections == following.PER_TENANT
