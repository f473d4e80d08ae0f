"""A client that stands in a document somewhere is a client of the tenant's: an operator finds and removes it."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from entrypoints.demo_content import Demo
from tests.protocol.test_client_id_metadata_documents import Both, beside, known, party_of, publish
from tests.registrations import consented_code

pytestmark = pytest.mark.anyio


@pytest.fixture
async def both(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Both]:
    async with beside(tmp_path, golden) as opened:
        yield opened


async def test_a_document_is_found_and_removed_with_what_people_gave_it(both: Both) -> None:
    installation, host = both
    client_id = publish(host)
    async with installation.browser() as http:
        party = party_of(installation, client_id, http)
        answer = await party.redeem(await consented_code(party))
        manager = await installation.manager("acme")
        (found,) = await manager.get("/clients", client_id=client_id)
        assert found["name"] == "Published"
        for nothing in ("", "?client_id="):
            assert await manager.status("DELETE", f"/clients{nothing}") == 400
        other = await installation.manager("globex")
        assert await other.status("DELETE", f"/clients?client_id={quote(client_id, safe='')}") == 204
        assert (await party.userinfo(answer.access_token)).status_code == 200
        await manager.delete(f"/clients?client_id={quote(client_id, safe='')}")
        assert await known(installation) == []
        host.pages.clear()
        assert (await party.refresh(answer.refresh_token)).status in (400, 401)
        assert (await party.userinfo(answer.access_token)).status_code == 401
