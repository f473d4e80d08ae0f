"""Clients that register themselves (RFC 7591, OpenID Connect Dynamic Client Registration 1.0)."""

import asyncio
import secrets
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from core.ids import digest
from entrypoints.demo_content import CALLBACK
from tests.elsewhere import Elsewhere
from tests.installation import Installation
from tests.isolation.rows import everything_written
from tests.registrations import ask_to_register, consented_code, let_register, registered, stranger

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("time_between_registrations")]

MINIMUM = {"redirect_uris": ["https://app.example.com/callback"]}


# --- Who may ------------------------------------------------------------------------------------------------------


async def test_where_nobody_may_register_nobody_does_and_no_endpoint_is_named(
    installation: Installation,
) -> None:
    answer = await ask_to_register(installation, "acme")
    assert answer.status_code == 403
    assert answer.json()["error"] == "access_denied"
    metadata = await installation.http.get(
        f"{installation.tenant('acme').issuer}.well-known/openid-configuration"
    )
    assert "registration_endpoint" not in metadata.json()


async def test_open_to_all_is_one_tenants_own_decision(open_to_all: Installation) -> None:
    for tenant_id, status in (("acme", 201), ("globex", 403)):
        issuer = open_to_all.tenant(tenant_id).issuer
        assert (await ask_to_register(open_to_all, tenant_id)).status_code == status
        for name in ("openid-configuration", "oauth-authorization-server"):
            metadata = (await open_to_all.http.get(f"{issuer}.well-known/{name}")).json()
            expected = f"{issuer}oidc/register" if status == 201 else None
            assert metadata.get("registration_endpoint") == expected


async def test_with_an_initial_token_as_many_register_as_it_says(installation: Installation) -> None:
    await let_register(installation, "acme", mode="initial_token")
    manager = await installation.manager("acme")
    made = await manager.post("/client-registration-tokens", {"max_uses": 2})
    assert (await ask_to_register(installation, "acme")).status_code == 401
    wrong = await ask_to_register(installation, "acme", token=secrets.token_urlsafe(32))
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    for _ in range(2):
        refused = await ask_to_register(installation, "acme", {"redirect_uris": []}, token=made["token"])
        assert refused.status_code == 400, "what is refused costs no use"
        await registered(installation, "acme", token=made["token"])
    assert (await ask_to_register(installation, "acme", token=made["token"])).status_code == 401


