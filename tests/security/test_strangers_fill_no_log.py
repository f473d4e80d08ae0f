"""What anybody may cause, as often as they like, leaves little behind."""

import pytest

from tests.installation import Installation

pytestmark = pytest.mark.anyio


async def test_a_refused_request_is_told_of_in_a_few_words(installation: Installation) -> None:
    rp, acme = installation.relying_party("acme"), await installation.manager("acme")
    await rp.authorize(audience="https://" + "a" * 20_000, scope="openid " + "b" * 20_000)
    await rp.token({"grant_type": "client_credentials", "audience": "https://" + "c" * 20_000})
    told = [event for event in await acme.get("/logs", per_page=10) if event["type"] in ("f", "feccft")]
    assert len(told) == 2
    for event in told:
        assert all(len(text) <= 500 for text in event.values() if isinstance(text, str)), event["type"]
