"""OpenID Connect Back-Channel Logout 1.0: who took part is told, once, in a token that cannot be taken for another."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text, update

from core.crypto import jwt
from core.crypto.keys import PublicKeys
from core.outbound import Outbound, OutboundRefused
from core.tenants import Tenant
from entrypoints.demo_content import Demo
from tenant_runtime.models import Client
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.receivers import Receiver, Sent, receiving, saying
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

EVENT = "http://schemas.openid.net/event/backchannel-logout"
INSIDE = (
    "http://127.0.0.1:9/logout",
    "https://127.0.0.1/logout",
    "https://169.254.169.254/latest",
    "https://[::ffff:10.0.0.1]/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://example.com:22/",
    "https://example.com:25/",
)


@dataclass
class Ground:
    installation: Installation
    tenant: Tenant
    receiver: Receiver

    async def receive(self, client: str = "web", *urls: str, **more: Any) -> None:
        """The client's receiver, as its row has it."""
        client_id = self.installation.tenant("acme").clients[client].client_id
        logout = {"backchannel_logout_urls": list(urls or (self.receiver.url("/logout"),)), **more}

        def unit(connection: Connection) -> None:
            table = Client.__table__
            connection.execute(update(table).where(table.c.client_id == client_id).values(oidc_logout=logout))

        await self.tenant.database.alone(unit)

    async def settled(self) -> None:
        await self.installation.running.services.deliveries.run_due(self.tenant)

    async def rows(self) -> list[Any]:
        def unit(connection: Connection) -> list[Any]:
            return list(connection.execute(text("SELECT * FROM deliveries ORDER BY created_at, id")))

        return await self.tenant.database.read(unit)

    async def claims(self, sent: Sent) -> dict[str, Any]:
        """Of the token, checked as a client would."""
        assert list(sent.form) == ["logout_token"]
        keys = (await self.installation.http.get(f"{self.tenant.issuer}.well-known/jwks.json")).json()["keys"]
        [token] = sent.form["logout_token"]
        return jwt.verify(
            token, PublicKeys(keys), algorithms=("RS256", "ES256", "PS256", "EdDSA"), typ=("logout+jwt",)
        )

    async def user_id(self, party: RelyingParty) -> str:
        api = await self.installation.manager("acme")
        [user] = await api.get("/users-by-email", email=party.user.email)
        return str(user["user_id"])


@pytest.fixture
async def ground(data_dir: Path, golden: tuple[Path, Demo]) -> AsyncIterator[Ground]:
    async with receiving(Receiver()) as receiver:
        settings = settings_for(data_dir, outbound_allowed=frozenset({receiver.address}))
        async with serving(settings, golden[1]) as installation:
            tenant = await installation.running.platform.directory.by_id("acme")
            assert tenant is not None
            yield Ground(installation, tenant, receiver)
    shutil.rmtree(data_dir, ignore_errors=True)


async def leave(party: RelyingParty, id_token: str) -> None:
    response = await party.http.get(f"{party.issuer}oidc/logout", params={"id_token_hint": id_token})
    assert response.status_code == 200


async def test_the_metadata_says_that_clients_are_told(ground: Ground) -> None:
    for name in ("openid-configuration", "oauth-authorization-server"):
        document = (await ground.installation.http.get(f"{ground.tenant.issuer}.well-known/{name}")).json()
        assert document["backchannel_logout_supported"] is True
        assert document["backchannel_logout_session_supported"] is True


async def test_a_client_is_told_of_the_end_of_its_session(ground: Ground) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    answer = await party.sign_in()
    await leave(party, answer.body["id_token"])
    await ground.settled()
    [sent] = ground.receiver.sent
    assert (sent.method, sent.target) == ("POST", "/logout")
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in sent.headers
    assert "cookie" not in sent.headers
    claims = await ground.claims(sent)
    assert abs(claims.pop("iat") - time.time()) < 10
    assert 0 < claims.pop("exp") - time.time() <= 120
    assert len(claims.pop("jti")) > 20
    assert claims == {
        "iss": answer.id_claims["iss"],
        "aud": party.client.client_id,
        "sub": answer.id_claims["sub"],
        "sid": answer.id_claims["sid"],
        "events": {EVENT: {}},
    }
    assert (await party.silent())["error"] == "login_required"


