"""RFC 7523 section 3: a client proves itself by a statement that it signed, for this issuer, for minutes and once."""

import asyncio
import base64
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.crypto.keys import SigningKey
from core.ids import digest
from tenant_runtime import models
from tests.protocol.assertions import (
    JWT_BEARER,
    REFUSED,
    add_key,
    add_mac_client,
    add_sealed_secret,
    add_signing_client,
    ask,
    assertion,
    claims_for,
    encoded,
    outcome,
    signed,
)
from tests.protocol.issuer import API, CALLBACK, Issuers, claims_of, second_worker

pytestmark = pytest.mark.anyio

KEYS = {alg: SigningKey.generate(alg) for alg in ("RS256", "PS256", "ES256", "EdDSA")}
KEY, OTHER = KEYS["ES256"], SigningKey.generate("ES256")


# --- What is accepted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", KEYS)
async def test_a_client_proves_itself_by_its_key(issuers: Issuers, alg: str) -> None:
    await add_signing_client(issuers.acme, "robot", KEYS[alg])
    answer = await ask(issuers.acme, assertion(issuers.acme, "robot", KEYS[alg]))
    assert answer.status_code == 200, answer.text
    assert claims_of(answer.json()["access_token"])["sub"] == "robot@clients"
    named = assertion(issuers.acme, "robot", KEYS[alg]) | {"client_id": "robot"}
    assert (await ask(issuers.acme, named)).status_code == 200


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_a_client_proves_itself_by_a_mac_with_its_secret(issuers: Issuers, alg: str) -> None:
    secret = await add_mac_client(issuers.acme, "robot")
    answer = await ask(issuers.acme, assertion(issuers.acme, "robot", secret, {"alg": alg}))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "audience",
    [
        "{issuer}",
        "{issuer}oauth/token",
        ["{issuer}"],
        ["{issuer}oauth/token"],
        ["https://elsewhere.example.com/", "{issuer}"],
    ],
    ids=str,
)
async def test_the_audience_is_the_issuer_or_the_endpoint(issuers: Issuers, audience: Any) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    text = msgspec.json.encode(audience).decode().replace("{issuer}", issuers.acme.tenant.issuer)
    form = assertion(issuers.acme, "robot", KEY, aud=msgspec.json.decode(text))
    assert (await ask(issuers.acme, form)).status_code == 200


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "client-authentication+jwt"])
async def test_the_type_is_that_of_a_jwt_or_of_such_an_assertion(issuers: Issuers, typ: str | None) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    form = assertion(issuers.acme, "robot", KEY, {"typ": typ})
    assert (await ask(issuers.acme, form)).status_code == 200


