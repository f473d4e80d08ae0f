"""Clients whose id is the address of a document about them (draft-ietf-oauth-client-id-metadata-document)."""

import asyncio
import hashlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import update

from entrypoints.demo_content import CALLBACK, Demo
from tenant_runtime.configuration import configuration
from tenant_runtime.models import Client
from tests.authority import new_authority
from tests.conftest import serving, settings_for
from tests.elsewhere import Elsewhere, elsewhere
from tests.installation import Installation
from tests.registrations import consented_code, let_register, stranger
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

ON = {"client_id_metadata_documents": True}
PATH = "/app/client.json"


@asynccontextmanager
async def beside(folder: Path, golden: tuple[Path, Demo]) -> AsyncIterator[tuple[Installation, Elsewhere]]:
    """acme takes such clients, globex does not; and a web server that speaks TLS under an authority that this machine
    trusts."""
    authority = new_authority(folder)
    shutil.copytree(golden[0], folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("certifi.where", lambda: str(authority.file))
        async with elsewhere(authority.server) as server:
            settings = settings_for(folder / "data", outbound_allowed=frozenset({server.host}))
            async with serving(settings, golden[1]) as installation:
                await let_register(installation, "acme", **ON)
                yield installation, server


Both = tuple[Installation, Elsewhere]


@pytest.fixture
async def both(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Both]:
    async with beside(tmp_path, golden) as opened:
        yield opened


@pytest.fixture
def world(both: Both) -> Installation:
    return both[0]


@pytest.fixture
def host(both: Both) -> Elsewhere:
    return both[1]


@pytest.fixture(scope="module")
async def standing(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Both]:
    """For tests that make no client."""
    async with beside(tmp_path_factory.mktemp("documents"), golden) as opened:
        yield opened


@pytest.fixture
def untouched(standing: Both) -> Both:
    """A minute later, so that all that was counted and remembered is over."""
    standing[0].clock.advance(61)
    standing[1].asked.clear()
    return standing


def publish(
    host: Elsewhere, path: str = PATH, /, *, answered: dict[str, str] | None = None, **said: Any
) -> str:
    """A document about its own address, unless `said` says otherwise."""
    document = {
        "client_id": host.address(path),
        "client_name": "Published",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        **said,
    }
    return host.put(
        path, {name: value for name, value in document.items() if value is not None}, **(answered or {})
    )


def party_of(
    installation: Installation, client_id: str, http: httpx.AsyncClient, tenant_id: str = "acme"
) -> RelyingParty:
    client = {"client_id": client_id, "redirect_uris": [CALLBACK]}
    return stranger(installation, tenant_id, client, http=http)


async def known(installation: Installation, tenant_id: str = "acme") -> list[str]:
    clients = await (await installation.manager(tenant_id)).get("/clients", per_page=100)
    return [client["client_id"] for client in clients if client["client_id"].startswith("https://")]


async def test_a_document_makes_a_client_that_people_sign_in_to(world: Installation, host: Elsewhere) -> None:
    client_id = publish(host)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        await party.authorize()
        page = await party.log_in()
        assert party.browser.landed is None, "nobody vouches for it"
        assert f"<bdi>{host.host}</bdi>" in page.text, "who published it"
        assert "<bdi>127.0.0.1:9871</bdi>" in page.text, "where it leads"
        await party.browser.submit(button=("decision", "allow"))
        answer = await party.redeem(party.landed["code"])
        assert answer.status == 200, answer.body
        assert answer.claims["client_id"] == client_id
        assert answer.id_claims["aud"] in (client_id, [client_id])
        assert (await party.refresh(answer.refresh_token)).status == 200
        assert "code" in await party.silent()
    assert host.asked == [PATH], "fetched once"
    assert await known(world) == [client_id]


async def test_only_tenants_that_take_them_say_so_and_do(world: Installation, host: Elsewhere) -> None:
    client_id = publish(host)
    for tenant_id, supported in (("acme", True), ("globex", None)):
        issuer = world.tenant(tenant_id).issuer
        for name in ("openid-configuration", "oauth-authorization-server"):
            metadata = (await world.http.get(f"{issuer}.well-known/{name}")).json()
            assert metadata.get("client_id_metadata_document_supported") is supported
            assert "registration_endpoint" not in metadata
    async with world.browser() as http:
        page = await party_of(world, client_id, http, "globex").authorize()
    assert page.status_code == 400
    assert host.asked == [], "nobody asked"
    assert await known(world, "globex") == []


async def test_no_longer_taken_such_a_client_is_unknown_at_once(world: Installation, host: Elsewhere) -> None:
    client_id = publish(host)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        answer = await party.redeem(await consented_code(party, audience=None))
        await let_register(world, "acme", client_id_metadata_documents=False)
        assert (await party.refresh(answer.refresh_token)).error == "invalid_client"
        assert (await party.userinfo(answer.access_token)).status_code == 401
        assert (await party.authorize()).status_code == 400


KEY = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})
JWKS = {"keys": [KEY.as_dict(private=False)]}


