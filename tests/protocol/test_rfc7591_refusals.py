"""What no client may register (RFC 7591 section 3.2.2): a clear error, and nothing is kept."""

from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from tests.elsewhere import Elsewhere
from tests.installation import Installation
from tests.registrations import ask_to_register, consented_code, registered, stranger

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("time_between_registrations")]

MINIMUM = {"redirect_uris": ["https://app.example.com/callback"]}
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