async def test_the_last_use_of_an_initial_token_is_one_of_many_at_once(installation: Installation) -> None:
    await let_register(installation, "acme", mode="initial_token")
    made = await (await installation.manager("acme")).post("/client-registration-tokens", {"max_uses": 2})
    answers = await asyncio.gather(
        *(ask_to_register(installation, "acme", token=made["token"]) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [401] * 6


async def test_an_initial_token_ends_by_time_by_removal_and_at_the_tenants_border(
    installation: Installation,
) -> None:
    for tenant_id in ("acme", "globex"):
        await let_register(installation, tenant_id, mode="initial_token")
    manager = await installation.manager("acme")
    brief = await manager.post("/client-registration-tokens", {"expires_in": 60, "max_uses": 5})
    removed = await manager.post("/client-registration-tokens", {"max_uses": 5})
    assert [token["id"] for token in await manager.get("/client-registration-tokens")] == [
        brief["id"],
        removed["id"],
    ]
    assert all("token" not in token for token in await manager.get("/client-registration-tokens"))
    await manager.delete(f"/client-registration-tokens/{removed['id']}")
    assert (await ask_to_register(installation, "acme", token=removed["token"])).status_code == 401
    assert (await ask_to_register(installation, "globex", token=brief["token"])).status_code == 401
    await registered(installation, "acme", token=brief["token"])
    installation.clock.advance(61)
    assert (await ask_to_register(installation, "acme", token=brief["token"])).status_code == 401


async def test_an_initial_token_is_stored_as_its_digest(installation: Installation) -> None:
    made = await (await installation.manager("acme")).post("/client-registration-tokens", {})
    found = await everything_written(installation)
    assert digest(made["token"]).encode() in found
    assert made["token"].encode() not in found


async def test_where_anybody_may_register_a_wrong_token_is_still_wrong(open_to_all: Installation) -> None:
    assert (await ask_to_register(open_to_all, "acme", token="x" * 43)).status_code == 401


async def test_a_stranger_registers_so_many_clients_in_ten_minutes(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open")
    statuses = [(await ask_to_register(installation, "acme")).status_code for _ in range(62)]
    assert statuses == [201] * 60 + [429] * 2
    limited = await ask_to_register(installation, "acme")
    assert int(limited.headers["retry-after"]) > 0
    installation.clock.advance(601)
    await registered(installation, "acme")


async def test_clients_that_nobody_used_make_room_and_the_used_ones_stay(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open", max_clients=2)
    used, unused = await registered(installation, "acme"), await registered(installation, "acme")
    await let_register(installation, "acme", mode="open", max_clients=3)
    vouched = await registered(installation, "acme")
    manager = await installation.manager("acme")
    await manager.patch(f"/clients/{vouched['client_id']}", {"is_first_party": True})
    full = await ask_to_register(installation, "acme")
    assert (full.status_code, full.json()["error"]) == (403, "access_denied")
    async with installation.browser() as http:
        await consented_code(stranger(installation, "acme", used, http=http))
    installation.clock.advance(86_401)
    await registered(installation, "acme")
    for client, status in ((used, 200), (unused, 401), (vouched, 200)):
        headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
        read = await installation.http.get(client["registration_client_uri"], headers=headers)
        assert read.status_code == status


# --- What is answered ---------------------------------------------------------------------------------------------


async def test_a_client_learns_everything_that_holds_for_it(open_to_all: Installation) -> None:
    answer = await ask_to_register(open_to_all, "acme", MINIMUM)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    issuer = open_to_all.tenant("acme").issuer
    assert told.pop("registration_client_uri") == f"{issuer}oidc/register/{told['client_id']}"
    assert len(told.pop("registration_access_token")) >= 43
    assert len(told.pop("client_secret")) >= 43
    assert told.pop("client_id_issued_at") == pytest.approx(open_to_all.clock.now(), abs=60)
    del told["client_id"]
    assert told == {
        "client_name": "app.example.com",
        "client_secret_expires_at": 0,
        "redirect_uris": MINIMUM["redirect_uris"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
        "require_pushed_authorization_requests": False,
        "dpop_bound_access_tokens": False,
    }


async def test_everything_that_is_understood_is_kept_and_what_is_not_is_left_out(
    open_to_all: Installation, foreign: Elsewhere
) -> None:
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"}).as_dict(private=False)
    sector = foreign.put("/sector.json", [*MINIMUM["redirect_uris"], "https://other.example.com/"])
    said = {
        **MINIMUM,
        "client_name": "Ledger",
        "client_uri": "https://ledger.example.com/",
        "logo_uri": "https://ledger.example.com/logo.png",
        "tos_uri": "https://ledger.example.com/terms",
        "policy_uri": "https://ledger.example.com/privacy",
        "contacts": ["team@ledger.example.com"],
        "scope": "openid profile read:invoices",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": {"keys": [key]},
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "web",
        "subject_type": "public",
        "id_token_signed_response_alg": "ES256",
        "userinfo_signed_response_alg": "RS256",
        "request_object_signing_alg": "ES256",
        "request_uris": ["https://ledger.example.com/request.jwt#abc"],
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
        "backchannel_logout_uri": "https://ledger.example.com/logout",
        "backchannel_logout_session_required": True,
        "post_logout_redirect_uris": ["https://ledger.example.com/bye"],
        "initiate_login_uri": "https://ledger.example.com/login",
        "default_max_age": 3600,
        "require_auth_time": True,
        "default_acr_values": ["urn:keystead:acr:single-factor"],
        "sector_identifier_uri": sector,
        "software_id": "4NRB1-0XZABZI9E6-5SM3R",
        "software_version": "1.2",
    }
    told = await registered(
        open_to_all, "acme", **said, **{"client_name#de": "Hauptbuch", "made_up": {"a": 1}, "jwks_uri": None}
    )
    assert {name: told.get(name) for name in said} == said
    assert told.keys() - said.keys() == {
        "client_id",
        "client_id_issued_at",
        "registration_client_uri",
        "registration_access_token",
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"redirect_uris": ["http://127.0.0.1:7777/cb"]}, "native"),
        ({"redirect_uris": ["http://localhost:7777/cb"]}, "native"),
        ({"redirect_uris": ["com.example.app:/cb"]}, "native"),
        ({"redirect_uris": ["https://app.example.com/cb"]}, "web"),
        ({"redirect_uris": ["https://app.example.com/cb"], "application_type": "native"}, "native"),
    ],
)
async def test_programs_on_a_device_are_recognised_by_where_they_listen(
    open_to_all: Installation, said: dict[str, Any], expected: str
) -> None:
    told = await registered(open_to_all, "acme", token_endpoint_auth_method="none", **said)
    assert told["application_type"] == expected
    assert "client_secret" not in told


async def test_a_registered_client_is_a_stranger_to_the_tenants_operators(open_to_all: Installation) -> None:
    told = await registered(open_to_all, "acme", client_name="Ledger", is_first_party=True)
    shown = await (await open_to_all.manager("acme")).get(f"/clients/{told['client_id']}")
    assert shown["is_first_party"] is False
    assert shown["require_pkce"] is True
    assert shown["grant_types"] == ["authorization_code"]
    logs = await (await open_to_all.manager("acme")).get("/logs", per_page=100)
    assert any(
        event.get("description") == "Register a client" and event.get("client_id") == told["client_id"]
        for event in logs
    )


# --- What it may do -----------------------------------------------------------------------------------------------


async def test_a_registered_client_signs_people_in_after_they_consented(open_to_all: Installation) -> None:
    told = await registered(
        open_to_all,
        "acme",
        client_name="Ledger",
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="client_secret_post",
    )
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        await party.authorize()
        await party.log_in()
        assert party.browser.landed is None, "a third party never gets anything unasked"
        await party.browser.submit(button=("decision", "allow"))
        answer = await party.redeem(party.landed["code"])
        assert answer.status == 200, answer.body
        assert answer.claims["client_id"] == told["client_id"]
        assert (await party.refresh(answer.refresh_token)).status == 200


async def test_a_registered_client_of_one_tenant_is_unknown_to_another(open_to_all: Installation) -> None:
    told = await registered(open_to_all, "acme")
    async with open_to_all.browser() as http:
        page = await stranger(open_to_all, "globex", told, http=http).authorize()
    assert page.status_code == 400
    assert "location" not in page.headers


async def test_a_registered_client_asks_for_no_more_than_the_scope_it_registered(
    open_to_all: Installation,
) -> None:
    told = await registered(
        open_to_all, "acme", scope="openid email", token_endpoint_auth_method="client_secret_post"
    )
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        answer = await party.redeem(await consented_code(party, scope="openid profile email", audience=None))
    assert answer.body["scope"].split() == ["openid", "email"]


async def test_a_registered_client_has_no_power_of_its_own(open_to_all: Installation) -> None:
    told = await registered(open_to_all, "acme", token_endpoint_auth_method="client_secret_post")
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        answer = await party.token({"grant_type": "client_credentials", "audience": party.audience})
        assert answer.error == "unauthorized_client"
        await consented_code(party)
        page = await party.authorize(code_challenge=None, code_challenge_method=None)
        assert party.landed["error"] == "invalid_request", page.text


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_id_token_and_userinfo_are_signed_as_the_client_registered(
    open_to_all: Installation, algorithm: str
) -> None:
    told = await registered(
        open_to_all,
        "acme",
        token_endpoint_auth_method="client_secret_post",
        id_token_signed_response_alg=algorithm,
        userinfo_signed_response_alg=algorithm,
    )
    issuer = open_to_all.tenant("acme").issuer
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        answer = await party.redeem(await consented_code(party, audience=None, scope="openid email"))
        userinfo = await party.userinfo(answer.access_token)
        keys = KeySet.import_key_set((await http.get(f"{issuer}.well-known/jwks.json")).json())
        silent = await party.silent(audience=None, scope="openid", id_token_hint=userinfo.text)
    assert silent["error"] == "invalid_request", "it passes for no ID token"
    assert userinfo.headers["content-type"] == "application/jwt"
    assert userinfo.headers["cache-control"] == "no-store"
    of_token = jwt.decode(answer.body["id_token"], keys, algorithms=[algorithm])
    told_of = jwt.decode(userinfo.text, keys, algorithms=[algorithm]).claims
    assert (told_of["iss"], told_of["aud"]) == (issuer, told["client_id"])
    assert (told_of["sub"], told_of["email"]) == (of_token.claims["sub"], party.user.email)


async def test_keys_at_the_registered_address_prove_the_client_also_after_they_changed(
    open_to_all: Installation, foreign: Elsewhere
) -> None:
    old, new = (ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256"}) for kid in ("old", "new"))
    address = foreign.put("/jwks.json", {"keys": [old.as_dict(private=False)]})
    told = await registered(
        open_to_all,
        "acme",
        token_endpoint_auth_method="private_key_jwt",
        jwks_uri=address,
        grant_types=["authorization_code", "refresh_token"],
    )
    assert told["jwks_uri"] == address

    def proof(key: ECKey) -> dict[str, str]:
        now = int(open_to_all.clock.now())
        claims = {
            "iss": told["client_id"],
            "sub": told["client_id"],
            "aud": open_to_all.tenant("acme").issuer,
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + 60,
        }
        assertion = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return {"client_assertion": assertion, "client_assertion_type": kind}

    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        answer = await party.redeem(await consented_code(party), **proof(old))
        assert answer.status == 200, answer.body
        foreign.put("/jwks.json", {"keys": [new.as_dict(private=False)]})
        open_to_all.clock.advance(60)
        assert (await party.refresh(answer.refresh_token, **proof(new))).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"response_type": "token"},
        {"code_challenge": None, "code_challenge_method": None},
        {"scope": 'a"b'},
        {"audience": "https://no.such.api/"},
        {"prompt": "none login"},
        {"request_uri": "https://app.example.com/request"},
        {"organization": " "},
    ],
)
async def test_a_strangers_mistake_sends_nobody_to_its_address_before_they_signed_in(
    open_to_all: Installation, wrong: dict[str, str | None]
) -> None:
    """Or registration would make every tenant an open redirector."""
    told = await registered(open_to_all, "acme", redirect_uris=["https://evil.example/landing"])
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        page = await party.authorize(**wrong)
        assert page.status_code in (400, 403)
        assert party.browser.landed is None
        assert "location" not in page.headers
        await consented_code(party)
        await party.authorize(**wrong)
        assert "error" in party.landed, "whoever signed in is sent there"
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        assert (await party.silent())["error"] == "login_required", "a silent request asks nobody"
    async with open_to_all.browser() as http:
        own = open_to_all.relying_party("acme", http=http)
        await own.authorize(**wrong)
        assert "error" in own.landed, "a client of the tenant's own is told at once"


