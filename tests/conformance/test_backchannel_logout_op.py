"""The Back-Channel Logout OP profile: `oidcc-backchannel-logout-rp-initiated…`, against all tenants at once."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

import pytest
from joserfc import jws

from core.settings import Settings
from entrypoints.demo_content import Demo
from tests.conformance.conftest import PROFILE, TENANTS, Suite, copied_suite, twins
from tests.conformance.op import LOGGED_OUT, Client, Op
from tests.conformance.shared_checks import check_signature

pytestmark = pytest.mark.anyio

EVENT = "http://schemas.openid.net/event/backchannel-logout"


class _Receiver(BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, dict[str, list[str]]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.received.append((self.headers["Content-Type"], parse_qs(body, strict_parsing=True)))
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is worth a line."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
async def listening(
    secure: tuple[Path, Settings, Demo], receiver: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Suite]:
    folder, settings, demo = secure
    allowed = (folder, replace(settings, outbound_allowed=frozenset({receiver})), demo)
    async with copied_suite(allowed, tmp_path_factory.mktemp("backchannel")) as suite:
        url = f"http://{receiver}/logout"
        body = {**PROFILE, "oidc_logout": {"backchannel_logout_urls": [url]}}
        for tenant_id, clients in (await twins(suite.installation, {"told": body})).items():
            suite.add(tenant_id, "told", clients["told"])
        yield suite


async def told(issuer: str, *, count: int = 1) -> list[str]:
    """The logout tokens that came for an issuer."""
    for _ in range(200):
        found = [form["logout_token"][0] for _, form in _Receiver.received]
        mine = [token for token in found if claims_of(token)["iss"] == issuer]
        if len(mine) >= count:
            return mine
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing came for {issuer}: {_Receiver.received}")


def claims_of(token: str) -> dict[str, Any]:
    return dict(json.loads(jws.extract_compact(token.encode()).payload))


async def leave(op: Op, id_token: str) -> None:
    sent = {"id_token_hint": id_token, "post_logout_redirect_uri": LOGGED_OUT, "state": "bye"}
    await op.browser.open(f"{op.metadata['end_session_endpoint']}?{urlencode(sent)}")
    assert op.browser.landed == f"{LOGGED_OUT}?state=bye"


async def test_the_client_is_told_and_the_person_is_gone(listening: Suite) -> None:
    _Receiver.received.clear()

    async def check(op: Op) -> None:
        assert op.metadata["backchannel_logout_supported"] is True
        assert op.metadata["backchannel_logout_session_supported"] is True
        client: Client = op.clients["told"]
        tokens = await op.tokens(client)
        assert tokens["id_claims"]["sid"]
        await leave(op, tokens["id_token"])
        (token,) = await told(op.issuer)
        assert_logout_token(token, await op.keys(), op, client, tokens["id_claims"])
        await op.open(client, prompt="none")
        assert op.landed()["error"] == "login_required"

    await listening.run(check)
    for content_type, form in _Receiver.received:
        assert content_type == "application/x-www-form-urlencoded"
        assert form.keys() == {"logout_token"}
    assert len(_Receiver.received) == len(TENANTS)


def assert_logout_token(
    token: str, keys: dict[str, Any], op: Op, client: Client, id_claims: dict[str, Any]
) -> None:
    claims = check_signature(token, keys, ("RS256",))
    header = jws.extract_compact(token.encode()).headers()
    assert header["typ"] == "logout+jwt"
    assert (claims["iss"], claims["aud"]) == (op.issuer, client.client_id)
    assert abs(claims["iat"] - op.clock.now()) < 86_400
    assert claims["exp"] > op.clock.now()
    assert claims["jti"]
    assert claims["events"] == {EVENT: {}}
    assert (claims["sub"], claims["sid"]) == (id_claims["sub"], id_claims["sid"])
    assert "nonce" not in claims


async def test_a_client_that_took_no_part_is_not_told(listening: Suite) -> None:
    _Receiver.received.clear()

    async def check(op: Op) -> None:
        tokens = await op.tokens()
        await leave(op, tokens["id_token"])

    await listening.run(check)
    await asyncio.sleep(0.3)
    assert _Receiver.received == []


async def test_each_session_is_ended_by_itself(listening: Suite) -> None:
    """Two browsers of one person: the one that leaves is named by its `sid`, the other stays."""
    _Receiver.received.clear()
    sids: dict[str, set[str]] = {}

    async def stay(op: Op) -> None:
        tokens = await op.tokens(op.clients["told"])
        sids.setdefault(op.issuer, set()).add(tokens["id_claims"]["sid"])

    async def check(op: Op) -> None:
        tokens = await op.tokens(op.clients["told"])
        await leave(op, tokens["id_token"])
        (token,) = await told(op.issuer)
        assert claims_of(token)["sid"] not in sids[op.issuer]

    await listening.run(stay)
    await listening.run(check)
