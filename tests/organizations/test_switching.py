"""One browser session: what is chosen at the organization API is what the login pages offer first."""

import pytest

from tests.installation import Installation
from tests.organizations.people import signed_in
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio


async def test_the_active_organization_is_the_first_to_choose_from_and_chosen_by_nobody_else(
    shared: Installation,
) -> None:
    person = await signed_in(shared)
    made = [
        (await person.post("/organization/create", name=f"Place {place}", slug=f"place-{place}")).body["id"]
        for place in ("one", "two", "three")
    ]
    await person.post("/organization/set-active", organizationId=made[1])
    manager = await shared.manager("acme")
    client = shared.tenant("acme").clients["spa"]
    await manager.patch(
        f"/clients/{client.client_id}",
        {"organization_usage": "require", "organization_require_behavior": "post_login_prompt"},
    )
    try:
        party = RelyingParty(person.http, person.issuer, client, shared.tenant("acme").api_audience, None)  # type: ignore[arg-type]
        page = await party.authorize()
        offered = [value for name, value in party.browser.forms()[0].buttons if name == "organization"]
        assert offered[0] == made[1]
        assert set(offered) == set(made)
        assert page.text.count('aria-current="true"') == 1
        assert (await party.silent())["error"] == "interaction_required", "it is offered, never taken"

        await party.authorize()
        await party.browser.submit(button=("organization", made[2]))
        assert (await party.redeem(party.landed["code"])).claims["org_id"] == made[2]
        session = await person.session()
        assert session is not None
        assert session["activeOrganizationId"] == made[1], "a token for another is a token for another"
    finally:
        await manager.patch(
            f"/clients/{client.client_id}",
            {"organization_usage": "allow", "organization_require_behavior": "no_prompt"},
        )
