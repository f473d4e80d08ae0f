"""How a client proves itself, as the Management API says it: keys, sets, addresses, Auth0's credentials, FAPI 2.0."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from core.crypto.keys import SigningKey, thumbprint
from core.ids import new_secret
from tenant_runtime.models import ClientKey, ClientSecret
from tests.management.signing_clients import BY_KEY, FAPI, KEY, KEYS, WEB, jwks, made, pem
from tests.management.world import START, Place, World
from tests.protocol.assertions import JWT_BEARER, signed

pytestmark = pytest.mark.anyio


def certificate(key: SigningKey, ends_at: datetime) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(7)
        .not_valid_before(datetime.fromtimestamp(START, UTC))
        .not_valid_after(ends_at)
    )
    return builder.sign(key.private, SHA256()).public_bytes(Encoding.PEM).decode()


# --- Sets and addresses ----------------------------------------------------------------------------------------------


async def test_a_client_that_proves_itself_by_a_key_has_no_secret(acme: Place) -> None:
    path, client = await made(acme, jwks=jwks(*KEYS.values()))
    assert "client_secret" not in client
    assert await acme.rows(ClientSecret, client_id=client["client_id"]) == []
    rows = await acme.rows(ClientKey, client_id=client["client_id"])
    assert {row.kid for row in rows} == {key.kid for key in KEYS.values()}
    assert {row.alg for row in rows} == KEYS.keys()
    assert all(row.jwk.keys() <= {"kty", "n", "e", "crv", "x", "y"} for row in rows)
    assert (await acme.api().post(f"{path}/rotate-secret")).status_code == 400
    named = client["client_authentication_methods"]["private_key_jwt"]["credentials"]
    assert {credential["id"] for credential in named} == {row.id for row in rows}
    assert (await acme.api().get(path)).json() == client
    assert client in (await acme.api().get("/clients")).json()


async def test_a_set_replaces_the_one_before_and_leaves_what_is_the_same(acme: Place) -> None:
    path, _ = await made(acme, jwks=jwks(KEY, KEYS["PS256"]))
    api = acme.api()
    before = {key["kid"]: key["id"] for key in (await api.get(f"{path}/credentials")).json()}
    same = await api.patch(path, {"jwks": jwks(KEY, KEYS["PS256"])})
    assert same.json() == (await api.get(path)).json()
    events = len(await acme.events())
    await api.patch(path, {"jwks": jwks(KEYS["PS256"], KEY)})
    assert len(await acme.events()) == events
    await api.patch(path, {"jwks": jwks(KEY, KEYS["EdDSA"])})
    after = {key["kid"]: key["id"] for key in (await api.get(f"{path}/credentials")).json()}
    assert after.keys() == {KEY.kid, KEYS["EdDSA"].kid}
    assert after[KEY.kid] == before[KEY.kid]
    changed = await api.patch(path, {"jwks": None})
    assert "client_authentication_methods" not in changed.json()
    assert (await api.get(f"{path}/credentials")).json() == []
    assert changed.json()["token_endpoint_auth_method"] == "private_key_jwt"


async def test_keys_are_here_or_at_an_address(acme: Place) -> None:
    path, client = await made(acme, jwks=jwks(KEY))
    api, there = acme.api(), {"jwks_uri": "https://app.example.com/jwks.json"}
    both = await api.patch(path, {"jwks": jwks(KEY), **there})
    assert both.status_code == 400
    assert (await api.get(path)).json() == client
    moved = (await api.patch(path, there)).json()
    assert moved["jwks_uri"] == there["jwks_uri"]
    assert await acme.rows(ClientKey) == []
    refused = await api.post(f"{path}/credentials", {"credential_type": "public_key", "pem": pem(KEY)})
    assert refused.status_code == 400
    back = (await api.patch(path, {"jwks": jwks(KEY)})).json()
    assert "jwks_uri" not in back
    assert "client_authentication_methods" in back


@pytest.mark.parametrize(
    "address",
    [
        "http://app.example.com/jwks.json",
        "https://127.0.0.1/jwks.json",
        "https://localhost/jwks.json",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://app.example.com:22/",
        "https://app.example.com:25/",
        "https://user:password@app.example.com/",
        "https://app.example.com/#fragment",
        "file:///etc/passwd",
        "ftp://app.example.com/",
        "javascript:alert(1)",
        "https://intranet/",
        "",
    ],
)
async def test_an_address_that_must_not_be_called_is_refused_when_it_is_saved(
    acme: Place, address: str
) -> None:
    path, client = await made(acme, jwks=jwks(KEY))
    logout = {"oidc_logout": {"backchannel_logout_urls": [address]}}
    for change in ({"jwks_uri": address}, logout, {"oidc_backchannel_logout": logout["oidc_logout"]}):
        refused = await acme.api().patch(path, change)
        assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
        assert (await acme.api().post("/clients", {**WEB, **change})).status_code == 400
    assert (await acme.api().get(path)).json() == client


PRIVATE = {**KEY.public_jwk, **KEY.jose.as_dict(private=True)}


@pytest.mark.parametrize(
    "jwk",
    [
        PRIVATE,
        {**KEYS["RS256"].public_jwk, "p": "AQAB"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {**KEY.public_jwk, "use": "enc"},
        {**KEY.public_jwk, "alg": "RS256"},
        {**KEY.public_jwk, "alg": "none"},
        {**KEY.public_jwk, "x": "AA"},
        {**KEYS["RS256"].public_jwk, "n": "AQAB"},
        dict(SigningKey.generate("ES384").public_jwk),
        {"kty": "RSA"},
        {},
        7,
        None,
        "text",
    ],
    ids=[
        "private", "private RSA", "symmetric", "for encryption", "of another algorithm", "of none", "off the curve",
        "too small", "of a curve without an algorithm here", "without members", "empty", "a number", "null", "a text",
    ],
)  # fmt: skip
async def test_a_key_that_proves_nothing_is_refused(acme: Place, jwk: Any) -> None:
    path, client = await made(acme, jwks=jwks(KEYS["EdDSA"]))
    api = acme.api()
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", path, {"jwks": {"keys": [jwk]}}),
        ("POST", "/clients", {**BY_KEY, "jwks": {"keys": [dict(KEYS["EdDSA"].public_jwk), jwk]}}),
        ("POST", f"{path}/credentials", {"credential_type": "public_key", "jwk": jwk}),
    ]
    for method, where, body in bodies:
        refused = await api(method, where, body)
        assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
    assert (await api.get(path)).json() == client
    assert len(await acme.rows(ClientKey)) == 1


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": None}, [], "x", {"keys": [[]]}], ids=str)
async def test_what_is_no_set_of_keys_is_refused(acme: Place, document: Any) -> None:
    assert (await acme.api().post("/clients", {**BY_KEY, "jwks": document})).status_code == 400


async def test_a_client_has_ten_keys_at_most_and_no_two_of_one_name(acme: Place) -> None:
    many = [SigningKey.generate("EdDSA") for _ in range(11)]
    assert (await acme.api().post("/clients", {**BY_KEY, "jwks": jwks(*many)})).status_code == 400
    path, _ = await made(acme, jwks=jwks(*many[:10]))
    refused = await acme.api().post(f"{path}/credentials", {"pem": pem(many[10])})
    assert refused.status_code == 400
    twice = {"keys": [{**KEY.public_jwk, "kid": "one"}, {**KEYS["EdDSA"].public_jwk, "kid": "one"}]}
    assert (await acme.api().patch(path, {"jwks": twice})).status_code == 409
    assert len(await acme.rows(ClientKey)) == 10


# --- Auth0's credentials ---------------------------------------------------------------------------------------------


async def test_credentials_are_added_listed_and_taken_away(acme: Place) -> None:
    path, _ = await made(acme)
    api = acme.api()
    body = {"credential_type": "public_key", "name": "First", "pem": pem(KEYS["RS256"]), "alg": "RS256"}
    answer = await api.post(f"{path}/credentials", body)
    assert answer.status_code == 201
    first = answer.json()
    assert first["id"].startswith("cred_")
    assert first["kid"] == thumbprint(KEYS["RS256"].public_jwk)
    assert {name: first[name] for name in ("credential_type", "name", "alg")} == {
        "credential_type": "public_key",
        "name": "First",
        "alg": "RS256",
    }
    assert "pem" not in first
    second = await api.made(f"{path}/credentials", {"jwk": dict(KEY.public_jwk), "kid": "my-own"})
    assert (second["kid"], second["alg"]) == ("my-own", "ES256")
    assert (await api.post(f"{path}/credentials", {"pem": pem(KEY), "kid": "my-own"})).status_code == 409
    assert (await api.post(f"{path}/credentials", body)).status_code == 409
    listed = (await api.get(f"{path}/credentials")).json()
    assert sorted(listed, key=lambda key: str(key["kid"])) == sorted(
        [first, second], key=lambda key: str(key["kid"])
    )
    assert (await api.get(f"{path}/credentials/{first['id']}")).json() == first
    assert (await api.delete(f"{path}/credentials/{first['id']}")).status_code == 204
    assert (await api.delete(f"{path}/credentials/{first['id']}")).status_code == 204
    gone = await api.get(f"{path}/credentials/{first['id']}")
    assert (gone.status_code, gone.json()["errorCode"]) == (404, "inexistent_credential")
    assert (await api.get(f"{path}/credentials")).json() == [second]


async def test_a_credential_ends_when_it_says_or_its_certificate_says(acme: Place) -> None:
    path, _ = await made(acme)
    ends_at = datetime.fromtimestamp(START, UTC) + timedelta(days=90)
    text = certificate(KEYS["RS256"], ends_at)
    api = acme.api()
    parsed = await api.made(f"{path}/credentials", {"pem": text, "parse_expiry_from_cert": True})
    assert parsed["expires_at"] == f"{ends_at.isoformat()[:19]}.000Z"
    plain = await api.made(f"{path}/credentials", {"pem": text, "kid": "other"})
    assert "expires_at" not in plain
    said = {"pem": pem(KEY), "expires_at": "2030-01-01T00:00:00Z"}
    chosen = await api.made(f"{path}/credentials", said)
    assert chosen["expires_at"] == "2030-01-01T00:00:00.000Z"
    one = f"{path}/credentials/{chosen['id']}"
    longer = await api.patch(one, {"expires_at": "2031-01-01T00:00:00+01:00"})
    assert longer.json()["expires_at"] == "2030-12-31T23:00:00.000Z"
    assert "expires_at" not in (await api.patch(one, {"expires_at": None})).json()
    for body in ({}, {"expires_at": "soon"}, {"expires_at": "2030-01-01T00:00:00"}, {"kid": "x"}):
        assert (await api.patch(one, body)).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"credential_type": "public_key"},
        {"credential_type": "cert_subject_dn", "pem": pem(KEY)},
        {"pem": pem(KEY), "jwk": dict(KEY.public_jwk)},
        {"pem": "no key"},
        {"pem": ""},
        {"pem": KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()},
        {"pem": pem(KEY), "alg": "RS256"},
        {"pem": pem(KEY), "alg": "HS256"},
        {"pem": pem(KEY), "kid": ""},
        {"pem": pem(KEY), "kid": "x" * 256},
        {"pem": pem(KEY), "kid": "a\nb"},
        {"pem": pem(KEY), "id": "cred_mine"},
        {"pem": pem(KEY), "nobody_knows": 1},
    ],
    ids=lambda body: str(body)[:50],
)
async def test_a_credential_that_is_no_public_key_is_refused(acme: Place, body: dict[str, Any]) -> None:
    path, _ = await made(acme)
    refused = await acme.api().post(f"{path}/credentials", body)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
    assert await acme.rows(ClientKey) == []


async def test_auth0s_way_to_make_and_to_rotate_keys(acme: Place) -> None:
    """Made with the client, a second one added, both named, then only the new one."""
    api = acme.api()
    first = {"credential_type": "public_key", "name": "first", "pem": pem(KEYS["RS256"]), "alg": "RS256"}
    methods = {"client_authentication_methods": {"private_key_jwt": {"credentials": [first]}}}
    client = await api.made("/clients", {**WEB, "token_endpoint_auth_method": None, **methods})
    assert client["token_endpoint_auth_method"] == "private_key_jwt"
    assert "client_secret" not in client
    path = f"/clients/{client['client_id']}"
    [old] = client["client_authentication_methods"]["private_key_jwt"]["credentials"]
    new = await api.made(f"{path}/credentials", {"credential_type": "public_key", "pem": pem(KEY)})

    async def name(*ids: str) -> Any:
        named = {"private_key_jwt": {"credentials": [{"id": id} for id in ids]}}
        return await api.patch(path, {"client_authentication_methods": named})

    assert (await name(old["id"], new["id"])).status_code == 200
    unknown = await name(new["id"], "cred_unknown")
    assert unknown.status_code == 400
    assert len(await acme.rows(ClientKey)) == 2
    assert (await name(new["id"])).status_code == 200
    assert [row.id for row in await acme.rows(ClientKey)] == [new["id"]]
    back = {"client_authentication_methods": None, "token_endpoint_auth_method": "client_secret_post"}
    assert (await api.patch(path, back)).json()["token_endpoint_auth_method"] == "client_secret_post"
    assert len(await acme.rows(ClientSecret, client_id=client["client_id"])) == 1


async def test_what_is_read_of_a_client_can_be_written_back(acme: Place) -> None:
    path, client = await made(
        acme, jwks=jwks(KEY), oidc_logout={"backchannel_logout_urls": ["https://a.example.com/"]}
    )
    server_owned = {"client_id", "global", "created_at", "updated_at"}
    body = {name: value for name, value in client.items() if name not in server_owned}
    again = await acme.api().patch(path, body)
    assert again.json() == client


async def test_the_ways_to_prove_oneself_do_not_contradict(acme: Place) -> None:
    path, client = await made(acme, jwks=jwks(KEY))
    methods = {"private_key_jwt": {"credentials": [{"pem": pem(KEY)}]}}
    for change in (
        {"client_authentication_methods": methods, "token_endpoint_auth_method": "client_secret_post"},
        {"client_authentication_methods": methods, "jwks": jwks(KEY)},
        {"client_authentication_methods": methods, "jwks_uri": "https://app.example.com/jwks.json"},
        {"client_authentication_methods": {"tls_client_auth": {"credentials": []}}},
        {"client_authentication_methods": {"private_key_jwt": {"credentials": [methods] * 11}}},
        {"token_endpoint_auth_method": "tls_client_auth"},
    ):
        assert (await acme.api().patch(path, change)).status_code == 400, change
    assert (await acme.api().get(path)).json() == client


async def test_a_secret_goes_when_a_client_turns_to_keys(acme: Place) -> None:
    client = await acme.api().made("/clients", WEB)
    path = f"/clients/{client['client_id']}"
    await acme.api().patch(path, {"token_endpoint_auth_method": "client_secret_jwt"})
    assert (await acme.api().get(path)).json()["client_secret"] == client["client_secret"]
    await acme.api().patch(path, {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(KEY)})
    assert await acme.rows(ClientSecret, client_id=client["client_id"]) == []
    assert "client_secret" not in (await acme.api().get(path)).json()
    await acme.api().patch(path, {"token_endpoint_auth_method": "client_secret_jwt"})
    assert (await acme.api().get(path)).json()["client_secret"] != client["client_secret"]


async def test_each_permission_does_what_it_says(acme: Place) -> None:
    path, _ = await made(acme, jwks=jwks(KEY))
    [credential] = (await acme.api().get(f"{path}/credentials")).json()
    one = f"{path}/credentials/{credential['id']}"
    calls: dict[str, tuple[str, str, Any]] = {
        "read:client_credentials": ("GET", one, None),
        "create:client_credentials": ("POST", f"{path}/credentials", {"pem": pem(KEYS["RS256"])}),
        "update:client_credentials": ("PATCH", one, {"expires_at": None}),
        "delete:client_credentials": ("DELETE", one, None),
    }
    for permission in calls:
        others = calls.keys() - {permission}
        method, where, body = calls[permission]
        assert (await acme.api(*others, "update:clients")(method, where, body)).status_code == 403
        assert (await acme.api(permission)(method, where, body)).status_code in (200, 201, 204)


async def test_nobody_takes_a_stronger_client_by_its_keys(acme: Place) -> None:
    path, client = await made(acme, jwks=jwks(KEY))
    grant = {
        "client_id": client["client_id"],
        "audience": acme.tenant.management_audience,
        "scope": ["delete:users"],
    }
    await acme.api().made("/client-grants", grant)
    [credential] = (await acme.api().get(f"{path}/credentials")).json()
    helper = acme.api(
        "update:clients",
        "create:client_credentials",
        "update:client_credentials",
        "delete:client_credentials",
    )
    mine = {"credential_type": "public_key", "pem": pem(KEYS["EdDSA"])}
    methods = {"private_key_jwt": {"credentials": [mine]}}
    one = f"{path}/credentials/{credential['id']}"
    for method, where, body in (
        ("POST", f"{path}/credentials", mine),
        ("PATCH", one, {"expires_at": "2040-01-01T00:00:00Z"}),
        ("DELETE", one, None),
        ("PATCH", path, {"jwks": jwks(KEYS["EdDSA"])}),
        ("PATCH", path, {"jwks_uri": "https://evil.example.com/jwks.json"}),
        ("PATCH", path, {"client_authentication_methods": methods}),
        ("PATCH", path, {"signed_request_object": {"credentials": [mine]}}),
    ):
        assert (await helper(method, where, body)).status_code == 403, (method, where)
    assert (await acme.api().get(path)).json() == client
    assert (await helper.patch(path, {"name": "Renamed"})).status_code == 200


async def test_keys_of_another_client_or_tenant_are_not_there(world: World) -> None:
    path, _ = await made(world.acme, jwks=jwks(KEY))
    other, _ = await made(world.acme, jwks=jwks(KEY))
    foreign, _ = await made(world.globex, jwks=jwks(KEY))
    api = world.acme.api()
    [theirs] = (await api.get(f"{other}/credentials")).json()
    [far] = (await world.globex.api().get(f"{foreign}/credentials")).json()
    assert (await api.get(f"{foreign}/credentials")).status_code == 404
    assert (await api.post(f"{foreign}/credentials", {"pem": pem(KEYS["EdDSA"])})).status_code == 404
    for id in (theirs["id"], far["id"]):
        assert (await api.get(f"{path}/credentials/{id}")).status_code == 404
        assert (await api.patch(f"{path}/credentials/{id}", {"expires_at": None})).status_code == 404
        assert (await api.delete(f"{path}/credentials/{id}")).status_code == 204
        named = {"private_key_jwt": {"credentials": [{"id": id}]}}
        refused = await api.patch(path, {"client_authentication_methods": named})
        assert refused.status_code == 400
    assert len(await world.acme.rows(ClientKey)) == 2
    assert len(await world.globex.rows(ClientKey)) == 1


async def test_keys_go_with_their_client_and_are_in_the_log(acme: Place) -> None:
    path, _ = await made(acme, jwks=jwks(KEY))
    added = await acme.api().made(f"{path}/credentials", {"pem": pem(KEYS["EdDSA"])})
    assert added["id"] in str((await acme.events())[-1].details)
    await acme.api().delete(path)
    assert await acme.rows(ClientKey) == []


# --- From here to a token --------------------------------------------------------------------------------------------


async def test_what_is_saved_here_counts_at_the_token_endpoint_at_once(acme: Place) -> None:
    api, rsa = acme.api(), KEYS["RS256"]
    credential = {"credential_type": "public_key", "name": "first", "pem": pem(rsa)}
    methods = {"client_authentication_methods": {"private_key_jwt": {"credentials": [credential]}}}
    client = await api.made("/clients", {**WEB, **methods})
    path, audience = f"/clients/{client['client_id']}", acme.tenant.management_audience
    grant = {"client_id": client["client_id"], "audience": audience, "scope": ["read:users"]}
    await api.made("/client-grants", grant)

    async def ask(key: SigningKey, alg: str | None = None) -> int:
        """As Auth0's SDKs do it: without `kid`."""
        now = int(acme.world.clock.now())
        claims = {"iss": client["client_id"], "sub": client["client_id"], "aud": acme.tenant.issuer}
        claims |= {"iat": now, "exp": now + 180, "jti": new_secret()}
        form = {
            "grant_type": "client_credentials",
            "audience": audience,
            "client_assertion_type": JWT_BEARER,
            "client_assertion": signed({"alg": alg or key.alg}, claims, key),
        }
        return (await acme.http.post("/oauth/token", data=form)).status_code

    assert await ask(rsa) == 200
    assert await ask(KEY) == 401
    [first] = client["client_authentication_methods"]["private_key_jwt"]["credentials"]
    await api.made(f"{path}/credentials", {"pem": pem(KEY)})
    assert (await ask(rsa), await ask(rsa, "PS256"), await ask(KEY)) == (200, 200, 200)
    await api.delete(f"{path}/credentials/{first['id']}")
    assert (await ask(rsa), await ask(KEY)) == (401, 200)
    await api.patch(path, {"jwks": jwks(KEYS["EdDSA"])})
    assert (await ask(KEY), await ask(KEYS["EdDSA"])) == (401, 200)
    [now] = (await api.get(f"{path}/credentials")).json()
    await api.patch(f"{path}/credentials/{now['id']}", {"expires_at": "2020-01-01T00:00:00Z"})
    assert await ask(KEYS["EdDSA"]) == 401
    await api.patch(f"{path}/credentials/{now['id']}", {"expires_at": None})
    await api.patch(path, {"compliance_level": FAPI})
    assert await ask(KEYS["EdDSA"]) == 400  # a proof of possession is due from now on
    await api.patch(path, {"compliance_level": None, "token_endpoint_auth_method": "client_secret_jwt"})
    assert await ask(KEYS["EdDSA"]) == 401
