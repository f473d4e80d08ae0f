"""The token side as an application meets it: a whole installation, a person who signs in, an administrator who acts."""

import asyncio

import pytest

from tests.installation import Installation
from tests.relying_party import RelyingParty


def _app(installation: Installation, client: str = "web") -> RelyingParty:
    return installation.relying_party("acme", client)


async def test_a_person_signs_in_switches_organization_by_refresh_and_signs_out_of_the_application(
    shared: Installation,
) -> None:
    rp = _app(shared, "spa")
    first, second, foreign = shared.tenant("acme").organizations[:3]
    tokens = await rp.sign_in(organization=first.id)
    assert tokens.claims["org_id"] == tokens.id_claims["org_id"] == first.id
    switched = await rp.refresh(tokens.refresh_token, organization=second.id)
    assert switched.claims["org_id"] == switched.id_claims["org_id"] == second.id
    assert (await rp.userinfo(switched.access_token)).json()["org_id"] == second.id
    refused = await rp.refresh(switched.refresh_token, organization=foreign.id)
    assert (refused.status, refused.error) == (403, "access_denied")
    body = {"token": switched.refresh_token, "client_id": rp.client.client_id}
    assert (await rp.http.post(f"{rp.issuer}oauth/revoke", json=body)).status_code == 200
    assert (await rp.refresh(switched.refresh_token)).error == "invalid_grant"
    assert (await rp.userinfo(switched.access_token)).status_code == 401


async def test_a_code_that_comes_twice_costs_the_first_its_tokens(shared: Installation) -> None:
    rp = _app(shared)
    code = await rp.code()
    answers = await asyncio.gather(*(rp.redeem(code) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]
    good = next(answer for answer in answers if answer.status == 200)
    assert (await rp.userinfo(good.access_token)).status_code == 401
    assert (await rp.refresh(good.refresh_token)).error == "invalid_grant"


async def test_a_code_of_one_tenant_is_nothing_at_another(shared: Installation) -> None:
    rp, other = _app(shared), shared.relying_party("globex")
    code = await rp.code()
    assert (await other.redeem(code, code_verifier=rp.verifier)).error == "invalid_grant"
    assert (await rp.redeem(code)).status == 200


async def test_an_authorization_request_is_no_code(shared: Installation) -> None:
    """Each single-use kind is looked up in a table of its own."""
    rp = _app(shared)
    await rp.authorize(prompt="login")
    secrets = [value for cookie in rp.http.cookies.jar if (value := cookie.value)]
    answers = [await rp.redeem(value) for value in secrets]
    assert {answer.error for answer in answers} <= {"invalid_grant"}


@pytest.mark.parametrize("change", [{"blocked": True}, {"password": "another long pass phrase 1"}], ids=str)
async def test_what_an_administrator_does_to_a_user_ends_their_tokens(
    installation: Installation, change: dict[str, object]
) -> None:
    rp = _app(installation)
    tokens = await rp.sign_in()
    assert (await rp.userinfo(tokens.access_token)).status_code == 200
    api = await installation.manager("acme")
    await api.patch(f"/users/{tokens.claims['sub']}", change)
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert (await rp.userinfo(tokens.access_token)).status_code == 401


async def test_a_member_who_was_removed_gets_nothing_more_for_the_organization(
    installation: Installation,
) -> None:
    rp = _app(installation)
    organization = installation.tenant("acme").organizations[0]
    tokens = await rp.sign_in(organization=organization.id)
    api = await installation.manager("acme")
    await api.delete(f"/organizations/{organization.id}/members", {"members": [tokens.claims["sub"]]})
    assert (await rp.refresh(tokens.refresh_token)).error == "invalid_grant"
    assert (await rp.userinfo(tokens.access_token)).status_code == 401
