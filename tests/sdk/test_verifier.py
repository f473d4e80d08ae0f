"""What a token must be before anybody is believed to be its subject."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from keystead_sdk import KeySet, Misused, Principal, TokenInvalid, TokenVerifier
from keystead_sdk.testing import FakeIssuer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def issuer() -> FakeIssuer:
    return FakeIssuer("https://acme.example.com/")


def header(issuer: FakeIssuer, **members: Any) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "at+jwt", "kid": issuer.key.kid} | members


def claims(issuer: FakeIssuer, **members: Any) -> dict[str, Any]:
    now = int(time.time())
    written = {"iss": issuer.issuer, "sub": "auth0|1", "aud": issuer.audience, "iat": now, "exp": now + 60}
    return written | members


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def refused(issuer: FakeIssuer, token: str, **options: Any) -> str:
    with pytest.raises(TokenInvalid) as caught:
        await issuer.verifier(**options).verify(token)
    return caught.value.description


async def test_a_good_token_says_who_calls(issuer: FakeIssuer) -> None:
    token = issuer.token(permissions=["read:x"], scopes=["write:x", "openid"], org_id="org_1", org_name="one")
    principal = await issuer.verifier().verify(token)
    assert (principal.issuer, principal.subject) == (issuer.issuer, "auth0|0123456789abcdef01234567")
    assert principal.client_id == "client_of_the_test"
    assert (principal.org_id, principal.org_name, principal.tenant) == ("org_1", "one", None)
    assert principal.has_permission("read:x")
    assert principal.has_permission("write:x")
    assert principal.scopes == {"write:x", "openid"}
    assert not principal.has_permission("delete:x")
    assert not principal.is_machine


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_every_algorithm_of_the_list_is_verified(algorithm: str) -> None:
    issuer = FakeIssuer(algorithm=algorithm)
    assert isinstance(await issuer.verifier().verify(issuer.token()), Principal)


async def test_a_client_acting_for_itself_is_a_machine(issuer: FakeIssuer) -> None:
    verifier = issuer.verifier()
    assert (await verifier.verify(issuer.token(subject="abc@clients"))).is_machine
    assert (await verifier.verify(issuer.token(gty="client-credentials"))).is_machine


async def test_claims_cannot_be_changed_after_they_were_verified(issuer: FakeIssuer) -> None:
    principal = await issuer.verifier().verify(issuer.token(nested={"list": [1]}))
    with pytest.raises(TypeError):
        principal.claims["sub"] = "somebody else"  # type: ignore[index]
    assert principal.claims["nested"]["list"] == (1,)


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "", "HS256", "RS1", "ES384"])
async def test_another_algorithm_is_refused(issuer: FakeIssuer, name: str) -> None:
    await refused(issuer, issuer.sign(header(issuer, alg=name), claims(issuer)))


async def test_an_empty_or_foreign_signature_is_refused(issuer: FakeIssuer) -> None:
    signed = issuer.token().rpartition(".")[0]
    await refused(issuer, f"{signed}.")
    await refused(issuer, signed)
    await refused(issuer, f"{signed}.{base64url(bytes(64))}")
    await refused(issuer, f"{signed}.{issuer.token(subject='else').rpartition('.')[2]}")


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_the_published_key_is_no_shared_secret(form: str) -> None:
    issuer = FakeIssuer(algorithm="RS256")
    forms: Mapping[str, Callable[[], bytes]] = {
        "pem": lambda: issuer.key.as_pem(private=False),
        "der": lambda: issuer.key.as_der(private=False),
        "jwk": lambda: json.dumps(issuer.key.as_dict(private=False)).encode(),
    }
    secret = OctKey.import_key(base64.b64encode(forms[form]()).decode())
    token = jwt.encode(header(issuer, alg="HS256"), claims(issuer), secret, algorithms=["HS256"])
    await refused(issuer, token)


async def test_symmetric_algorithms_cannot_be_asked_for() -> None:
    for algorithms in (["HS256"], ["none"], ["ES256", "HS512"], []):
        with pytest.raises(Misused):
            TokenVerifier(issuer="https://a.test/", audience="x", algorithms=algorithms)


@pytest.mark.parametrize(
    "kid",
    [None, "", "unknown", "../../etc/passwd", "https://evil.test/k", "' OR 1=1 --", "k" * 10_000, 7, ["a"]],
)
async def test_a_key_that_the_issuer_does_not_publish_is_refused(issuer: FakeIssuer, kid: object) -> None:
    verifier = issuer.verifier()
    issuer.fetched.clear()
    with pytest.raises(TokenInvalid):
        await verifier.verify(issuer.sign(header(issuer, kid=kid), claims(issuer)))
    assert set(issuer.fetched) <= {
        f"{issuer.issuer}.well-known/openid-configuration",
        f"{issuer.issuer}.well-known/jwks.json",
    }


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c", "zip", "crit", "b64", "enc", "cty"])
async def test_header_members_that_bring_keys_or_extensions_are_refused(
    issuer: FakeIssuer, member: str
) -> None:
    values = {"crit": ["exp"], "zip": "DEF", "b64": False, "jwk": issuer.key.as_dict(private=False)}
    token = issuer.sign(header(issuer, **{member: values.get(member, "https://evil.test/")}), claims(issuer))
    assert "header" in await refused(issuer, token)


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "logout+jwt", "dpop+jwt", "", 1, "at+jwt+x"])
async def test_another_type_of_token_is_refused(issuer: FakeIssuer, typ: object) -> None:
    await refused(issuer, issuer.sign(header(issuer, typ=typ), claims(issuer)))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_type_is_a_media_type(issuer: FakeIssuer, typ: str) -> None:
    await issuer.verifier().verify(issuer.sign(header(issuer, typ=typ), claims(issuer)))


async def test_plain_jwt_access_tokens_are_taken_where_asked_for_but_id_tokens_never(
    issuer: FakeIssuer,
) -> None:
    verifier = issuer.verifier(accept_typ=("at+jwt", "JWT"))
    await verifier.verify(issuer.token(typ="JWT"))
    for mark in ("nonce", "at_hash", "events"):
        with pytest.raises(TokenInvalid):
            await verifier.verify(issuer.token(typ="JWT", **{mark: "x"}))


@pytest.mark.parametrize(
    "iss",
    [
        "https://acme.example.com",
        "https://acme.example.com//",
        "https://ACME.example.com/",
        "https://acme.example.com/ ",
        "https://acme.example.co/",
        "https://b.example.com/",
        ["https://acme.example.com/"],
        {},
        None,
        "",
    ],
)
async def test_the_issuer_is_equal_as_a_string(issuer: FakeIssuer, iss: object) -> None:
    await refused(issuer, issuer.sign(header(issuer), claims(issuer, iss=iss)))


async def test_the_audience_is_ours_and_few_others(issuer: FakeIssuer) -> None:
    await issuer.verifier().verify(issuer.token(aud=[issuer.audience, "https://acme.example.com/userinfo"]))
    crowd = [issuer.audience, *(f"https://{n}.test" for n in range(100))]
    for aud in ("https://other.test", [], "", None, {issuer.audience: 1}, crowd, [issuer.audience, 1], True):
        await refused(issuer, issuer.sign(header(issuer), claims(issuer, aud=aud)))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", ["1e400", "-1", "NaN", "Infinity", '"2000000000"', "true", "[1]", "null", "9" * 5000]
)
async def test_times_are_finite_numbers(issuer: FakeIssuer, name: str, value: str) -> None:
    written = claims(issuer) | {name: "@"}
    payload = json.dumps(written).replace('"@"', value).encode()
    await refused(issuer, issuer.sign(header(issuer), payload))


async def test_times_are_kept(issuer: FakeIssuer) -> None:
    now = int(time.time())
    for wrong in (
        {"exp": now - 60},
        {"nbf": now + 3600},
        {"iat": now + 3600},
        {"iat": now + 50, "exp": now + 40},
    ):
        await refused(issuer, issuer.sign(header(issuer), claims(issuer, **wrong)))
    for missing in ("exp", "iat"):
        await refused(issuer, issuer.token(**{missing: None}))
    await issuer.verifier(leeway=120).verify(
        issuer.sign(header(issuer), claims(issuer, iat=now - 90, exp=now - 60))
    )


@pytest.mark.parametrize("name", ["sub", "client_id", "azp", "org_id", "org_name", "scope", "permissions"])
@pytest.mark.parametrize("value", [["x"], {"x": 1}, 7, True])
async def test_names_are_text(issuer: FakeIssuer, name: str, value: object) -> None:
    if name == "permissions" and value == ["x"]:
        value = [["x"]]
    await refused(issuer, issuer.sign(header(issuer), claims(issuer, **{"org_id": "org_1", name: value})))


async def test_a_subject_is_there_and_clients_and_organizations_agree(issuer: FakeIssuer) -> None:
    await refused(issuer, issuer.token(subject=""))
    await refused(issuer, issuer.token(sub=None))
    await refused(issuer, issuer.token(client_id="one", azp="two"))
    await refused(issuer, issuer.token(org_name="a name without an id"))


async def test_claims_added_after_signing_are_refused(issuer: FakeIssuer) -> None:
    head, _, signature = issuer.token(org_id="org_a").split(".")
    payload = base64url(json.dumps(claims(issuer, org_id="org_b")).encode())
    await refused(issuer, f"{head}.{payload}.{signature}")


async def test_a_token_bound_to_a_key_is_no_bearer_token(issuer: FakeIssuer) -> None:
    assert "bound" in await refused(issuer, issuer.token(cnf={"jkt": "x"}))


def hostile_texts(issuer: FakeIssuer) -> dict[str, str]:
    head, payload, signature = issuer.token().split(".")
    twice = json.dumps(claims(issuer))[:-1].encode() + b', "sub": "somebody else"}'
    deep = json.dumps(claims(issuer))[:-1].encode() + b', "x": ' + b"[" * 1000 + b"]" * 1000 + b"}"
    last = signature[-1]
    other_spelling = "BCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_A"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return {
        "a megabyte": "a" * 1_000_000 + "." + payload + "." + signature,
        "a header of 100 kB": f"{base64url(b'{' + b' ' * 100_000 + b'}')}.{payload}.{signature}",
        "a header of 10 kB": f"{base64url(b'{' + b' ' * 10_000 + b'}')}.{payload}.{signature}",
        "ten thousand dots": "." * 10_000,
        "nested a thousand times": issuer.sign(header(issuer), deep),
        "nested until recursion": issuer.sign(header(issuer), b"[" * 11_000),
        "a name twice": issuer.sign(header(issuer), twice),
        "no object": issuer.sign(header(issuer), b"[]"),
        "a lone surrogate": issuer.sign(header(issuer), claims(issuer, sub="\ud800")),
        "a byte order mark": issuer.sign(
            header(issuer), b"\xef\xbb\xbf" + json.dumps(claims(issuer)).encode()
        ),
        "UTF-16": issuer.sign(header(issuer), json.dumps(claims(issuer)).encode("utf-16")),
        "an encrypted token": f"{base64url(json.dumps({'alg': 'dir', 'enc': 'A128GCM'}).encode())}..a.b.c",
        "PBES2": f"{base64url(json.dumps({'alg': 'PBES2-HS256+A128KW', 'p2c': 10**7}).encode())}.a.b.c.d",
        "padding": f"{head}.{payload}.{signature}==",
        "another spelling of the signature": f"{head}.{payload}.{signature[:-1]}"
        + other_spelling[alphabet.index(last)],
        "white space": f"{head}.{payload}.{signature}\n",
        "nothing": "",
        "letters of elsewhere": f"{head}.{payload}.ą",
    }


async def test_hostile_texts_are_refused_quickly(issuer: FakeIssuer) -> None:
    verifier = issuer.verifier()
    await verifier.verify(issuer.token())
    for name, text in hostile_texts(issuer).items():
        start = time.process_time()
        with pytest.raises(TokenInvalid):
            await verifier.verify(text)
        assert time.process_time() - start < 0.05, name


async def test_every_issuer_of_a_rule_reaches_its_own_tenant_only() -> None:
    a, b = FakeIssuer("https://a.example.com/"), FakeIssuer("https://b.example.com/")

    async def fetch(address: str) -> bytes:
        return await (a if address.startswith(a.issuer) else b).fetch(address)

    tenants = {a.issuer: "a", b.issuer: "b"}
    verifier = TokenVerifier(
        trusted_issuers=tenants.get, audience=lambda issuer: f"{issuer}api/v2/", fetch=fetch
    )
    for issuer, tenant in ((a, "a"), (b, "b")):
        principal = await verifier.verify(issuer.token(aud=f"{issuer.issuer}api/v2/"))
        assert (principal.tenant, principal.issuer) == (tenant, issuer.issuer)
    wrong = (
        b.sign(header(b), claims(b, iss=a.issuer, aud=f"{a.issuer}api/v2/")),
        b.sign(header(b, kid=a.key.kid), claims(b, iss=a.issuer, aud=f"{a.issuer}api/v2/")),
        a.token(aud=f"{b.issuer}api/v2/"),
        FakeIssuer("https://c.example.com/").token(),
    )
    for token in wrong:
        with pytest.raises(TokenInvalid):
            await verifier.verify(token)


async def test_an_untrusted_issuer_is_never_fetched_from() -> None:
    asked: list[str] = []

    async def nobody(issuer: str) -> str | None:
        asked.append(issuer)
        return None

    stranger = FakeIssuer("https://evil.test/")
    verifier = TokenVerifier(trusted_issuers=nobody, audience=stranger.audience, fetch=stranger.fetch)
    with pytest.raises(TokenInvalid):
        await verifier.verify(stranger.token())
    assert asked == ["https://evil.test/"]
    assert stranger.fetched == []


async def test_keys_can_come_from_the_process_itself(issuer: FakeIssuer) -> None:
    class OwnKeys:
        async def keys(self, issuer_asked: str, key_id: str) -> KeySet:
            assert (issuer_asked, key_id) == (issuer.issuer, issuer.key.kid)
            return KeySet.from_jwks(issuer.jwks())

    issuer.fetched.clear()
    assert await issuer.verifier(keys=OwnKeys()).verify(issuer.token())
    assert issuer.fetched == []
