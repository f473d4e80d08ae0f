"""What a client is held to: signed and pushed requests, logout, being an API, FAPI 2.0."""

from typing import Any

import pytest

from tenant_runtime.models import Client, ClientKey
from tests.management.signing_clients import BY_KEY, FAPI, KEY, KEYS, WEB, jwks, made, pem
from tests.management.world import Place, World

pytestmark = pytest.mark.anyio

# --- Signed requests, logout, APIs -----------------------------------------------------------------------------------


async def test_keys_for_signed_requests_are_keys_of_the_client(acme: Place) -> None:
    api = acme.api()
    client = await api.made(
        "/clients",
        {**WEB, "signed_request_object": {"required": True, "credentials": [{"pem": pem(KEY)}]}},
    )
    path = f"/clients/{client['client_id']}"
    [row] = await acme.rows(ClientKey)
    assert client["signed_request_object"] == {"required": True, "credentials": [{"id": row.id}]}
    named = {"private_key_jwt": {"credentials": [{"pem": pem(KEYS["EdDSA"])}]}}
    changed = (await api.patch(path, {"client_authentication_methods": named})).json()
    assert changed["signed_request_object"] == client["signed_request_object"]
    assert len(await acme.rows(ClientKey)) == 2
    unknown = {"signed_request_object": {"credentials": [{"id": "cred_unknown"}]}}
    assert (await api.patch(path, unknown)).status_code == 400
    await api.delete(f"{path}/credentials/{row.id}")
    shown = (await api.get(path)).json()
    assert shown["signed_request_object"] == {"required": True, "credentials": []}
    assert "signed_request_object" not in (await api.patch(path, {"signed_request_object": None})).json()


async def test_one_key_may_be_named_for_both_uses_and_again(acme: Place) -> None:
    credential = {"credential_type": "public_key", "pem": pem(KEY)}
    body = {
        "client_authentication_methods": {"private_key_jwt": {"credentials": [credential]}},
        "signed_request_object": {"required": True, "credentials": [credential]},
    }
    client = await acme.api().made("/clients", {**WEB, **body})
    [row] = await acme.rows(ClientKey)
    assert client["signed_request_object"]["credentials"] == [{"id": row.id}]
    path, events = f"/clients/{client['client_id']}", len(await acme.events())
    for change in (body, {"signed_request_object": body["signed_request_object"]}):
        assert (await acme.api().patch(path, change)).json() == client
    assert await acme.rows(ClientKey) == [row]
    assert len(await acme.events()) == events


async def test_what_a_client_says_of_logout_proofs_and_pushed_requests_is_kept_and_read_back(
    acme: Place,
) -> None:
    said = {
        "require_proof_of_possession": True,
        "require_pushed_authorization_requests": True,
        "oidc_logout": {
            "backchannel_logout_urls": ["https://app.example.com/logout"],
            "backchannel_logout_initiators": {"mode": "custom", "selected_initiators": ["rp-logout"]},
        },
    }
    client = await acme.api().made("/clients", {**WEB, **said})
    assert {name: client[name] for name in said} == said
    [row] = await acme.rows(Client, client_id=client["client_id"])
    assert row.attributes == {}
    assert (row.require_proof_of_possession, row.oidc_logout) == (True, said["oidc_logout"])
    path = f"/clients/{client['client_id']}"
    fewer = dict.fromkeys(said)
    cleared = (await acme.api().patch(path, fewer)).json()
    assert "oidc_logout" not in cleared
    assert cleared["require_proof_of_possession"] is cleared["require_pushed_authorization_requests"] is False
    old = {"oidc_backchannel_logout": {"backchannel_logout_urls": ["https://app.example.com/old"]}}
    assert (await acme.api().patch(path, old)).json()["oidc_logout"] == old["oidc_backchannel_logout"]