@pytest.mark.parametrize(
    "said",
    [
        {"client_id": "https://other.example.com/client.json"},
        {"client_id": None},
        {"client_id": 7},
        {"client_secret": "everybody knows"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"redirect_uris": None},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["http://app.example.com/cb"]},
        {"grant_types": ["client_credentials"]},
        {"client_name": ["x"]},
        {"jwks_uri": "https://10.0.0.1/jwks"},
        {"logo_uri": "https://169.254.169.254/x.png"},
        {"jwks": {"keys": [KEY.as_dict(private=True)]}},
        {"software_statement": "e30.e30."},
        {"padding": "x" * 5200},
    ],
)
async def test_a_document_that_will_not_do_makes_no_client(untouched: Both, said: dict[str, Any]) -> None:
    world, host = untouched
    client_id = publish(host, **said)
    async with world.browser() as http:
        page = await party_of(world, client_id, http).authorize()
        assert page.status_code == 400, page.text
        assert "location" not in page.headers
        assert "Published" not in page.text
    token = await world.http.post(
        f"{world.tenant('acme').issuer}oauth/token",
        data={"grant_type": "authorization_code", "client_id": client_id, "code": "x"},
    )
    assert (token.status_code, token.json()["error"]) == (401, "invalid_client")
    assert await known(world) == []
    assert host.asked == [PATH], "what failed is not asked again at once"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {}, {}),
        (410, {}, {}),
        (500, {}, {}),
        (302, {"location": "/elsewhere.json"}, {}),
        (200, {"content_type": "text/html"}, {}),
        (200, {}, b"not json"),
        (200, {}, b"[]"),
        (200, {}, b"\xff\xfe"),
    ],
)
async def test_an_answer_that_is_no_document_makes_no_client(
    untouched: Both, status: int, headers: dict[str, str], body: Any
) -> None:
    world, host = untouched
    client_id = publish(host)
    publish(host, "/elsewhere.json", client_id=client_id)
    if body == {}:
        host.pages[PATH].status = status
        host.pages[PATH].headers.update({name.replace("_", "-"): text for name, text in headers.items()})
    else:
        host.put(PATH, body)
    async with world.browser() as http:
        assert (await party_of(world, client_id, http).authorize()).status_code == 400
    assert await known(world) == []
    assert "/elsewhere.json" not in host.asked, "a redirect is not followed"


@pytest.mark.parametrize(
    "client_id",
    [
        "https://127.0.0.1:1/client.json",
        "https://10.0.0.1/client.json",
        "https://169.254.169.254/client.json",
        "https://[::1]/client.json",
        "https://[::ffff:127.0.0.1]/client.json",
        "https://localhost/client.json",
        "https://2130706433/client.json",
        "https://app.example.com:22/client.json",
        "https://user@app.example.com/client.json",
        "https://app.example.com",
        "https://app.example.com?x",
        "https://app.example.com/a/../client.json",
        "https://app.example.com/a/./client.json",
        "https://app.example.com/a/%2e%2E/client.json",
        "https://app.example.com/client.json#part",
        "https://app.example.com/" + "a" * 1100,
        "https://",
        "https:///client.json",
        "https://app.example.com/a b",
        "https://app.exämple.com/client.json",
    ],
)
async def test_an_address_that_may_be_nobodys_id_is_never_asked(untouched: Both, client_id: str) -> None:
    world, host = untouched
    async with world.browser() as http:
        page = await party_of(world, client_id, http).authorize()
    assert page.status_code == 400
    assert "location" not in page.headers
    assert host.asked == []
    assert await known(world) == []


async def test_without_tls_an_address_is_no_id(world: Installation, host: Elsewhere) -> None:
    async with world.browser() as http:
        page = await party_of(world, publish(host).replace("https://", "http://"), http).authorize()
    assert page.status_code == 400
    assert host.asked == []