async def test_codes_refresh_tokens_and_revocation_take_assertions_too(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    answer = await acme.redeem(await acme.code("robot"), None, **assertion(acme, "robot", KEY))  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    token = answer.json()["refresh_token"]
    again = await acme.refresh(token, None, **assertion(acme, "robot", KEY))  # type: ignore[arg-type]
    assert again.status_code == 200
    token = again.json()["refresh_token"]
    form = assertion(acme, "robot", KEY, aud=f"{acme.tenant.issuer}oauth/revoke")
    ended = await acme.http.post("/oauth/revoke", data={"token": token, **form})
    assert ended.status_code == 200
    dead = await acme.refresh(token, None, **assertion(acme, "robot", KEY))  # type: ignore[arg-type]
    assert outcome(dead) == (400, "invalid_grant")


async def test_json_bodies_carry_assertions_as_forms_do(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    body = {"grant_type": "client_credentials", "audience": API, **assertion(issuers.acme, "robot", KEY)}
    assert (await issuers.acme.http.post("/oauth/token", json=body)).status_code == 200


async def test_the_metadata_name_both_ways_and_their_algorithms(issuers: Issuers) -> None:
    document = (await issuers.acme.http.get("/.well-known/openid-configuration")).json()
    for endpoint in ("token", "revocation", "introspection"):
        assert {"client_secret_jwt", "private_key_jwt"} <= set(
            document[f"{endpoint}_endpoint_auth_methods_supported"]
        )
        algorithms = document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert set(algorithms) >= {"RS256", "PS256", "ES256", "EdDSA", "HS256"}
        assert "none" not in algorithms


# --- What is refused -----------------------------------------------------------------------------------------------

BAD_CLAIMS: list[dict[str, Any]] = [
    {"aud": "https://globex.example.com/"},
    {"aud": "https://globex.example.com/oauth/token"},
    {"aud": "https://acme.example.com"},
    {"aud": "https://ACME.example.com/"},
    {"aud": "https://acme.example.com//"},
    {"aud": "https://acme.example.com/oauth/revoke"},
    {"aud": "https://acme.example.com/oauth/token/"},
    {"aud": API},
    {"aud": []},
    {"aud": ["https://globex.example.com/"]},
    {"aud": [["https://acme.example.com/"]]},
    {"aud": {"https://acme.example.com/": 1}},
    {"aud": 1},
    {"aud": None},
    {"iss": "web"},
    {"iss": ["robot"]},
    {"iss": None},
    {"sub": "web"},
    {"sub": ["robot"]},
    {"sub": ""},
    {"sub": None},
    {"iss": "web", "sub": "web"},
    {"jti": None},
    {"jti": ""},
    {"jti": 7},
    {"jti": "x" * 513},
    {"exp": None},
    {"exp": 1_800_000_000},
    {"exp": 1_800_000_000 - 300},
    {"exp": 1_800_000_000 + 301},
    {"exp": 1_800_000_000 + 3600, "iat": 1_800_000_000 + 3500},
    {"exp": "1800000060"},
    {"exp": True},
    {"exp": -1},
    {"nbf": 1_800_000_000 + 60},
    {"nbf": "now"},
    {"iat": 1_800_000_000 + 60},
    {"iat": "now"},
]


@pytest.mark.parametrize("claims", BAD_CLAIMS, ids=str)
async def test_an_assertion_that_does_not_say_all_of_it_proves_nobody(
    issuers: Issuers, claims: dict[str, Any]
) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", KEY, **claims))) == REFUSED
    assert await issuers.acme.rows(models.UsedId) == []
    assert (await ask(issuers.acme, assertion(issuers.acme, "robot", KEY))).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [{"nbf": 8}, {"iat": 8}, {"iat": 10, "nbf": 10, "exp": 309}, {"iat": 8, "exp": 308}, {"iat": -3000}],
    ids=str,
)
async def test_a_clock_that_is_a_little_ahead_is_forgiven(issuers: Issuers, claims: dict[str, int]) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    moved = {name: 1_800_000_000 + value for name, value in claims.items()}
    assert (await ask(issuers.acme, assertion(issuers.acme, "robot", KEY, **moved))).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["nope"], "nope": 1},
        {"b64": False},
        {"zip": "DEF"},
        {"typ": "at+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": "logout+jwt"},
        {"typ": 1},
        {"kid": "unknown"},
        {"kid": "../../etc/passwd"},
        {"kid": "https://evil.example.com/jwks.json"},
        {"kid": "' OR 1=1 --"},
        {"kid": "x" * 10_000},
        {"kid": 1},
        {"kid": ["a"]},
    ],
    ids=lambda header: str(header)[:40],
)
async def test_a_header_that_asks_for_more_is_refused(issuers: Issuers, header: dict[str, Any]) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", KEY, header))) == REFUSED


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", "RS1", "ES256K", "HS256", None])
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_without_a_signature_there_is_no_proof(
    issuers: Issuers, alg: str | None, signature: str
) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    header = {"kid": KEY.kid} | ({"alg": alg} if alg is not None else {})
    text = f"{encoded(header)}.{encoded(claims_for(issuers.acme, 'robot'))}.{signature}"
    form = {"client_assertion_type": JWT_BEARER, "client_assertion": text}
    assert outcome(await ask(issuers.acme, form)) == REFUSED