@pytest.mark.parametrize(
    "change",
    [
        {"oidc_logout": {"backchannel_logout_initiators": {"mode": "some"}}},
        {"oidc_logout": {"backchannel_logout_initiators": {"selected_initiators": ["magic"]}}},
        {"oidc_logout": {"backchannel_logout_urls": "https://app.example.com/"}},
        {"oidc_logout": {"backchannel_logout_urls": ["https://app.example.com/"] * 6}},
        {"oidc_logout": {"frontchannel": 1}},
        {"signed_request_object": {"required": "yes"}},
        {"signed_request_object": {"magic": 1}},
        {"require_proof_of_possession": "yes"},
        {"require_pushed_authorization_requests": 1},
        {"compliance_level": "fapi1_adv_pkj_par"},
        {"compliance_level": "fapi2_sp_mtls_mtls"},
        {"compliance_level": ""},
        {"resource_server_identifier": "urn:nothing"},
        {"app_type": "resource_server"},
    ],
    ids=str,
)
async def test_what_cannot_be_honoured_is_refused_and_changes_nothing(
    acme: Place, change: dict[str, Any]
) -> None:
    path, client = await made(acme, jwks=jwks(KEY))
    refused = await acme.api().patch(path, change)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
    assert (await acme.api().post("/clients", {**WEB, **change})).status_code == 400
    assert (await acme.api().get(path)).json() == client


async def test_a_client_may_be_an_api_of_the_tenant(world: World) -> None:
    acme = world.acme
    await acme.api().made("/resource-servers", {"identifier": "urn:invoices", "name": "Invoices"})
    await world.globex.api().made("/resource-servers", {"identifier": "urn:theirs", "name": "Theirs"})
    body = {"name": "Invoices", "app_type": "resource_server", "resource_server_identifier": "urn:invoices"}
    client = await acme.api().made("/clients", body)
    assert (client["grant_types"], client["resource_server_identifier"]) == ([], "urn:invoices")
    assert client["client_secret"]
    for identifier in ("urn:theirs", acme.tenant.management_audience):
        refused = await acme.api().post("/clients", {**body, "resource_server_identifier": identifier})
        assert refused.status_code == 400
    public = await acme.api().post("/clients", {**body, "token_endpoint_auth_method": "none"})
    assert public.status_code == 400


# --- FAPI 2.0 --------------------------------------------------------------------------------------------------------

GOOD = {**BY_KEY, "compliance_level": FAPI, "grant_types": ["authorization_code", "refresh_token"]}


async def test_a_fapi_client_is_made_whole(acme: Place) -> None:
    client = await acme.api().made("/clients", {**GOOD, "jwks": jwks(KEY)})
    assert client["compliance_level"] == FAPI
    there = await acme.api().made("/clients", {**GOOD, "jwks_uri": "https://app.example.com/jwks.json"})
    assert there["compliance_level"] == FAPI
    path = f"/clients/{client['client_id']}"
    assert "compliance_level" not in (await acme.api().patch(path, {"compliance_level": None})).json()
    none = (await acme.api().patch(path, {"compliance_level": "none"})).json()
    assert none["compliance_level"] == "none"


@pytest.mark.parametrize(
    "change",
    [
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "none"},
        {"jwks": None},
        {"jwks": jwks(KEYS["RS256"])},
        {"require_pkce": False},
        {"jwt_configuration": {"alg": "RS256"}},
        {"grant_types": ["authorization_code", "implicit"]},
        {"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]},
        {"callbacks": ["http://app.example.com/callback"]},
        {"callbacks": ["com.example.app:/callback"]},
    ],
    ids=lambda change: " ".join(sorted(change)) if "jwks" in change else str(change)[:50],
)
async def test_a_fapi_client_is_never_less(acme: Place, change: dict[str, Any]) -> None:
    api = acme.api()
    client = await api.made("/clients", {**GOOD, "jwks": jwks(KEY)})
    path = f"/clients/{client['client_id']}"
    for refused in (
        await api.patch(path, change),
        await api.post("/clients", {**GOOD, "jwks": jwks(KEY), **change}),
    ):
        assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
        assert refused.json()["message"].startswith(f"A client of compliance level {FAPI} must ")
    assert (await api.get(path)).json() == client
    loose = await api.made("/clients", {**GOOD, "jwks": jwks(KEY), "compliance_level": None, **change})
    late = await api.patch(f"/clients/{loose['client_id']}", {"compliance_level": FAPI})
    assert late.status_code == 400


async def test_a_fapi_clients_last_key_can_be_taken_away_at_once(acme: Place) -> None:
    api = acme.api()
    client = await api.made("/clients", {**GOOD, "jwks": jwks(KEY)})
    path = f"/clients/{client['client_id']}"
    [credential] = (await api.get(f"{path}/credentials")).json()
    assert (await api.delete(f"{path}/credentials/{credential['id']}")).status_code == 204
    assert await acme.rows(ClientKey) == []
