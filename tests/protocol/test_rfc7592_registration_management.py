"""Registered clients read, change and delete themselves (RFC 7592)."""

import secrets
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from entrypoints.demo_content import CALLBACK
from tests.installation import Installation
from tests.registrations import consented_code, let_register, registered, stranger

pytestmark = pytest.mark.anyio

WITH_REFRESH = {
    "grant_types": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_method": "client_secret_post",
}
NEVER_SENT = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


@pytest.fixture
async def opened(installation: Installation) -> Installation:
    for tenant_id in ("acme", "globex"):
        await let_register(installation, tenant_id, mode="open")
    return installation


async def ask(
    installation: Installation,
    method: str,
    client: dict[str, Any],
    body: Any = None,
    *,
    token: str | None = "",
    url: str | None = None,
) -> httpx.Response:
    """With the client's own registration access token, unless another is named."""
    shown = client["registration_access_token"] if token == "" else token
    headers = {"Authorization": f"Bearer {shown}"} if shown is not None else {}
    return await installation.http.request(
        method, url or client["registration_client_uri"], json=body, headers=headers
    )


def sendable(client: dict[str, Any], **changes: Any) -> dict[str, Any]:
    kept = {name: value for name, value in client.items() if name not in NEVER_SENT}
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


async def test_a_client_reads_what_it_was_told(opened: Installation) -> None:
    client = await registered(opened, "acme", client_name="Ledger", scope="openid")
    answer = await ask(opened, "GET", client)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == client


async def test_a_change_replaces_everything_and_leaves_id_and_secret(opened: Installation) -> None:
    client = await registered(
        opened,
        "acme",
        client_name="Ledger",
        contacts=["a@example.com"],
        logo_uri="https://x.example.com/a.png",
    )
    said = {
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "redirect_uris": [CALLBACK],
        "client_name": "Ledger 2",
        "policy_uri": "https://x.example.com/privacy",
    }
    changed = await ask(opened, "PUT", client, said)
    assert changed.status_code == 200, changed.text
    told = changed.json()
    assert told["client_name"] == "Ledger 2"
    assert told["policy_uri"] == said["policy_uri"]
    assert not {"contacts", "logo_uri"} & told.keys()
    for name in ("client_id", "client_secret", "registration_access_token", "client_id_issued_at"):
        assert told[name] == client[name]
    assert (await ask(opened, "GET", client)).json() == told


