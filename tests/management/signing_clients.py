"""Clients that prove themselves by keys, as bodies of the Management API."""

from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.crypto.keys import SigningKey
from tests.management.world import Place

WEB = {"name": "Web", "app_type": "regular_web", "callbacks": ["https://app.example.com/callback"]}
BY_KEY = {**WEB, "token_endpoint_auth_method": "private_key_jwt"}
FAPI = "fapi2_sp_pkj_dpop"
KEYS = {alg: SigningKey.generate(alg) for alg in ("RS256", "PS256", "ES256", "EdDSA")}
KEY = KEYS["ES256"]


def pem(key: SigningKey) -> str:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwks(*keys: SigningKey) -> dict[str, Any]:
    return {"keys": [dict(key.public_jwk) for key in keys]}


async def made(place: Place, **more: Any) -> tuple[str, dict[str, Any]]:
    client = await place.api().made("/clients", {**BY_KEY, **more})
    return f"/clients/{client['client_id']}", client
