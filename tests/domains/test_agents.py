"""`/mcp` at a domain of the tenant's own: its address there is its name there."""

import pytest

from tests.agents.callers import SCOPE, Agent
from tests.domains.conftest import Domains
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio
LOGIN = "login.acme.example"


async def test_an_agent_that_knows_a_tenants_own_domain_gets_a_token_there(domains: Domains) -> None:
    acme, globex = domains.installation.tenant("acme"), domains.installation.tenant("globex")
    assert (await (await domains.of("acme")).proven(LOGIN))["status"] == "ready"
    address = f"https://{LOGIN}/mcp"
    async with domains.installation.browser() as http:
        refused = await http.post(address, json={})
        metadata = f"https://{LOGIN}/.well-known/oauth-protected-resource/mcp"
        assert f'resource_metadata="{metadata}"' in refused.headers["www-authenticate"]
        found = (await http.get(metadata)).json()
        assert (found["resource"], found["authorization_servers"]) == (address, [f"https://{LOGIN}/"])
        party = RelyingParty(http, f"https://{LOGIN}/", acme.clients["web"], acme.api_audience, acme.users[0])
        asked = {"audience": None, "resource": address, "scope": SCOPE}
        answer = await party.redeem(await party.code(**asked), resource=address)
        assert answer.status == 200, answer.body
        for issuer in (f"https://{LOGIN}/", acme.issuer):
            listed = await Agent(http, issuer, answer.access_token).use("list-organizations")
            assert [each["slug"] for each in listed.value["organizations"]]
        elsewhere = await Agent(http, globex.issuer, answer.access_token).post({"jsonrpc": "2.0"})
        assert elsewhere.status_code == 401
        await party.authorize(**{**asked, "resource": f"{globex.issuer}mcp"})
        assert party.landed["error"] == "invalid_target"