@pytest.mark.parametrize(
    ("control", "held"),
    [
        ("", 3600),
        ("max-age=600", 600),
        ("public, max-age=60", 300),
        ("no-store", 300),
        ("no-cache", 300),
        ("max-age=999999", 86_400),
    ],
)
async def test_a_document_holds_as_long_as_its_answer_says_within_bounds(
    world: Installation, host: Elsewhere, control: str, held: int
) -> None:
    client_id = publish(host, answered={"cache_control": control} if control else {})
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        await party.authorize()
        publish(host, client_name="Renamed", answered={"cache_control": control} if control else {})
        world.clock.advance(held - 5)
        assert "Published" in (await party.authorize()).text
        assert host.asked == [PATH]
        world.clock.advance(10)
        assert "Renamed" in (await party.authorize()).text
        assert host.asked == [PATH, PATH]


async def test_what_the_document_takes_back_is_gone_when_it_is_read_again(
    world: Installation, host: Elsewhere
) -> None:
    client_id = publish(host)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        await consented_code(party)
        publish(host, redirect_uris=["https://app.example.com/other"])
        world.clock.advance(3601)
        page = await party.authorize()
        assert page.status_code == 400
        assert party.browser.landed is None


async def test_a_document_that_is_gone_ends_the_client_and_a_host_that_is_away_does_not(
    world: Installation, host: Elsewhere
) -> None:
    client_id = publish(host)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        await consented_code(party)
        page = host.pages.pop(PATH)
        host.put(PATH, {}, status=503)
        world.clock.advance(3601)
        assert "code" in await party.silent(), "for a while"
        world.clock.advance(3601)
        assert (await party.authorize()).status_code == 400, "not for ever"
        host.pages[PATH] = page
        world.clock.advance(61)
        assert "code" in await party.silent()
        del host.pages[PATH]
        world.clock.advance(3601)
        assert (await party.authorize()).status_code == 400, "not found is an answer"


async def test_a_failure_is_forgotten_after_a_minute(world: Installation, host: Elsewhere) -> None:
    client_id = host.address(PATH)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        assert (await party.authorize()).status_code == 400
        publish(host)
        assert (await party.authorize()).status_code == 400
        world.clock.advance(61)
        assert (await party.authorize()).status_code == 200


async def test_a_host_is_asked_so_often_in_a_minute(world: Installation, host: Elsewhere) -> None:
    async with world.browser() as http:
        statuses = [
            (await party_of(world, host.address(f"/{number}"), http).authorize()).status_code
            for number in range(12)
        ]
        assert statuses == [400] * 10 + [429] * 2
        assert len(host.asked) == 10
        world.clock.advance(61)
        assert (await party_of(world, publish(host), http).authorize()).status_code == 200


async def test_a_tenant_has_so_many_and_the_unused_ones_make_room(
    world: Installation, host: Elsewhere
) -> None:
    await let_register(world, "acme", max_clients=2)
    used, unused, third = (publish(host, f"/{name}.json") for name in ("used", "unused", "third"))
    async with world.browser() as http:
        await consented_code(party_of(world, used, http))
        assert (await party_of(world, unused, http).authorize()).status_code == 200
        assert (await party_of(world, third, http).authorize()).status_code == 400
        assert await known(world) == [used, unused]
        world.clock.advance(3700)
        assert (await party_of(world, third, http).authorize()).status_code == 200
    assert await known(world) == [used, third]


async def test_being_asked_again_changes_nothing_in_the_tenant(world: Installation, host: Elsewhere) -> None:
    """A raised version makes every process read its configuration anew."""
    client_id = publish(host)

    async def version() -> int:
        tenant = await world.running.platform.directory.by_id("acme")
        assert tenant is not None
        return (await configuration(tenant)).version

    async with world.browser() as http:
        party = party_of(world, client_id, http)
        await party.authorize()
        before = await version()
        for _ in range(5):
            await party.authorize()
            await party_of(world, host.address("/nothing.json"), http).authorize()
        assert await version() == before
        world.clock.advance(3601)
        await party.authorize()
        assert await version() == before + 1, "fresh again"


