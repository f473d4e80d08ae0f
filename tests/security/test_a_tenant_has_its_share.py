"""One tenant's flood is its own: rates, places and turns, and what whoever meets a limit is told (`docs/limits.md`)."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic, perf_counter

import httpx
import pytest
from sqlalchemy import Connection

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.isolation.raw import listening

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def caller(installation: Installation, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(installation.app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport) as http:
        yield http


async def limit(installation: Installation, tenant_id: str, **limits: int) -> None:
    await (await installation.operator()).patch(f"/tenants/{tenant_id}", {"limits": limits})


def stop_time(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is given back while a test counts, however long its requests take."""
    stopped = monotonic()
    monkeypatch.setattr(installation.running.services.allowances._buckets, "_now", lambda: stopped)


def standing(answer: httpx.Response) -> tuple[int, int]:
    return int(answer.headers["x-ratelimit-limit"]), int(answer.headers["x-ratelimit-remaining"])


async def test_the_management_api_says_how_its_caller_stands(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, http = installation.tenant("acme"), installation.http
    token = (await installation.manager("acme"))._headers
    await limit(installation, "acme", management=1)  # twenty at once, ten of them for one caller
    url = f"{acme.issuer}api/v2/roles"
    stop_time(installation, monkeypatch)
    nobody = await http.get(url)
    assert (nobody.status_code, standing(nobody)) == (401, (20, 20)), "who is not known takes nothing"
    answers = [await http.get(url, headers=token) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert [standing(answer) for answer in answers[:3]] == [(10, 9), (10, 8), (10, 7)]
    assert abs(int(answers[0].headers["x-ratelimit-reset"]) - installation.clock.now()) < 5
    refused = answers[-1]
    assert (standing(refused), int(refused.headers["retry-after"]) >= 1) == ((10, 0), True)
    assert refused.json()["errorCode"] == "too_many_requests"
    missing = await http.get(f"{acme.issuer}api/v2/nothing-like-it", headers=token)
    assert missing.status_code == 429, "what does not exist is counted, too"
    monkeypatch.undo()
    globex = await installation.manager("globex")
    assert len(await globex.get("/roles")) > 0
    await limit(installation, "acme")
    events = await (await installation.manager("acme")).get("/logs", per_page=100)
    assert [event["type"] for event in events].count("api_limit") == 1, "a flood is told of once in a minute"


async def test_the_platform_api_says_it_as_well(installation: Installation) -> None:
    plane = installation.demo.control_plane
    headers = (await installation.operator())._headers
    answer = await installation.http.get(f"{plane.issuer}api/v2/tenants", headers=headers)
    assert (answer.status_code, standing(answer)[0] > standing(answer)[1] > 0) == (200, True)
    nobody = await installation.http.get(f"{plane.issuer}api/v2/tenants")
    assert (nobody.status_code, "x-ratelimit-limit" in nobody.headers) == (401, True)


SECONDS = ("oauth/par", "passwordless/start")
"""Of a kind that another path is of, too."""


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        ("token", "POST", "oauth/token"),
        ("userinfo", "GET", "userinfo"),
        ("authorize", "GET", "authorize"),
        ("authorize", "POST", "oauth/par"),
        ("signup", "POST", "dbconnections/signup"),
        ("mail", "POST", "dbconnections/change_password"),
        ("mail", "POST", "passwordless/start"),
        ("registration", "POST", "oidc/register"),
        ("device", "POST", "oauth/device/code"),
        ("device", "GET", "activate"),
        ("login", "POST", "u/login/password"),
    ],
)
async def test_what_strangers_may_ask_for_has_an_end(
    shared: Installation, monkeypatch: pytest.MonkeyPatch, kind: str, method: str, path: str
) -> None:
    """For the one who asks; a neighbour's caller and another tenant's are let in."""
    flooded, beside = ("globex", "acme") if path in SECONDS else ("acme", "globex")
    await limit(shared, flooded, **{kind: 4})
    stop_time(shared, monkeypatch)
    burst = shared.running.services.allowances.shares(kind, {kind: 4}).caller.burst
    url = shared.tenant(flooded).issuer + path
    own = f"10.{sum(path.encode()) % 200}.{len(path)}.1"
    async with caller(shared, own) as http:
        statuses = [(await http.request(method, url)).status_code for _ in range(burst + 2)]
        assert statuses[-1] == 429
        assert statuses.index(429) >= burst
        refused = await http.request(method, url)
        assert int(refused.headers["retry-after"]) >= 1
        other = await http.request(method, shared.tenant(beside).issuer + path)
        assert other.status_code != 429
    async with caller(shared, "203.0.113.50") as http:
        assert (await http.request(method, url)).status_code != 429


