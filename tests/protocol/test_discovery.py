"""OpenID Connect Discovery 1.0, RFC 8414 and the key set: what a client learns before it has said anything."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.protocol.issuer import Issuers

pytestmark = pytest.mark.anyio

DOCUMENTS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
KEY_SET = "/.well-known/jwks.json"
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "k"}


async def document(issuers: Issuers, path: str = DOCUMENTS[0]) -> dict[str, Any]:
    answer = await issuers.acme.http.get(path)
    assert answer.status_code == 200
    value: dict[str, Any] = answer.json()
    return value


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_the_issuer_is_the_address_it_was_read_from(issuers: Issuers, path: str) -> None:
    for issuer in (issuers.acme, issuers.globex):
        answer = await issuer.http.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["issuer"] == str(answer.url.join("/"))


async def test_both_addresses_give_one_document(issuers: Issuers) -> None:
    one, other = [await document(issuers, path) for path in DOCUMENTS]
    assert one == other


async def test_authlibs_validators_accept_it(issuers: Issuers) -> None:
    AuthorizationServerMetadata(await document(issuers)).validate()
    OpenIDProviderMetadata(await document(issuers)).validate()


async def test_every_address_is_https_and_of_this_host_without_a_doubled_slash(issuers: Issuers) -> None:
    addresses = {k: v for k, v in (await document(issuers)).items() if k.endswith(("_endpoint", "_uri"))}
    assert {
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "pushed_authorization_request_endpoint",
    } <= set(addresses)
    for address in addresses.values():
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) == ("https", "acme.example.com")
        assert "//" not in parts.path
        assert not parts.query
        assert not parts.fragment


async def test_nothing_is_advertised_that_is_refused(issuers: Issuers) -> None:
    found = await document(issuers)
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert "none" not in found["id_token_signing_alg_values_supported"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    for grant_type in found["grant_types_supported"]:
        answer = await issuers.acme.token("web", grant_type=grant_type)
        assert answer.json()["error"] != "unsupported_grant_type"
    assert "none" not in found["request_object_signing_alg_values_supported"]
    assert "registration_endpoint" not in found  # nobody opened it


async def test_every_published_endpoint_answers(issuers: Issuers) -> None:
    found = await document(issuers)
    assert (await issuers.acme.http.get(found["jwks_uri"])).status_code == 200
    assert (await issuers.acme.http.get(found["userinfo_endpoint"])).status_code == 401
    posted = [name for name in found if name.endswith("_endpoint")]
    for name in set(posted) - {"authorization_endpoint", "userinfo_endpoint", "end_session_endpoint"}:
        assert (await issuers.acme.http.post(found[name], data={})).status_code in (400, 401), name


async def test_the_key_set_is_public_and_the_tenants_own(issuers: Issuers) -> None:
    kids = []
    for issuer in (issuers.acme, issuers.globex):
        answer = await issuer.http.get(KEY_SET)
        assert answer.headers["content-type"] == "application/json"
        [key] = answer.json()["keys"]
        assert PRIVATE_MEMBERS.isdisjoint(key)
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
        kids.append(key["kid"])
    assert len(set(kids)) == 2


@pytest.mark.parametrize("path", [*DOCUMENTS, KEY_SET])
async def test_anybody_may_read_and_keep_it_for_a_while(issuers: Issuers, path: str) -> None:
    answer = await issuers.acme.http.get(path, headers={"Origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=300"
    headers = {
        "Origin": "https://anywhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "mcp-protocol-version",
    }
    answer = await issuers.acme.http.options(path, headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "mcp-protocol-version" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", [*DOCUMENTS, KEY_SET])
async def test_head_is_get_without_a_body_and_nothing_else_is_answered(issuers: Issuers, path: str) -> None:
    head, get = [await issuers.acme.http.request(method, path) for method in ("HEAD", "GET")]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    answer = await issuers.acme.http.post(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
