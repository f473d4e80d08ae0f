"""Who may call: tokens for this API of this tenant, of a person, and of nobody else."""

import pytest

from entrypoints.network import client_credentials
from tests.agents.callers import SCOPE, Agent, agent_for, message, tokens
from tests.holder import Holder
from tests.installation import Installation
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio
WELL_KNOWN = ".well-known/oauth-protected-resource"


async def status(installation: Installation, issuer: str, token: str) -> int:
    answer = await Agent(installation.http, issuer, token).post(message("tools/list"))
    return answer.status_code


async def test_who_shows_nothing_is_told_where_a_token_is_to_be_had(shared: Installation) -> None:
    issuer = shared.tenant("acme").issuer
    answer = await shared.http.post(f"{issuer}mcp", json=message("initialize"))
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 401
    assert f'resource_metadata="{issuer}{WELL_KNOWN}/mcp"' in challenge
    assert 'scope="organizations:read organizations:write"' in challenge
    assert "error=" not in challenge
    found = (await shared.http.get(f"{issuer}{WELL_KNOWN}/mcp")).json()
    assert (found["resource"], found["authorization_servers"]) == (f"{issuer}mcp", [issuer])
    assert found["scopes_supported"] == ["organizations:read", "organizations:write"]


async def test_a_token_for_another_api_or_for_none_is_refused(shared: Installation) -> None:
    acme = shared.tenant("acme")
    issuer, ada = acme.issuer, acme.users[0]
    _, for_invoices = await tokens(
        shared, "acme", ada, resource=None, audience=acme.api_audience, scope="openid read:invoices"
    )
    _, for_management = await tokens(
        shared, "acme", ada, resource=None, audience=acme.management_audience, scope="openid"
    )
    _, for_userinfo = await tokens(shared, "acme", ada, resource=None, scope="openid")
    refused = [for_invoices.access_token, for_management.access_token, for_userinfo.access_token]
    refused += [for_invoices.body["id_token"], "nonsense", "a.b.c"]
    assert [await status(shared, issuer, token) for token in refused] == [401] * len(refused)


async def test_a_token_for_agents_opens_nothing_else(shared: Installation) -> None:
    acme = shared.tenant("acme")
    _, answer = await tokens(shared, "acme", acme.users[0], scope="organizations:read")
    headers = {"Authorization": f"Bearer {answer.access_token}"}
    assert answer.claims["aud"] == f"{acme.issuer}mcp"
    for path in ("api/v2/users", "userinfo"):
        assert (await shared.http.get(f"{acme.issuer}{path}", headers=headers)).status_code == 401, path


async def test_a_token_of_one_tenant_is_worth_nothing_in_another(shared: Installation) -> None:
    acme, globex = shared.tenant("acme"), shared.tenant("globex")
    agent = await agent_for(shared, "acme", acme.users[0])
    assert await status(shared, acme.issuer, agent.token) == 200
    assert await status(shared, globex.issuer, agent.token) == 401
    assert await status(shared, shared.demo.control_plane.issuer, agent.token) == 401


async def test_a_client_in_its_own_name_acts_for_nobody(shared: Installation) -> None:
    acme = shared.tenant("acme")
    machine = acme.clients["m2m"]
    token = await client_credentials(
        shared.http, acme.issuer, machine.client_id, machine.client_secret or "", acme.management_audience
    )
    assert await status(shared, acme.issuer, token) == 401
    form = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": machine.client_secret,
        "audience": f"{acme.issuer}mcp",
    }
    assert (await shared.http.post(f"{acme.issuer}oauth/token", data=form)).status_code in (400, 403)


async def test_each_tool_needs_its_scope_and_the_challenge_names_it(shared: Installation) -> None:
    acme = shared.tenant("acme")
    reader = await agent_for(shared, "acme", acme.users[0], scope="openid organizations:read")
    assert not (await reader.use("list-organizations")).is_error
    asked = {"name": "create-organization", "arguments": {"name": "x", "slug": "x"}}
    for refused in (
        await reader.post(message("tools/call", asked)),
        await reader.alone("tools/call", **asked),
    ):
        assert refused.status_code == 403
        challenge = refused.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="organizations:write"' in challenge
        assert f'resource_metadata="{acme.issuer}{WELL_KNOWN}/mcp"' in challenge


async def test_a_token_ends_with_its_time(installation: Installation) -> None:
    acme = installation.tenant("acme")
    agent = await agent_for(installation, "acme", acme.users[0])
    installation.clock.advance(3600 + 120)
    assert await status(installation, acme.issuer, agent.token) == 401


async def test_a_token_ends_with_its_session_its_consent_and_its_user(installation: Installation) -> None:
    acme = installation.tenant("acme")
    party, answer = await tokens(installation, "acme", acme.users[0])
    revoked = {"token": answer.refresh_token, "client_id": party.client.client_id}
    await installation.http.post(
        f"{acme.issuer}oauth/revoke", data={**revoked, "client_secret": party.client.client_secret}
    )
    assert await status(installation, acme.issuer, answer.access_token) == 401
    manager = await installation.manager("acme")
    other = await agent_for(installation, "acme", acme.users[1])
    person = (await manager.get("/users-by-email", email=acme.users[1].email))[0]
    await manager.patch(f"/users/{person['user_id']}", {"blocked": True})
    assert await status(installation, acme.issuer, other.token) == 401


async def test_the_address_of_the_api_is_its_name_for_audience_and_resource(shared: Installation) -> None:
    acme = shared.tenant("acme")
    _, answer = await tokens(shared, "acme", acme.users[0], resource=None, audience=f"{acme.issuer}mcp")
    assert set(answer.claims["aud"]) == {f"{acme.issuer}mcp", f"{acme.issuer}userinfo"}
    assert set(answer.body["scope"].split()) == set(SCOPE.split())
    assert await status(shared, acme.issuer, answer.access_token) == 200


async def test_a_token_that_is_bound_to_a_key_is_its_holders_alone(shared: Installation) -> None:
    acme = shared.tenant("acme")
    holder = Holder(shared.clock.now)
    party = shared.relying_party("acme")
    async with shared.browser() as http:
        party = RelyingParty(http, party.issuer, party.client, party.audience, acme.users[0])
        form = {
            "grant_type": "authorization_code",
            "code": await party.code(audience=None, resource=f"{acme.issuer}mcp", scope=SCOPE),
            "redirect_uri": party.redirect_uri,
            "code_verifier": party.verifier,
            "client_id": party.client.client_id,
            "client_secret": party.client.client_secret,
        }
        bound = (await holder.send(http, "POST", f"{acme.issuer}oauth/token", data=form)).json()
        token, address = bound["access_token"], f"{acme.issuer}mcp"
        assert bound["token_type"] == "DPoP"
        answer = await holder.send(http, "POST", address, token, json=message("tools/list"))
        assert answer.status_code == 200, answer.text
        stolen = await Agent(http, acme.issuer, token).post(message("tools/list"))
        assert stolen.status_code == 401
        assert stolen.headers["www-authenticate"].startswith("DPoP ")
        thief = Holder(shared.clock.now)
        assert (await thief.send(http, "POST", address, token, json=message("ping"))).status_code == 401
        proof = holder.proof("POST", address, token)
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        statuses = [
            (await http.post(address, json=message("ping"), headers=headers)).status_code for _ in range(2)
        ]
        assert statuses == [200, 401], "a proof counts once"
