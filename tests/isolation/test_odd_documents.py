"""What other servers answer is theirs: whatever it is, a client is refused for it and nothing here is at fault."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic

import pytest
from sqlalchemy import Connection, delete, update

from entrypoints.demo_content import Demo
from tenant_runtime import models
from tests.isolation import kinds
from tests.isolation.odd_keys import KEY_SETS, odd_keys
from tests.isolation.sides import KEY, Side, two_sides
from tests.isolation.test_no_input_is_a_server_error import DOCUMENTS
from tests.receivers import saying

pytestmark = pytest.mark.anyio

SECONDS = 2.0
KEPT = 301
"""Seconds; then a key set is read again."""


@pytest.fixture(scope="module")
async def side(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Side]:
    """Whose client `signing` publishes its keys at an address."""
    async with two_sides(golden, tmp_path_factory.mktemp("documents")) as sides:
        side = sides.a
        await side.tenant.database.write(_publish, side.client_id("signing"), side.receiver.url("/keys"))
        yield side


def _publish(connection: Connection, client_id: str, url: str) -> None:
    client, key = models.Client.__table__, models.ClientKey.__table__
    connection.execute(delete(key).where(key.c.client_id == client_id))
    connection.execute(update(client).where(client.c.client_id == client_id).values(jwks_uri=url))


def _answers() -> list[bytes]:
    """One good key stands among the odd ones in some: it is found."""
    good = dict(KEY.public_jwk)
    sets = [
        *KEY_SETS,
        *({"keys": [key]} for _, key in odd_keys()),
        *({"keys": [key, good]} for _, key in odd_keys()),
    ]
    return [*DOCUMENTS, *(json.dumps(value).encode() for value in sets), b"x" * 2_000_000]


async def test_a_key_set_that_is_none_proves_nobody(side: Side) -> None:
    """As many as fit into the time, others each day, the same all day long."""
    answers, wrong = _answers(), []
    Random(datetime.now(UTC).toordinal()).shuffle(answers)
    until = monotonic() + SECONDS
    for answer in answers:
        if monotonic() > until:
            break
        side.receiver.usual = saying(200, answer, Content_Type="application/json")
        side.mail.installation.clock.advance(KEPT)
        has_it = KEY.public_jwk["x"].encode() in answer
        for make, use in (
            (kinds.client_assertion, kinds.authenticate),
            (kinds.request_object, kinds.authorize_signed),
        ):
            outcome = await use(side, await make(side))
            if outcome.response.status_code >= 500 or (outcome.accepted and not has_it):
                wrong.append((answer[:200], outcome.response.status_code, outcome.response.text[:200]))
    assert wrong == []


async def test_a_good_key_set_is_read_after_all_that(side: Side) -> None:
    body = json.dumps({"keys": [dict(KEY.public_jwk)]}).encode()
    side.receiver.usual = saying(200, body, Content_Type="application/json")
    side.mail.installation.clock.advance(KEPT)
    assert (await kinds.authenticate(side, await kinds.client_assertion(side))).accepted
    assert (await kinds.authorize_signed(side, await kinds.request_object(side))).accepted