async def test_a_logout_token_is_no_id_token_hint_and_no_access_token(ground: Ground) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    [token] = ground.receiver.sent[0].form["logout_token"]
    assert (await party.userinfo(token)).status_code == 401
    await party.sign_in()
    response = await party.http.get(f"{party.issuer}oidc/logout", params={"id_token_hint": token})
    assert "Sign out?" in response.text


async def test_every_client_that_took_part_is_told_at_each_address_and_no_other(ground: Ground) -> None:
    await ground.receive("web", ground.receiver.url("/web"), ground.receiver.url("/web2"))
    await ground.receive("spa", ground.receiver.url("/spa"))
    await ground.receive("m2m", ground.receiver.url("/m2m"))
    party = ground.installation.relying_party("acme")
    other = ground.installation.relying_party("acme", "spa")
    answer = await party.sign_in()
    await other.sign_in()
    await leave(party, answer.body["id_token"])
    await ground.settled()
    claims = {sent.target: await ground.claims(sent) for sent in ground.receiver.sent}
    assert sorted(claims) == ["/spa", "/web", "/web2"]
    assert claims["/spa"]["aud"] == other.client.client_id
    assert len({claim["jti"] for claim in claims.values()}) == 3
    assert len({claim["sid"] for claim in claims.values()}) == 1


async def test_the_token_is_signed_with_the_clients_algorithm(ground: Ground) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    api = await ground.installation.manager("acme")
    await api.patch(f"/clients/{party.client.client_id}", {"jwt_configuration": {"alg": "ES256"}})
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    [token] = ground.receiver.sent[0].form["logout_token"]
    assert jwt.take_apart(token, algorithms=("ES256",), typ=("logout+jwt",)).alg == "ES256"
    assert (await ground.claims(ground.receiver.sent[0]))["aud"] == party.client.client_id


async def test_a_receiver_is_set_by_the_management_api_and_never_inside(ground: Ground) -> None:
    party = ground.installation.relying_party("acme")
    api, path = await ground.installation.manager("acme"), f"/clients/{party.client.client_id}"
    for address in (*INSIDE, "http://example.com/logout", "https://example.com/#part", "logout"):
        body = {"oidc_logout": {"backchannel_logout_urls": [address]}}
        assert await api.status("PATCH", path, body) == 400
    await api.patch(path, {"oidc_logout": {"backchannel_logout_urls": [ground.receiver.url("/logout")]}})
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    assert [sent.target for sent in ground.receiver.sent] == ["/logout"]


async def test_auth0s_logout_tells_clients_too(ground: Ground) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    await party.sign_in()
    await party.http.get(f"{party.issuer}v2/logout")
    await ground.settled()
    assert len(ground.receiver.sent) == 1
    await party.http.get(f"{party.issuer}v2/logout")
    await ground.settled()
    assert len(ground.receiver.sent) == 1


async def test_a_session_that_another_persons_login_replaces_is_told_of(ground: Ground) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    first = await party.sign_in()
    party.user = ground.installation.tenant("acme").users[1]
    await party.authorize(prompt="login")
    await party.log_in()
    second = await party.redeem(party.landed["code"])
    assert second.id_claims["sub"] != first.id_claims["sub"]
    await ground.settled()
    [sent] = ground.receiver.sent
    claims = await ground.claims(sent)
    assert (claims["sub"], claims["sid"]) == (first.id_claims["sub"], first.id_claims["sid"])


async def test_the_same_persons_next_login_ends_nothing(ground: Ground) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    await party.sign_in()
    await party.authorize(prompt="login")
    await party.log_in()
    await ground.settled()
    assert ground.receiver.sent == []


@pytest.mark.parametrize("reason", ["blocked", "password", "deleted"])
async def test_sessions_that_the_management_api_ends_are_told_of(ground: Ground, reason: str) -> None:
    await ground.receive()
    party = ground.installation.relying_party("acme")
    answer = await party.sign_in()
    async with ground.installation.browser() as http:
        elsewhere = await ground.installation.relying_party("acme", http=http).sign_in()
    api, user_id = await ground.installation.manager("acme"), await ground.user_id(party)
    if reason == "deleted":
        await api.delete(f"/users/{user_id}")
    elif reason == "blocked":
        await api.patch(f"/users/{user_id}", {"blocked": True})
    else:
        await api.patch(
            f"/users/{user_id}",
            {"password": "a new and long one", "connection": "Username-Password-Authentication"},
        )
    await ground.settled()
    told = [await ground.claims(sent) for sent in ground.receiver.sent]
    assert {claims["sid"] for claims in told} == {answer.id_claims["sid"], elsewhere.id_claims["sid"]}
    assert {claims["sub"] for claims in told} == {user_id}