def public_spellings(key: SigningKey) -> list[bytes]:
    public = key.private.public_key()
    jwk = dict(key.public_jwk)
    return [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        msgspec.json.encode(jwk),
        jwk["n"].encode(),
        base64.urlsafe_b64decode(jwk["n"] + "=="),
    ]


async def test_a_published_key_is_no_secret(issuers: Issuers) -> None:
    """HS256 keyed with a public key, in every spelling: of a client with that key, and of one with a secret."""
    key = KEYS["RS256"]
    await add_signing_client(issuers.acme, "robot", key)
    await add_mac_client(issuers.acme, "mac")
    [ours] = (await issuers.acme.http.get("/.well-known/jwks.json")).json()["keys"]
    spellings = [*public_spellings(key), msgspec.json.encode(ours), ours["n"].encode()]
    for client_id in ("robot", "mac"):
        for spelling in spellings:
            form = assertion(issuers.acme, client_id, spelling, {"kid": key.kid})
            assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_no_key_of_the_header_counts(issuers: Issuers) -> None:
    """And none is fetched: no address may be called here at all."""
    await add_signing_client(issuers.acme, "robot", KEY)
    for member, value in (
        ("jwk", dict(OTHER.public_jwk)),
        ("jku", "https://evil.example.com/jwks.json"),
        ("x5u", "https://evil.example.com/cert.pem"),
        ("x5c", ["MIIB"]),
    ):
        for kid in (KEY.kid, OTHER.kid, None):
            form = assertion(issuers.acme, "robot", OTHER, {member: value, "kid": kid})
            assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_without_a_secret_there_is_no_mac(issuers: Issuers) -> None:
    await add_mac_client(issuers.acme, "robot")
    await issuers.acme.remove(models.ClientSecret, client_id="robot")
    for secret in (b"", b"\x00", b"null", b"None"):
        assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", secret))) == REFUSED


async def test_a_secret_that_does_not_open_proves_nothing_and_harms_nobody_else(issuers: Issuers) -> None:
    secret = await add_mac_client(issuers.acme, "robot")
    await issuers.acme.change(models.ClientSecret, {"client_id": "robot"}, sealed=b"\x01broken")
    for key in (secret, b"", b"\x01broken"):
        assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", key))) == REFUSED
    assert (await issuers.acme.machine(audience=API)).status_code == 200


async def test_a_secret_made_for_macs_ends_at_its_time_and_may_be_one_of_two(issuers: Issuers) -> None:
    secret = await add_mac_client(issuers.acme, "robot")
    short = await add_sealed_secret(issuers.acme, "robot", expires_at=issuers.acme.now_ms + 1000)
    for key in (secret, short):
        assert (await ask(issuers.acme, assertion(issuers.acme, "robot", key))).status_code == 200
    issuers.clock.time += 1
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", short))) == REFUSED
    assert (await ask(issuers.acme, assertion(issuers.acme, "robot", secret))).status_code == 200


