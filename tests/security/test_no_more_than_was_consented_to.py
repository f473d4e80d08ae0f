"""Whoever has to ask a person gets what that person saw and allowed: not what else they hold."""

import json
from typing import Any

import httpx
import pytest

from entrypoints.demo_content import CALLBACK
from tenant_runtime.login.texts import Texts
from tests.installation import Installation
from tests.registrations import let_register, registered, stranger
from tests.relying_party import RelyingParty, payload

pytestmark = pytest.mark.anyio

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def consented(party: RelyingParty, scope: str, **changes: str | None) -> Any:
    await party.authorize(scope=scope, **changes)
    if party.browser.landed is None and any("email" in form.fields for form in party.browser.forms()):
        await party.log_in()
    assert party.browser.landed is None, "nobody was asked"
    await party.browser.submit(button=("decision", "allow"))
    return await party.redeem(party.landed["code"])


async def test_a_client_that_was_allowed_to_know_who_it_is_has_no_permission(
    installation: Installation,
) -> None:
    """The user holds both permissions of the API; the page named what was asked for."""
    await let_register(installation, "acme", mode="open")
    client = await registered(
        installation,
        "acme",
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
    )
    async with installation.browser() as http:
        party = stranger(installation, "acme", client, http=http)
        assert (await consented(party, "openid")).claims["permissions"] == []
        answer = await consented(party, "openid offline_access read:invoices")
        assert answer.claims["permissions"] == ["read:invoices"]
        refreshed = await party.refresh(answer.refresh_token)
        assert refreshed.claims["permissions"] == ["read:invoices"]
        narrower = await party.refresh(refreshed.refresh_token, scope="openid")
        assert narrower.claims["permissions"] == []


CLAIMS = json.dumps({"userinfo": {"email": None, "picture": None}, "id_token": {"phone_number": None}})


async def test_claims_that_are_named_one_by_one_are_asked_for_too(installation: Installation) -> None:
    """`claims` (OpenID Connect Core 1.0, section 5.5) is no way around the page."""
    await let_register(installation, "acme", mode="open")
    client = await registered(installation, "acme", token_endpoint_auth_method="none")
    async with installation.browser() as http:
        party = stranger(installation, "acme", client, http=http)
        answer = await consented(party, "openid", audience=None)
        assert (await party.userinfo(answer.access_token)).json().keys() == {"sub"}
        refused = await party.silent(scope="openid", audience=None, claims=CLAIMS)
        assert refused["error"] == "consent_required"
        page = await party.authorize(scope="openid", audience=None, claims=CLAIMS)
        texts = Texts("en")
        for scope in ("email", "profile", "phone"):
            assert str(texts.scope(scope, "")) in page.text
        await party.browser.submit(button=("decision", "allow"))
        answer = await party.redeem(party.landed["code"])
        assert "email" in (await party.userinfo(answer.access_token)).json()
        assert "code" in await party.silent(scope="openid", audience=None, claims=CLAIMS)


