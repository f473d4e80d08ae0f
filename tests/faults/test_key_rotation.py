"""F6 and F7: keys are rotated and revoked while processes die, and by two at once. Verifiers never notice."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.failpoints import EXIT_STATUS
from entrypoints.demo_content import Demo
from tests.conftest import serving as in_process
from tests.conftest import settings_for
from tests.faults.checks import file_of, is_whole, query
from tests.faults.conftest import Ground
from tests.faults.servers import serving, two_serving
from tests.keyholders import Keyholder, keyholder, kid_of
from tests.serving import command

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

ROUNDS = [(True, 1), (False, 1), (True, 0), (False, 1), (False, 0), (True, 0), (True, 1)]
"""Whether at once, and how many new keys: where one is next already, that one is meant."""

SEEN_SECONDS = 1.2
"""A change made past every process is seen after this."""

DIES_WHILE_ASKED = [
    ("keys.made", "rotate", {}),
    ("keys.added", "rotate", {}),
    ("keys.committed", "rotate", {}),
    ("keys.previous", "rotate", {"immediately": True}),
    ("keys.current", "rotate", {"immediately": True}),
    ("keys.revoked", "revoke", {}),
    ("keys.committed", "revoke", {}),
]
DIES_WHEN_DUE = ["keys.previous", "keys.current"]


@dataclass
class Verifier:
    """An API far away, that gets tokens of one server all the time and keys of it, and verifies what it got."""

    holder: Keyholder
    tokens: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Keys whose tokens were refused: a token is got and verified in two steps, and a revocation may fall between."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Whoever holds it is alone with the servers."""

    _stopped: bool = False

    async def work(self) -> None:
        while not self._stopped:
            await asyncio.sleep(0.02)
            async with self.turn:
                await self._once()

    async def _once(self) -> None:
        token = await self.holder.api_token()
        if not await self.holder.verifies(token):
            self.refused.add(kid_of(token))
        self.tokens.append(token)

    async def __aenter__(self) -> "Verifier":
        await self.holder.api_token()
        self._task = asyncio.create_task(self.work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await self._task
        assert self.tokens


def of(ground: Ground, http: httpx.AsyncClient) -> Keyholder:
    return Keyholder(http, ground.demo.tenants[0])


def rows(data: Path) -> list[tuple[str, str, str, int]]:
    statement = "SELECT kid, alg, state, length(private_key) FROM signing_keys"
    return [(kid, alg, state, length) for kid, alg, state, length in query(file_of(data, "acme"), statement)]


def keys_are_sound(data: Path) -> None:
    """One that signs of each algorithm; a private part where something is or will be signed, and nowhere else."""
    found = rows(data)
    current = Counter(alg for _, alg, state, _ in found if state == "current")
    assert set(current.values()) == {1}, found
    assert max(Counter(alg for _, alg, state, _ in found if state == "next").values(), default=0) <= 1
    for kid, _, state, length in found:
        assert (length > 0) == (state in ("current", "next")), (kid, state, length)


def let_pass(data: Path, change: str) -> None:
    """As if time had gone by."""
    with sqlite3.connect(file_of(data, "acme"), timeout=10) as connection:
        connection.execute(f"UPDATE signing_keys SET {change}")
    connection.close()


A_DAY = "activates_at = 1 WHERE state = 'next'"
A_MINUTE = "retired_at = retired_at - 60000 WHERE state = 'previous'"


async def test_f6_a_process_that_dies_while_it_changes_keys_leaves_them_whole(ground: Ground) -> None:
    async with serving(ground.data) as sound, sound.client() as there, Verifier(of(ground, there)) as api:
        for point, action, body in DIES_WHILE_ASKED:
            await _die(ground, api, point, action, body)
            keys_are_sound(ground.data)
        for point in DIES_WHEN_DUE:
            await _die_when_due(ground, api, point)
            keys_are_sound(ground.data)
        await _nothing_was_lost(ground, api)
    is_whole(ground.data)


async def _die(ground: Ground, api: Verifier, point: str, action: str, body: dict[str, Any]) -> None:
    await _settle(ground, api.holder)
    if point == "keys.current":  # what is next takes over
        await api.holder.rotate()
    published = await api.holder.published()
    async with serving(ground.data, f"{point}=exit") as dying, dying.client() as here:
        path = "/keys/signing/rotate"
        method = "POST"
        if action == "revoke":
            path, method = f"/keys/signing/{next(iter(published))}/revoke", "PUT"
        with suppress(httpx.TransportError):
            answer = await of(ground, here).call(method, path, body or None, token=await api.holder.token())
            pytest.fail(f"{point}: {answer.status_code}")
        assert await dying.ended() == EXIT_STATUS
    again = await api.holder.call(method, path, body or None)
    assert again.status_code in (200, 201), again.text
    if action == "rotate":
        assert again.json()["kid"] in await api.holder.published()
    else:
        assert path.split("/")[3] not in await api.holder.published()


async def _settle(ground: Ground, holder: Keyholder) -> None:
    """Nobody is next, and the last rotation is a while ago."""
    let_pass(ground.data, A_MINUTE)
    if any(key["next"] for key in (await holder.keys()).values()):
        await holder.rotate(immediately=True)
        let_pass(ground.data, A_MINUTE)


async def _die_when_due(ground: Ground, api: Verifier, point: str) -> None:
    """Whoever signs then promotes; here it dies while it does."""
    await _settle(ground, api.holder)
    following = (await api.holder.rotate(algorithm="RS256"))["kid"]
    async with api.turn, serving(ground.data, f"{point}=exit") as dying, dying.client() as here:
        let_pass(ground.data, A_DAY)
        await asyncio.sleep(SEEN_SECONDS)
        with suppress(httpx.TransportError):
            await of(ground, here).published()
        assert await dying.ended() == EXIT_STATUS
    await asyncio.sleep(SEEN_SECONDS)
    assert kid_of(await api.holder.api_token()) == following


async def _nothing_was_lost(ground: Ground, api: Verifier) -> None:
    revoked = {kid for kid, _, state, _ in rows(ground.data) if state == "revoked"}
    published = await api.holder.published()
    kids = {kid_of(token) for token in api.tokens}
    assert api.refused <= revoked, "a token nobody can verify"
    assert kids - revoked <= published.keys()
    assert revoked.isdisjoint(published)
    assert len(kids) > 3


async def test_f7_two_servers_that_rotate_at_once_make_one_key(ground: Ground) -> None:
    async with (
        two_serving(ground.data) as servers,
        servers[0].client() as here,
        servers[1].client() as there,
    ):
        both = of(ground, here), of(ground, there)
        for immediately, new in ROUNDS:
            let_pass(ground.data, A_MINUTE)
            body = {"immediately": immediately, "algorithm": "RS256"}
            before = set(await both[0].published())
            token = await both[0].token()
            answers = await asyncio.gather(
                *(
                    holder.call("POST", "/keys/signing/rotate", body, token=token)
                    for _ in range(5)
                    for holder in both
                )
            )
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.json()["kid"] for answer in answers}) == 1
            keys = [await holder.published() for holder in both]
            assert keys[0] == keys[1]
            assert len(set(keys[0]) - before) == new
            for first, second in (both, reversed(both)):
                assert await second.verifies(await first.api_token())
            keys_are_sound(ground.data)