async def test_another_clients_key_and_another_tenants_key_are_strangers(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    await add_signing_client(issuers.acme, "android", OTHER)
    await add_signing_client(issuers.globex, "robot", OTHER)
    for header in (None, {"kid": KEY.kid}, {"kid": None}):
        form = assertion(issuers.acme, "robot", OTHER, header)
        assert outcome(await ask(issuers.acme, form)) == REFUSED
    form = assertion(issuers.globex, "robot", KEY)
    assert outcome(await ask(issuers.globex, form)) == REFUSED


async def test_an_assertion_for_one_tenant_is_nothing_at_another(issuers: Issuers) -> None:
    """The same client id with the same key in both, as an application that serves both has it."""
    for issuer in (issuers.acme, issuers.globex):
        await add_signing_client(issuer, "robot", KEY)
    form = assertion(issuers.globex, "robot", KEY)
    assert outcome(await ask(issuers.acme, form)) == REFUSED
    assert (await ask(issuers.globex, form)).status_code == 200


async def test_the_body_may_name_the_client_of_the_assertion_and_no_other(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    for other in ("web", "nobody", "ROBOT"):
        form = assertion(issuers.acme, "robot", KEY) | {"client_id": other}
        assert outcome(await ask(issuers.acme, form)) == REFUSED


@pytest.mark.parametrize(
    "kind", ["jwt", "", JWT_BEARER.upper(), "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"]
)
async def test_there_is_one_kind_of_assertion(issuers: Issuers, kind: str) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    form = assertion(issuers.acme, "robot", KEY) | {"client_assertion_type": kind}
    assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_half_an_assertion_is_none(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    form = assertion(issuers.acme, "robot", KEY)
    without_kind = {"client_assertion": form["client_assertion"], "client_id": "robot"}
    assert outcome(await ask(issuers.acme, without_kind)) == REFUSED
    without_text = {"client_assertion_type": JWT_BEARER, "client_id": "robot"}
    assert outcome(await ask(issuers.acme, without_text)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "text",
    ["x", "a.b.c", "..", ".".join("x" * 10_000), "x" * 20_000, "a.b.c.d.e", "é.é.é"],
    ids=lambda t: t[:9],
)
async def test_what_is_no_jwt_is_refused_at_once(issuers: Issuers, text: str) -> None:
    form = {"client_assertion_type": JWT_BEARER, "client_assertion": text, "client_id": "m2m"}
    assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_members_that_stand_twice_are_refused(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    claims = msgspec.json.encode(claims_for(issuers.acme, "robot"))
    twice = claims[:-1] + b',"sub":"robot"}'
    text = signed({"alg": "ES256", "kid": KEY.kid}, twice, KEY)
    form = {"client_assertion_type": JWT_BEARER, "client_assertion": text}
    assert outcome(await ask(issuers.acme, form)) == REFUSED


# --- One registered way --------------------------------------------------------------------------------------------


async def test_two_ways_at_once_are_an_invalid_request(issuers: Issuers) -> None:
    secret = (await add_mac_client(issuers.acme, "robot")).decode()
    form = assertion(issuers.acme, "robot", secret.encode())
    assert outcome(await ask(issuers.acme, form | {"client_secret": secret})) == (400, "invalid_request")
    header = {"Authorization": "Basic " + base64.b64encode(f"robot:{secret}".encode()).decode()}
    assert outcome(await ask(issuers.acme, form, headers=header)) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none", "private_key_jwt"])
async def test_a_mac_is_only_for_clients_that_registered_it(issuers: Issuers, method: str) -> None:
    secret = await add_mac_client(issuers.acme, "robot", token_endpoint_auth_method=method)
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", secret))) == REFUSED


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none", "client_secret_jwt"])
async def test_a_key_is_only_for_clients_that_registered_it(issuers: Issuers, method: str) -> None:
    await add_signing_client(issuers.acme, "robot", KEY, token_endpoint_auth_method=method)
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", KEY))) == REFUSED


@pytest.mark.parametrize("method", ["client_secret_jwt", "private_key_jwt"])
async def test_a_client_that_signs_sends_no_secret(issuers: Issuers, method: str) -> None:
    secret = await add_mac_client(issuers.acme, "robot", token_endpoint_auth_method=method)
    await add_key(issuers.acme, "robot", KEY)
    sent = {"client_id": "robot", "client_secret": secret.decode()}
    assert outcome(await ask(issuers.acme, sent)) == REFUSED
    basic = {"Authorization": "Basic " + base64.b64encode(b"robot:" + secret).decode()}
    assert outcome(await ask(issuers.acme, {}, headers=basic)) == REFUSED
    assert outcome(await ask(issuers.acme, {"client_id": "robot"})) == REFUSED


async def test_a_registered_algorithm_is_the_only_one(issuers: Issuers) -> None:
    key = KEYS["PS256"]
    await add_signing_client(
        issuers.acme, "robot", key, registration={"token_endpoint_auth_signing_alg": "PS256"}
    )
    assert (await ask(issuers.acme, assertion(issuers.acme, "robot", key))).status_code == 200
    form = assertion(issuers.acme, "robot", key, {"alg": "RS256"})
    assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_a_key_is_good_for_its_own_algorithm(issuers: Issuers) -> None:
    key = KEYS["PS256"]
    await add_signing_client(issuers.acme, "robot")
    await add_key(issuers.acme, "robot", key, alg="PS256")
    assert (await ask(issuers.acme, assertion(issuers.acme, "robot", key))).status_code == 200
    form = assertion(issuers.acme, "robot", key, {"alg": "RS256"})
    assert outcome(await ask(issuers.acme, form)) == REFUSED


# --- Once ----------------------------------------------------------------------------------------------------------


async def test_an_assertion_counts_once_over_all_workers(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    async with second_worker(acme, issuers.services) as other:
        for first, second in ((acme, other), (other, acme), (acme, acme)):
            form = assertion(acme, "robot", KEY)
            assert (await ask(first, form)).status_code == 200
            assert outcome(await ask(second, form)) == REFUSED
        form = assertion(acme, "robot", KEY)
        answers = await asyncio.gather(*(ask(worker, form) for worker in (acme, other) * 10))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_the_same_jti_of_another_client_or_tenant_is_another_assertion(issuers: Issuers) -> None:
    for issuer in (issuers.acme, issuers.globex):
        await add_signing_client(issuer, "robot", KEY)
    await add_signing_client(issuers.acme, "android", KEY)
    for issuer, client_id in ((issuers.acme, "robot"), (issuers.acme, "android"), (issuers.globex, "robot")):
        assert (await ask(issuer, assertion(issuer, client_id, KEY, jti="same"))).status_code == 200
    assert outcome(await ask(issuers.acme, assertion(issuers.acme, "robot", KEY, jti="same"))) == REFUSED


async def test_a_used_assertion_is_remembered_until_it_ends(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    form = assertion(issuers.acme, "robot", KEY, exp=1_800_000_000 + 240)
    assert (await ask(issuers.acme, form)).status_code == 200
    [row] = await issuers.acme.rows(models.UsedId)
    assert row.expires_at == (1_800_000_000 + 240) * 1000
    issuers.clock.time += 239
    assert outcome(await ask(issuers.acme, form)) == REFUSED


async def test_used_assertions_are_forgotten_where_nobody_ever_signs_in(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    for _ in range(5):
        assert (await ask(acme, assertion(acme, "robot", KEY))).status_code == 200
    old = {row.digest for row in await acme.rows(models.UsedId)}
    issuers.clock.time += 5401
    sweeps = (f"{number}" for number in range(100_000))
    jti = next(jti for jti in sweeps if digest(f"client_assertion\0robot\0{jti}").startswith("00"))
    assert (await ask(acme, assertion(acme, "robot", KEY, jti=jti))).status_code == 200
    left = await acme.rows(models.UsedId)
    assert len(left) == 1
    assert left[0].digest not in old
    assert outcome(await ask(acme, assertion(acme, "robot", KEY, jti=jti))) == REFUSED


async def test_a_code_is_not_spent_by_a_second_use_of_the_assertion(issuers: Issuers) -> None:
    acme = issuers.acme
    await add_signing_client(acme, "robot", KEY)
    form = assertion(acme, "robot", KEY)
    assert (await ask(acme, form)).status_code == 200
    code = {"grant_type": "authorization_code", "code": await acme.code("robot"), "redirect_uri": CALLBACK}
    code |= {"code_verifier": "v" * 64}
    assert outcome(await acme.http.post("/oauth/token", data={**code, **form})) == REFUSED
    fresh = assertion(acme, "robot", KEY)
    assert (await acme.http.post("/oauth/token", data={**code, **fresh})).status_code == 200


async def test_a_failure_is_in_the_log(issuers: Issuers) -> None:
    await add_signing_client(issuers.acme, "robot", KEY)
    form = assertion(issuers.acme, "robot", KEY)
    await ask(issuers.acme, form)
    await ask(issuers.acme, form)
    assert await issuers.acme.events() == ["seccft", "feccft"]