def _hold(_: Connection, let_go: threading.Event) -> None:
    let_go.wait(120)


async def test_requests_that_wait_are_so_many_of_one_tenant(installation: Installation) -> None:
    await limit(installation, "acme", concurrency=3)
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    let_go = threading.Event()
    held = asyncio.create_task(tenant.database.write(_hold, let_go))
    await asyncio.sleep(0.05)
    party = installation.relying_party("acme", "spa")
    waiting = [asyncio.create_task(installation.http.get(party.authorize_url())) for _ in range(5)]
    done, left = set[asyncio.Task[httpx.Response]](), set(waiting)
    while len(done) < 2:
        more, left = await asyncio.wait(left, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert [task.result().status_code for task in done] == [429] * 2
    assert all(task.result().headers["retry-after"] == "1" for task in done)
    async with asyncio.timeout(60):
        assert (await installation.relying_party("globex").sign_in()).status == 200
    assert not any(task.done() for task in left)
    let_go.set()
    await held
    assert {(await task).status_code for task in left} <= {302, 303}
    assert (await installation.http.get(party.authorize_url())).status_code in (302, 303)


async def test_who_sends_slowly_holds_no_place_of_the_tenants(installation: Installation) -> None:
    await limit(installation, "acme", concurrency=2)
    head = b"POST /oauth/token HTTP/1.1\r\nHost: acme.localhost\r\nContent-Type: application/json\r\n"
    async with listening(installation.app) as port:
        writers = []
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b"Content-Length: 1000\r\n\r\n{")
            await writer.drain()
            writers.append(writer)
        await asyncio.sleep(0.05)
        assert (await installation.relying_party("acme").sign_in()).status == 200
        for writer in writers:
            writer.close()


async def test_a_flood_of_passwords_at_one_tenant_leaves_its_neighbours_their_turns(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    """`specs/bad-inputs.md` 138."""
    shutil.copytree(golden[0], tmp_path / "data")
    settings = settings_for(tmp_path / "data", password_memory_kib=16_384, password_queue_limit=8)
    async with serving(settings, golden[1]) as installation, installation.browser() as http:
        party = installation.relying_party("acme", "spa", http=http)
        await (await installation.manager("acme")).patch(
            "/attack-protection/brute-force-protection", {"enabled": False}
        )
        await party.authorize()
        await party.browser.submit({"email": party.user.email})
        page = party.browser.response
        assert page is not None
        form = party.browser.forms()[0]
        url, data = page.url.join(form.action), {**form.fields, "password": "wrong"}
        headers = {"Origin": party.issuer.rstrip("/")}
        flood = [asyncio.create_task(http.post(url, data=data, headers=headers)) for _ in range(200)]
        await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            assert (await installation.relying_party("globex").sign_in()).status == 200
        answers = await asyncio.gather(*flood)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.status_code for answer in answers} == {400, 429}
    assert len(refused) > 100
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


@pytest.mark.long
async def test_how_long_a_neighbour_waits_to_sign_in_under_a_flood_of_sign_ups(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    """Thirty-two at a time who make accounts at one tenant, whose queue is full all the while."""
    shutil.copytree(golden[0], tmp_path / "data")
    settings = settings_for(tmp_path / "data", password_memory_kib=19_456, password_iterations=2)
    async with serving(settings, golden[1]) as installation:
        await (await installation.manager("acme")).patch(
            "/attack-protection/suspicious-ip-throttling", {"enabled": False}
        )
        await limit(installation, "acme", signup=1_000_000)
        quiet = await sign_ins(installation)
        flood = [asyncio.create_task(sign_ups(installation, number)) for number in range(32)]
        await asyncio.sleep(0.5)
        loaded = await sign_ins(installation)
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
    print(f"a neighbour's sign-in: {quiet * 1000:.0f} ms quiet, {loaded * 1000:.0f} ms under the flood")
    assert loaded < 10 * quiet + 0.5


async def sign_ins(installation: Installation) -> float:
    """The longest but one of twenty."""
    seconds = []
    for _ in range(20):
        async with installation.browser() as http:
            began = perf_counter()
            await installation.relying_party("globex", http=http).sign_in()
            seconds.append(perf_counter() - began)
    return sorted(seconds)[-2]


async def sign_ups(installation: Installation, number: int) -> None:
    tenant = installation.tenant("acme")
    body = {
        "client_id": tenant.clients["spa"].client_id,
        "connection": "Username-Password-Authentication",
        "email": tenant.users[0].email,
        "password": f"five plain words nobody {number}",
    }
    while True:
        answer = await installation.http.post(f"{tenant.issuer}dbconnections/signup", json=body)
        assert answer.status_code in (400, 429)