async def test_no_claim_goes_beyond_the_scope_that_a_client_registered(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open")
    client = await registered(installation, "acme", token_endpoint_auth_method="none", scope="openid profile")
    async with installation.browser() as http:
        party = stranger(installation, "acme", client, http=http)
        answer = await consented(party, "openid", audience=None, claims=CLAIMS)
        told = (await party.userinfo(answer.access_token)).json()
        assert "email" not in told
        assert "phone_number" not in answer.id_claims


async def test_an_operators_consent_opens_neither_the_platform_nor_a_tenant_to_a_stranger(
    installation: Installation,
) -> None:
    plane = installation.demo.control_plane
    await (await installation.operator()).patch(
        "/tenants/settings", {"client_registration": {"mode": "open"}}
    )
    said = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    client = (await installation.http.post(f"{plane.issuer}oidc/register", json=said)).json()
    async with installation.browser() as http:
        party = stranger(installation, "acme", client, http=http)
        party.issuer, party.audience = plane.issuer, plane.management_audience
        party.user = plane.users[0]
        token = (await consented(party, "openid")).access_token
        assert payload(token)["permissions"] == []
        for url in (
            f"{plane.issuer}api/v2/tenants/acme",
            f"{installation.tenant('acme').issuer}api/v2/users",
        ):
            assert (await _get(http, url, token)).status_code == 403
        token = (await party.sign_in(scope="openid read:tenants")).access_token
        assert payload(token)["permissions"] == []
        grant = {"client_id": client["client_id"], "audience": plane.management_audience}
        api = await installation.operator()
        await api.post("/client-grants", {**grant, "scope": ["read:tenants"]})
        token = (await consented(party, "openid read:tenants read:users")).access_token
        assert payload(token)["permissions"] == ["read:tenants"]
        assert (await _get(http, f"{plane.issuer}api/v2/tenants/acme", token)).status_code == 200
        assert (await _get(http, f"{plane.issuer}api/v2/users", token)).status_code == 403


async def test_a_device_that_nobody_vouches_for_has_what_its_page_named(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open")
    client = await registered(
        installation, "acme", grant_types=[DEVICE], redirect_uris=[], token_endpoint_auth_method="none"
    )
    tenant = installation.tenant("acme")
    asked = {"client_id": client["client_id"], "scope": "openid", "audience": tenant.api_audience}
    begun = (await installation.http.post(f"{tenant.issuer}oauth/device/code", data=asked)).json()
    async with installation.browser() as http:
        party = RelyingParty(http, tenant.issuer, tenant.clients["spa"], tenant.api_audience, tenant.users[0])
        await party.browser.open(begun["verification_uri_complete"])
        await party.browser.submit()
        await party.log_in()
        await party.browser.submit(button=("decision", "allow"))
    form = {"grant_type": DEVICE, "device_code": begun["device_code"], "client_id": client["client_id"]}
    answer = (await installation.http.post(f"{tenant.issuer}oauth/token", data=form)).json()
    assert payload(answer["access_token"])["permissions"] == []


async def test_an_api_that_wants_consent_wants_it_for_its_permissions_too(installation: Installation) -> None:
    """Of the tenant's own clients; where no consent is asked, `permissions` is all that the person holds, as Auth0
    has it."""
    tenant, manager = installation.tenant("acme"), await installation.manager("acme")
    async with installation.browser() as http:
        party = installation.relying_party("acme", "spa", http=http)
        answer = await party.sign_in(scope="openid")
        assert answer.claims["permissions"] == ["read:invoices", "write:invoices"]
        servers = await manager.get("/resource-servers")
        api = next(server for server in servers if server["identifier"] == tenant.api_audience)
        change = {"skip_consent_for_verifiable_first_party_clients": False}
        await manager.patch(f"/resource-servers/{api['id']}", change)
        assert (await consented(party, "openid")).claims["permissions"] == []


async def _get(http: httpx.AsyncClient, url: str, token: str) -> httpx.Response:
    return await http.get(url, headers={"Authorization": f"Bearer {token}"})


async def test_what_a_client_changes_while_somebody_reads_is_shown_before_it_counts(
    installation: Installation,
) -> None:
    """It asks for more than it registered, which is left out of the page, and then registers more."""
    await let_register(installation, "acme", mode="open")
    tenant = installation.tenant("acme")
    client = await registered(installation, "acme", token_endpoint_auth_method="none", scope="openid")
    said = {
        "client_id": client["client_id"],
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    }
    bearer = {"Authorization": f"Bearer {client['registration_access_token']}"}
    async with installation.browser() as http:
        party = stranger(installation, "acme", client, http=http)
        await party.authorize(scope="openid read:invoices write:invoices", claims=CLAIMS)
        page = await party.log_in()
        assert "Read invoices" not in page.text
        changed = await installation.http.put(
            f"{tenant.issuer}oidc/register/{client['client_id']}", json=said, headers=bearer
        )
        assert changed.status_code == 200, changed.text
        page = await party.browser.submit(button=("decision", "allow"))
        assert party.browser.landed is None, "asked again"
        assert "Read invoices" in page.text
        assert await grants(installation, client["client_id"]) == []
        await party.browser.submit(button=("decision", "allow"))
        answer = await party.redeem(party.landed["code"])
        assert answer.claims["permissions"] == ["read:invoices", "write:invoices"]
        (grant,) = await grants(installation, client["client_id"])
        assert {"openid", "read:invoices", "write:invoices", "email"} <= set(grant["scope"])


async def grants(installation: Installation, client_id: str) -> list[dict[str, Any]]:
    manager = await installation.manager("acme")
    found: list[dict[str, Any]] = await manager.get("/grants", client_id=client_id)
    return found