@pytest.mark.parametrize(
    ("chosen", "is_told"),
    [
        ({"mode": "all"}, True),
        ({"mode": "custom", "selected_initiators": ["rp-logout", "password-changed"]}, True),
        ({"mode": "custom", "selected_initiators": ["password-changed"]}, False),
        ({"mode": "custom"}, False),
    ],
)
async def test_a_client_chooses_what_it_is_told_of(
    ground: Ground, chosen: dict[str, Any], is_told: bool
) -> None:
    await ground.receive(backchannel_logout_initiators=chosen)
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    assert len(ground.receiver.sent) == int(is_told)


async def test_a_refused_token_is_not_sent_again_and_the_tenant_sees_it(ground: Ground) -> None:
    await ground.receive()
    ground.receiver.usual = 400
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    ground.installation.clock.advance(100_000)
    await ground.settled()
    assert len(ground.receiver.sent) == 1
    [row] = await ground.rows()
    assert (row.last_error, row.attempts) == ("status 400", 1)
    api = await ground.installation.manager("acme")
    [event] = await api.get("/logs", q="type:oidc_backchannel_logout_failed")
    assert event["client_id"] == party.client.client_id


async def test_another_attempt_is_the_same_message_with_new_times(ground: Ground) -> None:
    await ground.receive()
    ground.receiver.answers = [500, 503, 429, 404, 204]
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    for seconds in (0, 10, 40, 200, 900, 5000):
        ground.installation.clock.advance(seconds)
        await ground.settled()
    told = [await ground.claims(sent) for sent in ground.receiver.sent]
    assert len(told) == 5
    assert len({claims["jti"] for claims in told}) == 1
    assert [claims["iat"] for claims in told] == sorted({claims["iat"] for claims in told})
    [row] = await ground.rows()
    assert row.delivered_at is not None
    sample = ground.installation.app.metrics.registry.get_sample_value
    for outcome, count in (("failed", 4), ("delivered", 1)):
        labels = {"kind": "backchannel_logout", "outcome": outcome}
        assert sample("keystead_deliveries_total", labels) == count


async def test_a_redirect_is_a_failure_and_is_never_followed(ground: Ground) -> None:
    async with receiving(Receiver()) as inside:
        await ground.receive()
        ground.receiver.answers = [saying(code, Location=inside.url("/admin")) for code in (302, 307, 308)]
        party = ground.installation.relying_party("acme")
        await leave(party, (await party.sign_in()).body["id_token"])
        for seconds in (0, 10, 40):
            ground.installation.clock.advance(seconds)
            await ground.settled()
        assert len(ground.receiver.sent) == 3
        assert inside.connections == 0
        [row] = await ground.rows()
        assert row.last_error == "status 308"
        assert row.due_at is not None


@pytest.mark.parametrize("url", INSIDE)
async def test_an_address_inside_is_refused_where_it_is_used(ground: Ground, url: str) -> None:
    """Whatever let it in: the row was written by hand."""
    with pytest.raises(OutboundRefused):
        Outbound().check(url)
    await ground.receive("web", url)
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    [row] = await ground.rows()
    assert row.failed_at is not None
    assert row.attempts == 1


async def test_an_address_that_the_client_no_longer_has_is_not_called(ground: Ground) -> None:
    await ground.receive()
    ground.receiver.answers = [500]
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    await ground.receive("web", ground.receiver.url("/elsewhere"))
    ground.installation.clock.advance(10)
    await ground.settled()
    assert len(ground.receiver.sent) == 1
    [row] = await ground.rows()
    assert row.failed_at is not None


async def test_logging_out_does_not_wait_for_receivers(ground: Ground) -> None:
    await ground.receive()
    opened = asyncio.Event()

    async def held(_: Sent, writer: asyncio.StreamWriter) -> None:
        await opened.wait()

    ground.receiver.usual = held
    party = ground.installation.relying_party("acme")
    answer = await party.sign_in()
    async with asyncio.timeout(60):
        await leave(party, answer.body["id_token"])
    assert (await party.silent())["error"] == "login_required"
    opened.set()


async def test_who_has_no_receiver_costs_no_row(ground: Ground) -> None:
    party = ground.installation.relying_party("acme")
    await leave(party, (await party.sign_in()).body["id_token"])
    await ground.settled()
    assert await ground.rows() == []
