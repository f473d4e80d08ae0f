"""RFC 9101 section 5.2: signed authorization requests by reference; `specs/bad-inputs.md` 46."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.login.world import CALLBACK, answer_of
from tests.login.world import world as build
from tests.protocol.requesters import STRANGER, Requester, is_page, make_requester, unsigned
from tests.receivers import Receiver, Sent, receiving, saying

pytestmark = pytest.mark.anyio

JAR = "application/oauth-authz-req+jwt"


@asynccontextmanager
async def requesting(
    folder: Path, migrated: Path, receiver: Receiver, *, allowed: bool = True, **values: Any
) -> AsyncIterator[Requester]:
    async with receiving(receiver):
        addresses = {receiver.address} if allowed else set()
        async with build(folder, migrated, allowed=addresses) as world:
            await world.acme.make_user()
            yield await make_requester(world, **values)


def serving(web: Requester, kind: str = JAR, status: int = 200, **claims: Any) -> Any:
    return saying(status, web.signed(**claims).encode(), Content_Type=kind)


@pytest.mark.parametrize("kind", [JAR, "application/jwt", "Application/OAuth-Authz-Req+JWT; charset=utf-8"])
async def test_an_object_is_fetched_from_its_address(tmp_path: Path, migrated: Path, kind: str) -> None:
    async with requesting(tmp_path, migrated, receiver := Receiver()) as web:
        receiver.usual = serving(web, kind, state="fetched")
        assert (await web.log_in(request_uri=receiver.url("/r.jwt")))["state"] == "fetched"
        [sent] = receiver.sent
        assert (sent.method, sent.target, sent.headers["accept"]) == (
            "GET",
            "/r.jwt",
            f"{JAR}, application/jwt",
        )
        assert "cookie" not in sent.headers


async def test_what_the_address_answers_must_be_a_signed_object(tmp_path: Path, migrated: Path) -> None:
    async with requesting(tmp_path, migrated, receiver := Receiver()) as web:
        inside = receiver.url("/inside")
        for answer in (
            serving(web, "text/html"), serving(web, "application/json"), serving(web, status=404),
            saying(200, b"", Content_Type=""), saying(302, b"", Location=inside), saying(500),
        ):  # fmt: skip
            receiver.answers = [answer]
            refused = await web.authorize(request_uri=receiver.url("/r.jwt"))
            assert is_page(refused, "invalid_request_uri")
        for body in (b"x", b"\xff\xfe", unsigned(web.claims()).encode(), web.signed(key=STRANGER).encode()):
            receiver.answers = [saying(200, body, Content_Type=JAR)]
            refused = await web.authorize(request_uri=receiver.url("/r.jwt"))
            assert is_page(refused, "invalid_request_object")
        assert {sent.target for sent in receiver.sent} == {"/r.jwt"}
        told = answer_of(
            await web.authorize(request_uri=receiver.url("/r.jwt"), redirect_uri=CALLBACK, state="x")
        )
        assert (told["error"], told["state"]) == ("invalid_request_uri", "x")


async def test_ten_megabytes_or_an_endless_body_are_not_read(tmp_path: Path, migrated: Path) -> None:
    written = 0

    async def endless(_: Sent, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {JAR}\r\nConnection: close\r\n\r\n".encode())
        while written < 200_000_000:
            writer.write(b"x" * 65_536)
            await writer.drain()
            written += 65_536

    async with requesting(tmp_path, migrated, receiver := Receiver()) as web:
        receiver.usual = saying(200, b"x" * 10_000_000, Content_Type=JAR)
        assert is_page(await web.authorize(request_uri=receiver.url()), "invalid_request_uri")
        receiver.usual = endless
        assert is_page(await web.authorize(request_uri=receiver.url()), "invalid_request_uri")
        assert written < 20_000_000


async def test_an_address_that_does_not_answer_is_not_waited_for_long(tmp_path: Path, migrated: Path) -> None:
    async def silent(_: Sent, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(120)

    async with requesting(tmp_path, migrated, receiver := Receiver(usual=silent)) as web:
        async with asyncio.timeout(60):
            assert is_page(await web.authorize(request_uri=receiver.url()), "invalid_request_uri")


INSIDE = [
    "http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "https://localhost:{port}/", "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/", "https://2130706433:{port}/", "https://0x7f000001:{port}/",
    "https://0177.0.0.1:{port}/", "https://127.1:{port}/", "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/", "https://192.168.1.1:8443/", "https://example.com:22/", "https://example.com:25/",
    "http://example.com/r.jwt", "file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:{port}/",
    "data:application/jwt,e30.e30.e30", "javascript:alert(1)", "//127.0.0.1:{port}/", "r.jwt", "urn:x:y",
    "https://user@127.0.0.1:{port}/", "https://exa mple.com/", "https://" + "a" * 3000,
]  # fmt: skip


async def test_no_address_leads_inside(tmp_path: Path, migrated: Path) -> None:
    async with requesting(tmp_path, migrated, receiver := Receiver(), allowed=False) as web:
        for address in INSIDE:
            request_uri = address.format(port=receiver.port)
            assert is_page(await web.authorize(request_uri=request_uri), "invalid_request_uri"), request_uri
            pushed = await web.push(request_uri=request_uri)
            assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_request")
        assert receiver.connections == 0


async def test_a_client_that_registered_itself_has_only_its_registered_addresses_called(
    tmp_path: Path, migrated: Path
) -> None:
    async with requesting(tmp_path, migrated, receiver := Receiver(), origin="registration") as web:
        receiver.usual = serving(web)
        assert is_page(await web.authorize(request_uri=receiver.url("/r.jwt")), "invalid_request_uri")
        await web.place.run(
            "UPDATE clients SET registration = :known",
            known=f'{{"request_uris": ["{receiver.url("/r.jwt")}"]}}',
        )
        await web.place.run("UPDATE tenant SET config_version = config_version + 1")
        assert is_page(await web.authorize(request_uri=receiver.url("/other.jwt")), "invalid_request_uri")
        assert receiver.connections == 0
        for fragment in ("", "#a-digest"):
            assert (await web.authorize(request_uri=receiver.url("/r.jwt") + fragment)).status_code == 302
        assert {sent.target for sent in receiver.sent} == {"/r.jwt"}


async def test_addresses_that_nobody_registered_are_called_so_often_and_no_more(
    tmp_path: Path, migrated: Path
) -> None:
    async with requesting(tmp_path, migrated, receiver := Receiver()) as web:
        for _ in range(60):
            await web.authorize(request_uri=receiver.url())
        assert receiver.connections == 60
        refused = await web.authorize(request_uri=receiver.url())
        assert is_page(refused, status=429)
        assert receiver.connections == 60
        web.world.clock.move(61)
        receiver.usual = serving(web)
        assert (await web.authorize(request_uri=receiver.url())).status_code == 302


async def test_registered_addresses_of_clients_that_came_on_their_own_have_one_bound(
    tmp_path: Path, migrated: Path
) -> None:
    """They may all be one and the same, and share their places with whatever else this server calls."""
    receiver = Receiver()
    async with receiving(receiver), build(tmp_path, migrated, allowed={receiver.address}) as world:
        known = {"origin": "registration", "registration": {"request_uris": [receiver.url("/r.jwt")]}}
        strangers = [await make_requester(world, **known) for _ in range(2)]
        for number in range(120):
            await strangers[number % 2].authorize(request_uri=receiver.url("/r.jwt"))
        assert receiver.connections == 120
        for stranger in strangers:
            assert is_page(await stranger.authorize(request_uri=receiver.url("/r.jwt")), status=429)
        assert receiver.connections == 120
        own = await make_requester(world)
        await own.authorize(request_uri=receiver.url("/own.jwt"))
        assert receiver.connections == 121


async def test_keys_are_read_from_the_clients_own_address(tmp_path: Path, migrated: Path) -> None:
    receiver = Receiver()
    async with receiving(receiver), build(tmp_path, migrated, allowed={receiver.address}) as world:
        await world.acme.make_user()
        web = await make_requester(world, has_key=False, jwks_uri=receiver.url("/jwks"))
        jwks = jsoned({"keys": [dict(web.key.public_jwk)]})
        receiver.usual = saying(200, jwks, Content_Type="application/json")
        assert "code" in await web.log_in(request=web.signed())
        assert is_page(await web.authorize(request=web.signed(key=STRANGER)), "invalid_request_object")


def jsoned(value: Any) -> bytes:
    return httpx.Request("POST", "http://x/", json=value).content