async def test_many_at_once_share_one_question(world: Installation, host: Elsewhere) -> None:
    client_id = publish(host)
    url = party_of(world, client_id, world.http).authorize_url()
    answers = await asyncio.gather(*(world.http.get(url) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {302}
    assert host.asked == [PATH]


async def test_a_published_key_proves_the_client_and_nothing_else_does(
    world: Installation, host: Elsewhere
) -> None:
    client_id = publish(host, token_endpoint_auth_method="private_key_jwt", jwks=JWKS)
    issuer = world.tenant("acme").issuer

    def assertion(key: ECKey) -> str:
        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": issuer,
            "jti": str(now),
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, key, algorithms=["ES256"])

    by_key = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        code = await consented_code(party)
        assert (await party.redeem(code)).error == "invalid_client"
        wrong = assertion(ECKey.generate_key("P-256"))
        assert (await party.redeem(code, client_assertion=wrong, **by_key)).error == "invalid_client"
        answer = await party.redeem(code, client_assertion=assertion(KEY), **by_key)
        assert answer.status == 200, answer.body


async def test_a_key_that_a_document_took_back_proves_nobody_also_where_the_assertion_alone_names_the_client(
    world: Installation, host: Elsewhere
) -> None:
    other = ECKey.generate_key("P-256")
    client_id = publish(host, token_endpoint_auth_method="private_key_jwt", jwks=JWKS)
    issuer = world.tenant("acme").issuer

    async def revoke(key: ECKey) -> int:
        now = int(world.clock.now())
        claims = {"iss": client_id, "sub": client_id, "aud": issuer, "exp": now + 60}
        claims |= {"jti": secrets.token_urlsafe()}
        form = {
            "token": "nobodys",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode({"alg": "ES256", "kid": "one"}, claims, key, algorithms=["ES256"]),
        }
        return (await world.http.post(f"{issuer}oauth/revoke", data=form)).status_code

    assert await revoke(KEY) == 200
    published = {"keys": [{**other.as_dict(private=False), "kid": "one", "use": "sig"}]}
    publish(host, token_endpoint_auth_method="private_key_jwt", jwks=published)
    assert (await revoke(KEY), await revoke(other)) == (200, 401)
    world.clock.advance(3601)
    assert (await revoke(KEY), await revoke(other)) == (401, 200)


async def test_a_first_request_may_be_pushed(world: Installation, host: Elsewhere) -> None:
    client_id = publish(host)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        asked = dict(httpx.URL(party.authorize_url()).params)
        pushed = await http.post(f"{party.issuer}oauth/par", data=asked)
        assert pushed.status_code == 201, pushed.text
        page = await party.browser.open(
            f"{party.issuer}authorize", client_id=client_id, request_uri=pushed.json()["request_uri"]
        )
        assert page.status_code == 200
        await party.log_in()
        await party.browser.submit(button=("decision", "allow"))
        assert "code" in party.landed


async def test_nobody_may_vouch_for_what_a_document_says(world: Installation, host: Elsewhere) -> None:
    client_id = publish(host)
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        await party.authorize()
        tenant = await world.running.platform.directory.by_id("acme")
        assert tenant is not None
        vouched = update(Client.__table__).values(is_first_party=True)
        await tenant.database.write(lambda connection: connection.execute(vouched).rowcount)
        await party.log_in()
        assert party.browser.landed is None


async def test_a_registration_token_opens_no_document(world: Installation, host: Elsewhere) -> None:
    await let_register(world, "acme", mode="open")
    client_id = publish(host)
    async with world.browser() as http:
        await party_of(world, client_id, http).authorize()
    for path in (client_id, "https:"):
        answer = await world.http.get(f"{world.tenant('acme').issuer}oidc/register/{path}")
        assert answer.status_code in (401, 404)


async def test_an_operator_reads_and_deletes_such_a_client(world: Installation, host: Elsewhere) -> None:
    client_id, other = publish(host), publish(host, "/other.json", client_name="Another")
    manager = await world.manager("acme")
    async with world.browser() as http:
        party = party_of(world, client_id, http)
        answer = await party.redeem(await consented_code(party, audience=None))
        await party_of(world, other, http).authorize()
        [shown] = [one for one in await manager.get("/clients") if one["client_id"] == client_id]
        assert shown["path_id"] == f"sha256-{hashlib.sha256(client_id.encode()).hexdigest()}"
        path = f"/clients/{shown['path_id']}"
        assert await manager.get(path) == shown
        assert await manager.status("PATCH", path, {"name": "Mine"}) == 404
        neighbour = await world.manager("globex")
        assert await neighbour.status("GET", path) == 404
        assert await neighbour.status("DELETE", path) == 204, "which is nobody there"
        assert await known(world) == [client_id, other]
        assert await manager.status("DELETE", path) == 204
        assert await manager.status("GET", path) == 404
        assert await known(world) == [other]
        assert (await party.userinfo(answer.access_token)).status_code == 401
        assert (await party.refresh(answer.refresh_token)).error == "invalid_grant"
    for made_up in ("sha256-", "sha256-" + "0" * 64, shown["path_id"].upper(), client_id.replace("/", "%2F")):
        assert await manager.status("GET", f"/clients/{made_up}") in (400, 404)
    mine = next(one for one in await manager.get("/clients") if not one["client_id"].startswith("https:"))
    assert "path_id" not in mine
    digest = hashlib.sha256(mine["client_id"].encode()).hexdigest()
    assert await manager.status("GET", f"/clients/sha256-{digest}") == 404, "it has a path of its own"
