"""RFC 9068 and the dialects of an API: what stands in an access token, who signed it, and who refuses a made one."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc import jwt as jose
from joserfc.jwk import KeySet

from core.crypto import jwt
from core.crypto.keys import SigningKey
from keystead_sdk import TokenVerifier
from tenant_runtime import models
from tests.protocol.issuer import API, OPEN_API, Issuers, claims_of, header_of

pytestmark = pytest.mark.anyio

SCOPE = "openid offline_access read:invoices write:invoices"
REQUIRED = {"iss", "sub", "aud", "iat", "exp", "jti", "client_id", "azp", "scope"}


async def _key_set(issuers: Issuers) -> KeySet:
    return KeySet.import_key_set((await issuers.acme.http.get("/.well-known/jwks.json")).json())


async def _dialect(issuers: Issuers, dialect: str, **values: Any) -> None:
    await issuers.acme.change(models.ResourceServer, {"id": "api"}, token_dialect=dialect, **values)


@pytest.mark.parametrize(
    "dialect", ["access_token", "access_token_authz", "rfc9068_profile", "rfc9068_profile_authz"]
)
async def test_every_dialect_satisfies_a_strict_verifier(issuers: Issuers, dialect: str) -> None:
    await _dialect(issuers, dialect)
    token = (await issuers.acme.tokens(audience=API, scope=SCOPE))["access_token"]
    decoded = jose.decode(token, await _key_set(issuers), algorithms=["RS256"])
    assert decoded.header["typ"] == "at+jwt"
    assert decoded.claims.keys() >= REQUIRED
    assert isinstance(decoded.claims["iat"], int)
    assert isinstance(decoded.claims["exp"], int)
    assert decoded.claims["client_id"] == decoded.claims["azp"] == "web"
    assert ("permissions" in decoded.claims) is dialect.endswith("_authz")
    assert ("amr" in decoded.claims) is dialect.startswith("rfc9068")


@pytest.mark.parametrize("dialect", ["access_token", "access_token_authz", "rfc9068_profile_authz"])
async def test_a_persons_token_says_when_and_how_strongly_they_logged_in(
    issuers: Issuers, dialect: str
) -> None:
    await _dialect(issuers, dialect)
    tokens = await issuers.acme.tokens(audience=API, scope=SCOPE, acr="urn:example:2")
    later = await issuers.acme.refresh(tokens["refresh_token"])
    for body in (tokens, later.json()):
        claims = claims_of(body["access_token"])
        assert (claims["auth_time"], claims["acr"]) == (int(issuers.clock.time) - 1, "urn:example:2")
    machine = claims_of((await issuers.acme.machine(audience=API)).json()["access_token"])
    assert not {"auth_time", "acr", "amr"} & machine.keys()


async def test_authlibs_validator_accepts_it(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens(audience=API, scope=SCOPE))["access_token"]
    keys = await _key_set(issuers)

    class Validator(JWTBearerTokenValidator):  # type: ignore[misc]
        def get_jwks(self) -> KeySet:
            return keys

    claims = Validator(issuer=issuers.acme.tenant.issuer, resource_server=API).authenticate_token(token)
    assert claims["sub"] == "auth0|ann"


async def test_our_own_sdk_accepts_it(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens(audience=API, organization_id="org_north"))["access_token"]
    verifier = TokenVerifier(
        issuer=issuers.acme.tenant.issuer,
        audience=API,
        clock=issuers.clock.now,
        client=issuers.acme.http,
    )
    principal = await verifier.verify(token)
    assert (principal.subject, principal.org_id) == ("auth0|ann", "org_north")
    assert principal.permissions == frozenset({"write:invoices"})


async def test_with_openid_the_token_is_also_for_userinfo(issuers: Issuers) -> None:
    with_openid = await issuers.acme.tokens(audience=API, scope=SCOPE)
    assert claims_of(with_openid["access_token"])["aud"] == [API, f"{issuers.acme.tenant.issuer}userinfo"]
    without = await issuers.acme.tokens(audience=API, scope="read:invoices")
    assert claims_of(without["access_token"])["aud"] == API


async def test_with_policies_scope_and_permissions_are_what_the_user_holds(issuers: Issuers) -> None:
    claims = claims_of((await issuers.acme.tokens(audience=API, scope=SCOPE))["access_token"])
    assert claims["scope"] == "openid offline_access read:invoices"
    assert claims["permissions"] == ["read:invoices"]


async def test_permissions_given_directly_count(issuers: Issuers) -> None:
    await issuers.acme.add(
        models.UserPermission,
        user_id="auth0|bob",
        resource_server_id="api",
        permission="write:invoices",
    )
    tokens = await issuers.acme.tokens(audience=API, scope=SCOPE, user_id="auth0|bob", session_id="sess_bob")
    assert claims_of(tokens["access_token"])["permissions"] == ["write:invoices"]


async def test_with_policies_and_nothing_held_the_claim_is_there_and_empty(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(audience=API, scope=SCOPE, user_id="auth0|bob", session_id="sess_bob")
    claims = claims_of(tokens["access_token"])
    assert claims["permissions"] == []
    assert claims["scope"] == "openid offline_access"


async def test_without_policies_scope_is_what_was_asked_and_there_are_no_permissions(
    issuers: Issuers,
) -> None:
    claims = claims_of((await issuers.acme.tokens(audience=OPEN_API, scope=SCOPE))["access_token"])
    assert claims["scope"] == SCOPE
    assert "permissions" not in claims


async def test_a_platform_scope_needs_the_permission_and_no_organization(issuers: Issuers) -> None:
    audience = issuers.acme.tenant.management_audience
    await issuers.acme.change(models.ResourceServer, {"id": "management"}, enforce_policies=False)
    asked = {"audience": audience, "scope": "openid offline_access read:users read:tenants"}
    assert "read:tenants" not in (await issuers.acme.tokens(**asked))["scope"]
    await issuers.acme.add(
        models.RolePermission,
        role_id="rol_writer",
        resource_server_id="management",
        permission="read:tenants",
    )
    await issuers.acme.add(models.UserRole, user_id="auth0|ann", role_id="rol_writer")
    alone = await issuers.acme.tokens(**asked)
    assert "read:tenants" in alone["scope"]
    beside = await issuers.acme.refresh(alone["refresh_token"], organization="org_north")
    assert "read:tenants" not in beside.json()["scope"]


async def test_lifetimes_are_the_apis_and_shorter_in_a_browser(issuers: Issuers) -> None:
    for client_id, lifetime in (("web", 3600), ("spa", 600)):
        tokens = await issuers.acme.tokens(client_id, audience=API)
        claims = claims_of(tokens["access_token"])
        assert claims["exp"] - claims["iat"] == tokens["expires_in"] == lifetime


async def test_without_an_audience_the_token_is_opaque(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens()
    assert "." not in tokens["access_token"]
    assert len(tokens["access_token"]) >= 43
    assert (await issuers.acme.userinfo(tokens["access_token"])).status_code == 200


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
async def test_an_algorithm_gets_its_key_when_it_is_first_asked_for(issuers: Issuers, algorithm: str) -> None:
    await issuers.acme.change(models.ResourceServer, {"id": "api"}, signing_alg=algorithm)
    await issuers.acme.change(models.Client, {"client_id": "web"}, jwt_configuration={"alg": algorithm})
    tokens = [await issuers.acme.tokens(audience=API) for _ in range(2)]
    keys = await _key_set(issuers)
    assert len({key.kid for key in keys.keys}) == len(keys.keys) == 2
    for name in ("access_token", "id_token"):
        decoded = jose.decode(tokens[0][name], keys, algorithms=[algorithm])
        assert decoded.header["kid"] == header_of(tokens[1][name])["kid"]
    assert (await issuers.acme.userinfo(tokens[0]["access_token"])).status_code == 200


async def test_at_hash_uses_the_hash_of_the_signature(issuers: Issuers) -> None:
    await issuers.acme.change(models.Client, {"client_id": "web"}, jwt_configuration={"alg": "EdDSA"})
    tokens = await issuers.acme.tokens()
    half = hashlib.sha512(tokens["access_token"].encode()).digest()[:32]
    expected = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert claims_of(tokens["id_token"])["at_hash"] == expected


async def test_an_id_tokens_life_is_the_clients(issuers: Issuers) -> None:
    configuration = {"lifetime_in_seconds": 120}
    await issuers.acme.change(models.Client, {"client_id": "web"}, jwt_configuration=configuration)
    claims = claims_of((await issuers.acme.tokens())["id_token"])
    assert claims["exp"] - claims["iat"] == 120


async def test_no_two_tokens_have_one_jti_and_all_of_a_family_name_it(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(audience=API)
    later = (await issuers.acme.refresh(tokens["refresh_token"])).json()
    first, second = (claims_of(answer["access_token"])["jti"] for answer in (tokens, later))
    [family] = await issuers.acme.rows(models.RefreshFamily)
    assert first != second
    assert first.split(".")[0] == second.split(".")[0] == family.id


# --- Made tokens: group J of the list of bad inputs, at /userinfo ---------------------------------------------------

Forge = Callable[[Mapping[str, Any], Mapping[str, Any]], str]


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def unsigned(algorithm: str) -> Forge:
    return lambda header, claims: f"{segment({**header, 'alg': algorithm})}.{segment(claims)}."


def hs256(secret: bytes) -> Forge:
    def forge(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        signing_input = f"{segment({**header, 'alg': 'HS256'})}.{segment(claims)}"
        signature = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    return forge


@pytest.mark.parametrize(
    "forge",
    [unsigned("none"), unsigned("None"), unsigned("nOnE"), unsigned("RS256"), hs256(b""), hs256(b"secret")],
)
async def test_a_token_nobody_signed_is_refused(issuers: Issuers, forge: Forge) -> None:
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    answer = await issuers.acme.userinfo(forge(header_of(token), claims_of(token)))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_published_key_is_no_secret_to_sign_with(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    [jwk] = (await issuers.acme.http.get("/.well-known/jwks.json")).json()["keys"]
    key = (await _key_set(issuers)).keys[0]
    for secret in (
        key.as_pem(private=False),
        key.as_der(private=False),
        jwk["n"].encode(),
        msgspec.json.encode(jwk),
    ):
        made = hs256(secret)(header_of(token), claims_of(token))
        assert (await issuers.acme.userinfo(made)).status_code == 401


async def test_another_tenants_token_is_refused_also_when_it_names_this_one(
    issuers: Issuers, signing_keys: dict[str, SigningKey]
) -> None:
    token = (await issuers.globex.tokens(audience=API))["access_token"]
    assert (await issuers.globex.userinfo(token)).status_code == 200
    assert (await issuers.acme.userinfo(token)).status_code == 401
    own = claims_of((await issuers.acme.tokens(audience=API))["access_token"])
    assert (
        await issuers.acme.userinfo(jwt.sign(own, signing_keys["globex"], typ="at+jwt"))
    ).status_code == 401
    opaque = (await issuers.globex.tokens())["access_token"]
    assert (await issuers.acme.userinfo(opaque)).status_code == 401


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "", "jwt"])
async def test_another_type_of_token_is_refused(
    issuers: Issuers, signing_keys: dict[str, SigningKey], typ: str
) -> None:
    own = claims_of((await issuers.acme.tokens(audience=API))["access_token"])
    assert (await issuers.acme.userinfo(jwt.sign(own, signing_keys["acme"], typ="at+jwt"))).status_code == 200
    assert (await issuers.acme.userinfo(jwt.sign(own, signing_keys["acme"], typ=typ))).status_code == 401


NOW = 1_800_000_000
WRONG_CLAIMS: list[dict[str, Any]] = [
    {"iss": ["https://acme.example.com/"]},
    {"iss": "https://acme.example.com"},
    {"iss": "https://acme.example.com//"},
    {"iss": "https://ACME.example.com/"},
    {"iss": "https://globex.example.com/"},
    {"iss": None},
    {"aud": API},
    {"aud": [API, *(f"https://{n}.example.com/" for n in range(100))]},
    {"aud": None},
    {"aud": {"x": 1}},
    {"exp": NOW - 1},
    {"exp": NOW},
    {"exp": str(NOW + 100)},
    {"exp": -1},
    {"exp": None},
    {"exp": True},
    {"nbf": NOW + 3600},
    {"iat": NOW + 3600},
    {"iat": None},
    {"sub": ["auth0|ann"]},
    {"sub": {"a": 1}},
    {"sub": ""},
    {"sub": None},
    {"sub": "auth0|nobody"},
    {"client_id": "deleted"},
    {"client_id": 7},
    {"jti": None},
    {"scope": ["openid"]},
    {"org_id": "org_west"},
    {"org_id": "org_nowhere"},
]


@pytest.mark.parametrize("wrong", WRONG_CLAIMS, ids=str)
async def test_wrong_claims_are_refused_even_properly_signed(
    issuers: Issuers, signing_keys: dict[str, SigningKey], wrong: dict[str, Any]
) -> None:
    own = claims_of((await issuers.acme.tokens(audience=API))["access_token"])
    made = {name: value for name, value in {**own, **wrong}.items() if value is not None}
    answer = await issuers.acme.userinfo(jwt.sign(made, signing_keys["acme"], typ="at+jwt"))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_the_id_of_an_organization_decides_never_the_name(
    issuers: Issuers, signing_keys: dict[str, SigningKey]
) -> None:
    own = claims_of((await issuers.acme.tokens(audience=API, organization_id="org_north"))["access_token"])
    made = jwt.sign({**own, "org_name": "west"}, signing_keys["acme"], typ="at+jwt")
    assert (await issuers.acme.userinfo(made)).json()["org_name"] == "north"


async def test_a_payload_that_was_changed_is_refused(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    header, _, signature = token.split(".")
    changed = segment({**claims_of(token), "org_id": "org_north"})
    assert (await issuers.acme.userinfo(f"{header}.{changed}.{signature}")).status_code == 401


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "../../etc/passwd"},
        {"kid": "https://evil.example/jwks"},
        {"kid": "' OR 1=1 --"},
        {"kid": "x" * 10_000},
    ],
    ids=str,
)
async def test_a_header_of_ones_own_is_refused(
    issuers: Issuers, signing_keys: dict[str, SigningKey], extra: dict[str, Any]
) -> None:
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    header = {k: v for k, v in {**header_of(token), **extra}.items() if v is not None}
    signing_input = f"{segment(header)}.{segment(claims_of(token))}"
    made = jose.encode(header_of(token), claims_of(token), signing_keys["acme"].jose, algorithms=["RS256"])
    assert (await issuers.acme.userinfo(f"{signing_input}.{made.split('.')[2]}")).status_code == 401


async def test_keys_that_a_header_brings_along_are_not_looked_at(issuers: Issuers) -> None:
    stranger = SigningKey.generate("ES256")
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    for extra in (
        {"jwk": dict(stranger.public_jwk)},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]},
    ):
        header = {"alg": "ES256", "typ": "at+jwt", "kid": header_of(token)["kid"], **extra}
        made = jose.encode(header, claims_of(token), stranger.jose, algorithms=["ES256"])
        assert (await issuers.acme.userinfo(made)).status_code == 401


@pytest.mark.parametrize(
    "token",
    ["x" * 1_000_000, "." * 10_000, "a.b.c.d.e", ".".join(["e30"] * 3), segment({"alg": "RS256"}) + ".e30.x"],
    ids=["1 MB", "dots", "JWE", "empty objects", "no kid"],
)
async def test_rubbish_is_refused_at_once(issuers: Issuers, token: str) -> None:
    assert (await issuers.acme.userinfo(token)).status_code == 401


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", str.swapcase, lambda t: t[::-1]])
async def test_an_opaque_token_is_exact(issuers: Issuers, change: Callable[[str], str]) -> None:
    token = (await issuers.acme.tokens())["access_token"]
    assert (await issuers.acme.userinfo(token)).status_code == 200
    assert (await issuers.acme.userinfo(change(token))).status_code == 401


async def test_no_other_token_is_an_access_token(issuers: Issuers) -> None:
    tokens = await issuers.acme.tokens(audience=API)
    for token in (tokens["id_token"], tokens["refresh_token"], await issuers.acme.code()):
        assert (await issuers.acme.userinfo(token)).status_code == 401


async def test_a_token_by_a_retired_key_is_refused_and_by_a_previous_one_is_not(issuers: Issuers) -> None:
    token = (await issuers.acme.tokens(audience=API))["access_token"]
    where = {"kid": header_of(token)["kid"]}
    await issuers.acme.change(models.SigningKeyRow, where, state="previous")
    assert (await issuers.acme.userinfo(token)).status_code == 200
    await issuers.acme.change(models.SigningKeyRow, where, state="revoked")
    assert (await issuers.acme.http.get("/.well-known/jwks.json")).json()["keys"] == []
    assert (await issuers.acme.userinfo(token)).status_code == 401
