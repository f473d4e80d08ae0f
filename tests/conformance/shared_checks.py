"""What every module of the OpenID Foundation's suite looks at on its way, once for all."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
from joserfc import jwk, jws

DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
TOKEN_ERRORS = {
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope", "invalid_target", "invalid_dpop_proof", "use_dpop_nonce", "access_denied",
}  # fmt: skip
CALLBACK_MEMBERS = {"code", "state", "iss", "error", "error_description", "error_uri"}
STRONG_BITS = 96


def entropy(text: str) -> float:
    """Shannon's, of the characters: what the suite measures."""
    counts = Counter(text)
    return -sum(n * math.log2(n / len(text)) for n in counts.values())


def check_callback(parameters: Mapping[str, str], *, issuer: str, state: str | None) -> None:
    assert set(parameters) <= CALLBACK_MEMBERS, parameters
    assert parameters["iss"] == issuer
    assert parameters.get("state") == state
    if "error" in parameters:
        assert "code" not in parameters
        assert DESCRIPTION.fullmatch(parameters.get("error_description", ""))
    else:
        assert entropy(parameters["code"]) >= STRONG_BITS
        assert TOKEN.fullmatch(parameters["code"])


def check_token_answer(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert "no-store" in answer.headers["cache-control"]
    body: dict[str, Any] = answer.json()
    assert body["token_type"].lower() in ("bearer", "dpop")
    assert isinstance(body.get("expires_in", 0), int)
    for name in ("access_token", "refresh_token"):
        if name in body:
            assert TOKEN.fullmatch(body[name])
            assert entropy(body[name]) >= STRONG_BITS
    return body


def check_token_error(answer: httpx.Response, *errors: str) -> str:
    assert answer.status_code == 400 or (
        answer.status_code == 401 and answer.json()["error"] == "invalid_client"
    ), answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body["error"] in TOKEN_ERRORS
    assert DESCRIPTION.fullmatch(body.get("error_description", ""))
    if errors:
        assert body["error"] in errors, body
    if answer.status_code == 401:
        assert "www-authenticate" in answer.headers
    return str(body["error"])


def check_key_set(document: Mapping[str, Any]) -> None:
    keys = document["keys"]
    kids = [key["kid"] for key in keys]
    assert len(set(kids)) == len(kids) > 0
    for key in keys:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys()
        assert key["use"] == "sig"
        jwk.import_key(key)


def check_signature(token: str, keys: Mapping[str, Any], algorithms: tuple[str, ...]) -> dict[str, Any]:
    """By a published key that its header names; answers the claims."""
    found = jws.deserialize_compact(token, jwk.KeySet.import_key_set(keys), algorithms=list(algorithms))
    header = found.headers()
    assert header["kid"] in {key["kid"] for key in keys["keys"]}
    return dict(json.loads(found.payload))


def check_id_token(
    claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str | None, now: float
) -> None:
    assert claims["iss"] == issuer
    assert claims["aud"] == client_id
    assert claims.get("azp", client_id) == client_id
    assert isinstance(claims["exp"], int)
    assert isinstance(claims["iat"], int)
    assert abs(claims["iat"] - now) < 60
    assert claims["exp"] > now
    assert isinstance(claims["sub"], str)
    assert 0 < len(claims["sub"]) <= 255
    assert claims.get("nonce") == nonce
    check_claims(claims)


def check_claims(claims: Mapping[str, Any]) -> None:
    for name in ("email_verified", "phone_number_verified"):
        assert isinstance(claims.get(name, False), bool)
    assert isinstance(claims.get("updated_at", 0), int | float)
    assert isinstance(claims.get("address", {}), dict)
    for name in (
        "name",
        "given_name",
        "family_name",
        "nickname",
        "email",
        "phone_number",
        "zoneinfo",
        "locale",
    ):
        assert isinstance(claims.get(name, ""), str)