async def test_f7_one_that_knows_only_the_old_keys_changes_nothing(ground: Ground) -> None:
    """It makes its key for so long that the other one has rotated meanwhile."""
    async with (
        two_serving(ground.data, "keys.made=sleep:3", "") as servers,
        servers[0].client() as here,
        servers[1].client() as there,
    ):
        slow, quick = of(ground, here), of(ground, there)
        token, before = await quick.token(), set(await quick.published())
        late = asyncio.create_task(
            slow.call("POST", "/keys/signing/rotate", {"immediately": True}, token=token)
        )
        await asyncio.sleep(1.0)
        made = await quick.rotate(immediately=True)
        assert not late.done()
        answer = await late
        assert (answer.status_code, answer.json()["kid"]) == (201, made["kid"])
        assert set(await slow.published()) - before == {made["kid"]}
        for first, second in ((slow, quick), (quick, slow)):
            issued = await first.api_token()
            assert kid_of(issued) == made["kid"]
            assert await second.verifies(issued)
    keys_are_sound(ground.data)


async def test_a_key_revoked_in_one_process_is_refused_in_all_at_once(ground: Ground) -> None:
    async with (
        two_serving(ground.data) as servers,
        servers[0].client() as here,
        servers[1].client() as there,
    ):
        for first, second in ((of(ground, here), of(ground, there)), (of(ground, there), of(ground, here))):
            token = await first.token()
            assert (await second.call("GET", "/roles", token=token)).status_code == 200
            await first.revoke(kid_of(token))
            for holder in (second, first):
                assert (await holder.call("GET", "/roles", token=token)).status_code == 401
                assert kid_of(token) not in await holder.published()
                assert kid_of(await holder.token()) in await first.published()
    keys_are_sound(ground.data)


async def test_a_database_that_cannot_be_written_costs_nobody_a_token(
    data_dir: Path, golden: tuple[Path, Demo]
) -> None:
    """What is due waits until it can be done; the keys at hand go on."""
    settings = settings_for(data_dir, write_deadline_seconds=0.3)
    async with in_process(settings, golden[1]) as installation:
        holder = keyholder(installation)
        await holder.api_token()
        before, made = await holder.published(), (await holder.rotate())["kid"]
        installation.clock.advance(86_401)
        await installation.running.services.audit.flush()
        lock = sqlite3.connect(file_of(data_dir, "acme"), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        try:
            token = await holder.api_token()
            assert set(await holder.published()) == {*before, made}
            assert kid_of(token) in before
            assert await holder.verifies(token)
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert kid_of(await holder.api_token()) == made
        assert await holder.verifies(token)


async def test_the_command_and_a_server_rotate_at_once(ground: Ground) -> None:
    async with serving(ground.data) as server, server.client() as http:
        holder = of(ground, http)
        before, token = set(await holder.published()), await holder.token()
        arguments = ("keys", "rotate", "--tenant", "acme", "--data", str(ground.data), "--json")
        said, *answers = await asyncio.gather(
            asyncio.to_thread(command, *arguments),
            *(holder.call("POST", "/keys/signing/rotate", token=token) for _ in range(5)),
        )
        assert said.returncode == 0, said.stderr
        assert {answer.status_code for answer in answers} == {201}
        assert len(set(await holder.published()) - before) == 1
    keys_are_sound(ground.data)
