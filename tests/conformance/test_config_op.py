"""The Config OP profile: `oidcc-discovery-endpoint-verification`, for all tenants at once."""

import re
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.conftest import Suite
from tests.conformance.op import Op
from tests.conformance.shared_checks import check_key_set

pytestmark = pytest.mark.anyio

SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
ARRAYS_OF_TEXT = {
    "scopes_supported", "response_types_supported", "response_modes_supported", "grant_types_supported",
    "acr_values_supported", "subject_types_supported", "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported", "request_object_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported",
    "claim_types_supported", "claims_supported", "ui_locales_supported", "code_challenge_methods_supported",
    "prompt_values_supported", "dpop_signing_alg_values_supported", "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported", "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported", "protected_resources",
}  # fmt: skip
FLAGS = {
    "claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported",
    "require_request_uri_registration", "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests", "backchannel_logout_supported", "backchannel_logout_session_supported",
    "client_id_metadata_document_supported",
}  # fmt: skip
TEXTS = {"issuer", "jwks_uri"}


async def discovery(op: Op) -> None:
    document = op.metadata
    assert_members(document)
    parts = urlsplit(document["issuer"])
    assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert name in document
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")):
            assert urlsplit(value).scheme == "https", name
            assert urlsplit(value).netloc == parts.netloc, name
    assert document["response_types_supported"] == ["code"]
    assert document["subject_types_supported"] == ["public"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "openid" in document["scopes_supported"]
    assert all(SCOPE.fullmatch(scope) for scope in document["scopes_supported"])
    assert document["grant_types_supported"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["claims_supported"]
    assert document["authorization_response_iss_parameter_supported"] is True
    check_key_set(await op.keys())


def assert_members(document: dict[str, Any]) -> None:
    """Of the right type, and known: the suite warns of members that it does not know."""
    for name, value in document.items():
        if name in ARRAYS_OF_TEXT:
            assert isinstance(value, list), name
            assert all(isinstance(item, str) for item in value), name
            assert len(set(value)) == len(value), name
        elif name in FLAGS:
            assert isinstance(value, bool), name
        else:
            assert name in TEXTS or name.endswith("_endpoint"), f"{name} is not known"
            assert isinstance(value, str)


async def both_addresses(op: Op) -> None:
    """RFC 8414 section 5 and OpenID Connect Discovery 1.0: one document."""
    answer = await op.http.get(f"{op.issuer}.well-known/oauth-authorization-server")
    assert answer.json() == op.metadata


async def nothing_is_advertised_that_does_not_answer(op: Op) -> None:
    """An endpoint without its parameters is a 4xx of its own, and no 404."""
    for name, address in op.metadata.items():
        if name.endswith("_endpoint"):
            answer = await op.http.post(address)
            assert answer.status_code in range(200, 500), name
            assert answer.status_code != 404, name


MODULES = (discovery, both_addresses, nothing_is_advertised_that_does_not_answer)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
async def test_config(suite: Suite, module: Any) -> None:
    await suite.run(module)


async def test_the_tenants_share_no_key_and_no_address(suite: Suite) -> None:
    seen: list[tuple[set[str], set[str]]] = []

    async def look(op: Op) -> None:
        kids = {key["kid"] for key in (await op.keys())["keys"]}
        seen.append((kids, {value for value in op.metadata.values() if isinstance(value, str)}))

    await suite.run(look)
    for (keys, addresses), (other_keys, other_addresses) in combinations(seen, 2):
        assert not keys & other_keys
        assert not addresses & other_addresses
