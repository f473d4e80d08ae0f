"""Standard Webhooks: three headers that say which message it is, when it was sent, and that we sent it.

A secret that was rotated signs beside the new one for a day, so that a receiver can change over meanwhile.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

PREFIX = "whsec_"
ROTATED_FOR_MS = 86_400_000
_BYTES = 32


def new_signing_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")


def signed_headers(signers: Sequence[str], id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """`sent_at` in seconds: a receiver refuses what is older than five minutes, so that nothing is replayed to it."""
    signed = f"{id}.{sent_at}.".encode() + body
    signatures = (base64.b64encode(_mac(secret, signed)).decode("ascii") for secret in signers)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _mac(secret: str, signed: bytes) -> bytes:
    return hmac.new(base64.b64decode(secret.removeprefix(PREFIX)), signed, sha256).digest()