async def test_two_redirect_addresses_and_none_sent_is_a_page(open_to_all: Installation) -> None:
    told = await registered(open_to_all, "acme", redirect_uris=[CALLBACK, "https://app.example.com/other"])
    async with open_to_all.browser() as http:
        page = await stranger(open_to_all, "acme", told, http=http).authorize(redirect_uri=None)
    assert page.status_code == 400
    assert "location" not in page.headers


async def test_a_registered_query_is_part_of_the_address(open_to_all: Installation) -> None:
    told = await registered(open_to_all, "acme", redirect_uris=[f"{CALLBACK}?foo=bar"])
    for sent, is_known in (
        (f"{CALLBACK}?foo=bar", True),
        (CALLBACK, False),
        (f"{CALLBACK}?foo=bar&a=b", False),
    ):
        async with open_to_all.browser() as http:
            party = stranger(open_to_all, "acme", told, http=http)
            await party.authorize(redirect_uri=sent, prompt="none")
            assert (party.browser.landed is not None) == is_known, sent


async def test_the_registered_default_age_asks_for_a_new_login(installation: Installation) -> None:
    await let_register(installation, "acme", mode="open")
    told = await registered(installation, "acme", default_max_age=60)
    async with installation.browser() as http:
        party = stranger(installation, "acme", told, http=http)
        await consented_code(party)
        assert "code" in await party.silent()
        installation.clock.advance(61)
        assert (await party.silent())["error"] == "login_required"
        assert "code" in await party.silent(max_age="1000")
