"""Which key signs: one per algorithm and tenant, made when an API or a client first asks for its algorithm.

RS256 is there from the tenant's first day. The others (an API's `signing_alg`, a client's `jwt_configuration.alg`)
cost a key and a published entry, so they wait until they are used. The key is stored and published before it signs:
a verifier that meets its `kid` finds it in the key set.
"""

from sqlalchemy import Connection, bindparam, insert, select

from core.crypto.keys import SigningKey
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.models import SigningKeyRow

DEFAULT = "RS256"
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""What is signed with, and all that is accepted of tokens of our own."""

_k = SigningKeyRow.__table__.c
_CURRENT = select(_k.kid).where(_k.alg == bindparam("alg"), _k.state == "current")
_INSERT = insert(SigningKeyRow.__table__)


async def signing_key(
    tenant: Tenant, services: Services, current: Configuration, algorithm: str | None, now_ms: int
) -> SigningKey:
    """An algorithm that is not ours to use is answered with the default: every verifier knows that one."""
    wanted = algorithm if algorithm in ALGORITHMS else DEFAULT
    key = current.keys.signing.get(wanted)
    if key is not None:
        return key
    made = await _new_key(services, wanted)
    sealed = tenant.data_key.seal(made.to_der(), "signing_keys", "private_key", made.kid)
    await tenant.database.write(_store, made, sealed, now_ms)
    return (await configuration(tenant)).keys.signing[wanted]


async def _new_key(services: Services, algorithm: str) -> SigningKey:
    if algorithm.startswith(("RS", "PS")):
        spare = await services.keys.claim()
        return SigningKey.from_der(None, algorithm, spare.to_der())
    return SigningKey.generate(algorithm)


def _store(connection: Connection, key: SigningKey, sealed: bytes, now_ms: int) -> None:
    """The first one wins, whoever else made one meanwhile."""
    if connection.execute(_CURRENT, {"alg": key.alg}).first() is not None:
        return
    row = {
        "kid": key.kid,
        "alg": key.alg,
        "state": "current",
        "public_jwk": dict(key.public_jwk),
        "private_key": sealed,
        "created_at": now_ms,
        "activated_at": now_ms,
    }
    connection.execute(_INSERT, row)
