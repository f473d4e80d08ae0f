"""Clients that register themselves (RFC 7591, OpenID Connect Dynamic Client Registration 1.0)."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from core.ids import digest
from entrypoints.demo_content import CALLBACK
from tests.conftest import serving, settings_for
from tests.elsewhere import Elsewhere, elsewhere
from tests.installation import Installation
from tests.registrations import ask_to_register, consented_code, let_register, registered, stranger

pytestmark = pytest.mark.anyio

MINIMUM = {"redirect_uris": ["https://app.example.com/callback"]}


@pytest.fixture(scope="module")
async def foreign() -> AsyncIterator[Elsewhere]:
    async with elsewhere() as server:
        yield server


@pytest.fixture(scope="module")
async def open_to_all(
    golden: Any, tmp_path_factory: pytest.TempPathFactory, foreign: Elsewhere
) -> AsyncIterator[Installation]:
    """acme lets anybody register; globex, nobody."""
    copy = tmp_path_factory.mktemp("registration") / "data"
    shutil.copytree(golden[0], copy)
    settings = settings_for(copy, outbound_allowed=frozenset({foreign.host}))
    async with serving(settings, golden[1]) as installation:
        await let_register(installation, "acme", mode="open")
        yield installation


@pytest.fixture(autouse=True)
def _time_between_tests(request: pytest.FixtureRequest) -> None:
    """They share what one address may do in ten minutes."""
    if "open_to_all" in request.fixturenames:
        request.getfixturevalue("open_to_all").clock.advance(20)


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
    found = b""
    for path in installation.app.settings.data_dir.rglob("*.db*"):
        found += path.read_bytes()
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


# --- What is refused ----------------------------------------------------------------------------------------------

KEY = RSAKey.generate_key(2048)
PUBLIC = {**KEY.as_dict(private=False), "kid": "one"}
PROVEN_BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}
HTTPS = "https://app.example.com/"


@pytest.mark.parametrize(
    "redirect",
    [
        "https://app.example.com/cb#part",
        "https://app.example.com/cb#",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp:/cb",
        "cursor://x/cb",
        "http://app.example.com/cb",
        "https://user@app.example.com/cb",
        "https://app.example.com@evil.example/cb",
        "//app.example.com/cb",
        "/cb",
        "https://",
        "https://app.example.com/a\\b",
    ],
)
async def test_a_redirect_address_that_is_not_safe_is_refused(
    open_to_all: Installation, redirect: str
) -> None:
    answer = await ask_to_register(
        open_to_all, "acme", {"redirect_uris": ["https://good.example.com/", redirect]}
    )
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_redirect_uri", "invalid_client_metadata")
    if "\\" not in redirect:
        assert answer.json()["error"] == "invalid_redirect_uri", answer.text


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"redirect_uris": []},
        {"redirect_uris": ["com.example.app:/cb"], "application_type": "web"},
    ],
)
async def test_without_a_fitting_redirect_address_nobody_is_registered(
    open_to_all: Installation, said: dict[str, Any]
) -> None:
    answer = await ask_to_register(open_to_all, "acme", said)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "said",
    [
        {"redirect_uris": HTTPS},
        {"redirect_uris": [1]},
        {"redirect_uris": [HTTPS] * 51},
        {"client_name": 7},
        {"client_name": ""},
        {"client_name": "a\nb"},
        {"client_name": "x" * 201},
        {"grant_types": "authorization_code"},
        {"grant_types": []},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["authorization_code", "client_credentials"]},
        {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
        {"grant_types": ["password"]},
        {"grant_types": ["implicit"]},
        {"response_types": ["token"]},
        {"response_types": ["code id_token"]},
        {"response_types": []},
        {"grant_types": ["refresh_token"], "response_types": ["code"]},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": None, "subject_type": "pairwise"},
        {"application_type": "desktop"},
        {"id_token_signed_response_alg": "none"},
        {"id_token_signed_response_alg": "HS256"},
        {"userinfo_signed_response_alg": "none"},
        {"request_object_signing_alg": "none"},
        {"token_endpoint_auth_signing_alg": "ES256"},
        {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256"},
        {"default_max_age": -1},
        {"default_max_age": "10"},
        {"contacts": "me@example.com"},
        {"scope": ["openid"]},
        {"scope": 'a"b'},
        {"software_id": 4},
        {"client_uri": "javascript:alert(1)"},
        {"tos_uri": "data:text/html,x"},
        {"policy_uri": "ftp://example.com/"},
        {"initiate_login_uri": "http://app.example.com/"},
        {"post_logout_redirect_uris": ["javascript:alert(1)"]},
        {"require_pushed_authorization_requests": "yes"},
        {"jwks": {"keys": [PUBLIC]}, "jwks_uri": "https://app.example.com/jwks"},
        PROVEN_BY_KEY,
        {**PROVEN_BY_KEY, "jwks": {}},
        {**PROVEN_BY_KEY, "jwks": {"keys": []}},
        {**PROVEN_BY_KEY, "jwks": {"keys": ["x"]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [KEY.as_dict(private=True)]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [OctKey.generate_key(256).as_dict(private=True)]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [PUBLIC, PUBLIC]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [{**PUBLIC, "alg": "none"}]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [{**PUBLIC, "n": "AQAB"}]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [{**PUBLIC, "use": "enc"}]}},
        {**PROVEN_BY_KEY, "jwks": {"keys": [PUBLIC] * 11}},
    ],
)
async def test_metadata_that_cannot_be_honoured_is_refused_and_registers_nothing(
    open_to_all: Installation, said: dict[str, Any]
) -> None:
    manager = await open_to_all.manager("acme")
    before = await manager.get("/clients", per_page=100)
    answer = await ask_to_register(open_to_all, "acme", {**MINIMUM, **said})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata"), answer.text
    description = answer.json()["error_description"]
    assert description.isprintable()
    assert '"' not in description
    assert await manager.get("/clients", per_page=100) == before


@pytest.mark.parametrize(
    "address",
    [
        "http://ledger.example.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://2130706433/x",
        "https://0177.0.0.1/x",
        "https://localhost/x",
        "https://ledger.example.com:22/x",
        "https://user:pw@ledger.example.com/x",
    ],
)
@pytest.mark.parametrize(
    "member", ["jwks_uri", "logo_uri", "sector_identifier_uri", "backchannel_logout_uri", "request_uris"]
)
async def test_an_address_inside_is_refused_when_it_is_registered(
    open_to_all: Installation, member: str, address: str
) -> None:
    said = {member: [address] if member == "request_uris" else address}
    answer = await ask_to_register(open_to_all, "acme", {**MINIMUM, **said})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata"), answer.text


async def test_a_default_acr_that_cannot_be_had_is_refused_and_one_that_can_is_had(
    open_to_all: Installation,
) -> None:
    wanted = ["urn:example:gold", "urn:keystead:acr:single-factor"]
    answer = await ask_to_register(open_to_all, "acme", {**MINIMUM, "default_acr_values": wanted[:1]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert wanted[1] in answer.json()["error_description"]
    told = await registered(open_to_all, "acme", default_acr_values=wanted)
    assert told["default_acr_values"] == wanted
    async with open_to_all.browser() as http:
        party = stranger(open_to_all, "acme", told, http=http)
        tokens = await party.redeem(await consented_code(party, audience=None))
        assert tokens.id_claims["acr"] == wanted[1]


async def test_a_software_statement_is_trusted_by_nobody(open_to_all: Installation) -> None:
    answer = await ask_to_register(open_to_all, "acme", {**MINIMUM, "software_statement": "e30.e30."})
    assert (answer.status_code, answer.json()["error"]) == (400, "unapproved_software_statement")


@pytest.mark.parametrize(
    "page", [["https://other.example.com/"], {"a": 1}, b"not json", [1], b"[" + b'"x",' * 20_000 + b'"x"]']
)
async def test_a_sector_that_does_not_list_the_redirect_addresses_is_refused(
    open_to_all: Installation, foreign: Elsewhere, page: Any
) -> None:
    address = foreign.put("/bad-sector.json", page)
    answer = await ask_to_register(open_to_all, "acme", {**MINIMUM, "sector_identifier_uri": address})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_sector_that_leads_elsewhere_or_is_not_there_is_refused(
    open_to_all: Installation, foreign: Elsewhere
) -> None:
    foreign.put("/moved.json", MINIMUM["redirect_uris"], status=302, location=foreign.address("/sector.json"))
    for path in ("/moved.json", "/nothing.json"):
        said = {**MINIMUM, "sector_identifier_uri": foreign.address(path)}
        answer = await ask_to_register(open_to_all, "acme", said)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"redirect_uris=https%3A%2F%2Fapp.example.com%2F", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"{" * 10_000, "application/json", 400),
        (b'{"client_name":"a","client_name":"b"}', "application/json", 400),
        (b'{"client_name":"\\ud800"}', "application/json", 400),
        (b'{"client_name":NaN}', "application/json", 400),
        (b'\xff\xfe{"a":1}', "application/json", 400),
        (b'{"a":"' + b"x" * 70_000 + b'"}', "application/json", 413),
        (b'{"a":"' + b"x" * 17_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_is_no_metadata_is_refused(
    open_to_all: Installation, content: bytes, kind: str, status: int
) -> None:
    url = f"{open_to_all.tenant('acme').issuer}oidc/register"
    answer = await open_to_all.http.post(url, content=content, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_registration_is_a_post(open_to_all: Installation, method: str) -> None:
    url = f"{open_to_all.tenant('acme').issuer}oidc/register"
    assert (await open_to_all.http.request(method, url)).status_code == 405


async def test_a_page_of_any_origin_may_register_without_cookies(open_to_all: Installation) -> None:
    url = f"{open_to_all.tenant('acme').issuer}oidc/register"
    origin = {"Origin": "http://localhost:6274"}
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "mcp-protocol-version",
    }
    preflight = await open_to_all.http.options(url, headers={**origin, **asked})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"]
    for body in (MINIMUM, {}):
        answer = await open_to_all.http.post(url, json=body, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


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