async def test_what_a_client_may_not_say_of_itself_changes_nothing(opened: Installation) -> None:
    client = await registered(opened, "acme")
    other = await registered(opened, "acme")
    for body in (
        sendable(client, client_id=other["client_id"]),
        sendable(client, client_id=None),
        sendable(client, client_secret="chosen by the client itself"),
        sendable(client, redirect_uris=["javascript:alert(1)"]),
        sendable(client, grant_types=["client_credentials"]),
        {**sendable(client), "client_id_issued_at": 0},
        {**sendable(client), "registration_access_token": "chosen"},
        [],
    ):
        answer = await ask(opened, "PUT", client, body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")
    assert (await ask(opened, "GET", client)).json() == client


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_the_clients_own_token_opens_its_registration(opened: Installation, method: str) -> None:
    client = await registered(opened, "acme")
    other = await registered(opened, "acme")
    foreign = await registered(opened, "globex")
    operators = (await (await opened.manager("acme")).post("/client-registration-tokens", {}))["token"]
    wrong = [
        None,
        secrets.token_urlsafe(32),
        other["registration_access_token"],
        foreign["registration_access_token"],
        client["client_secret"],
        operators,
    ]
    for token in wrong:
        answer = await ask(opened, method, client, sendable(client), token=token)
        assert answer.status_code == 401, (token, answer.text)
        assert answer.json()["error"] == "invalid_token"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    elsewhere = client["registration_client_uri"].replace("acme", "globex")
    assert (await ask(opened, method, client, sendable(client), url=elsewhere)).status_code == 401
    assert (await ask(opened, "GET", client)).json() == client


async def test_a_client_that_an_operator_made_has_no_registration(opened: Installation) -> None:
    made = opened.tenant("acme").clients["web"]
    url = f"{opened.tenant('acme').issuer}oidc/register/{made.client_id}"
    for token in (None, made.client_secret, secrets.token_urlsafe(32)):
        assert (await ask(opened, "GET", {}, url=url, token=token)).status_code == 401


async def test_a_deleted_client_is_gone_with_all_it_was_given(opened: Installation) -> None:
    client = await registered(opened, "acme", **WITH_REFRESH)
    async with opened.browser() as http:
        party = stranger(opened, "acme", client, http=http)
        answer = await party.redeem(await consented_code(party, audience=None))
        assert (await party.userinfo(answer.access_token)).status_code == 200
        deleted = await ask(opened, "DELETE", client)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert (await party.userinfo(answer.access_token)).status_code == 401
        assert (await party.refresh(answer.refresh_token)).error == "invalid_client"
        page = await party.authorize()
        assert page.status_code == 400
    for method in ("GET", "PUT", "DELETE"):
        assert (await ask(opened, method, client, sendable(client))).status_code == 401


async def test_a_client_that_changes_itself_is_a_third_party_again(opened: Installation) -> None:
    client = await registered(opened, "acme", token_endpoint_auth_method="client_secret_post")
    manager = await opened.manager("acme")
    await manager.patch(f"/clients/{client['client_id']}", {"is_first_party": True})
    await ask(opened, "PUT", client, sendable(client, client_name="Your bank"))
    shown = await manager.get(f"/clients/{client['client_id']}")
    assert (shown["name"], shown["is_first_party"]) == ("Your bank", False)


async def test_secret_and_keys_follow_the_way_of_authentication(opened: Installation) -> None:
    client = await registered(opened, "acme", token_endpoint_auth_method="none")
    assert "client_secret" not in client
    confidential = (
        await ask(opened, "PUT", client, sendable(client, token_endpoint_auth_method="client_secret_post"))
    ).json()
    assert len(confidential["client_secret"]) >= 43
    key = ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)
    said = sendable(
        confidential, client_secret=None, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key]}
    )
    by_key = (await ask(opened, "PUT", client, said)).json()
    assert [one["kid"] for one in by_key["jwks"]["keys"]] == ["one"]
    assert "client_secret" not in by_key
    again = (
        await ask(opened, "PUT", client, sendable(by_key, token_endpoint_auth_method="none", jwks=None))
    ).json()
    assert "jwks" not in again
    async with opened.browser() as http:
        party = stranger(opened, "acme", confidential, http=http)
        code = await consented_code(party, audience=None)
        assert (await party.redeem(code)).error == "invalid_client", "its secret of before"


async def test_where_nobody_registers_any_more_clients_may_still_leave(opened: Installation) -> None:
    client = await registered(opened, "acme")
    await let_register(opened, "acme", mode="off")
    assert (await ask(opened, "PUT", client, sendable(client))).status_code == 403
    assert (await ask(opened, "GET", client)).status_code == 200
    assert (await ask(opened, "DELETE", client)).status_code == 204


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("oidc/registerx", 404),
        ("oidc/register/a/b", 404),
        ("oidc/register/a%2Fb", 404),
        ("oidc/register/..", 404),
    ],
)
async def test_other_paths_are_nobodys(opened: Installation, path: str, status: int) -> None:
    answer = await opened.http.get(opened.tenant("acme").issuer + path)
    assert answer.status_code == status


async def test_a_page_of_any_origin_may_manage_with_its_token(opened: Installation) -> None:
    client = await registered(opened, "acme")
    preflight = await opened.http.options(
        client["registration_client_uri"],
        headers={"Origin": "https://tool.example", "Access-Control-Request-Method": "PUT"},
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-methods"] == "GET, PUT, DELETE"
    refused = await opened.http.post(client["registration_client_uri"], json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, PUT, DELETE")
