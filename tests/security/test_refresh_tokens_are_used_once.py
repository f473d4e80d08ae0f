"""A second use is a second use, whatever the clocks say."""

from tests.installation import Installation


async def test_a_request_that_arrived_earlier_and_is_served_later_is_no_first_use(
    installation: Installation,
) -> None:
    """Two servers, or a clock set back: the second use bears a time before the first one's."""
    rp = installation.relying_party("acme")
    tokens = await rp.sign_in()
    won = await rp.refresh(tokens.refresh_token)
    assert won.status == 200
    installation.clock.advance(-2)
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert (await rp.refresh(won.refresh_token)).error == "invalid_grant"
