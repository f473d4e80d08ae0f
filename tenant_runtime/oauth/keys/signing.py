"""Which key signs: one per algorithm and tenant, made when an API or a client first asks for its algorithm.

RS256 is there from the tenant's first day. The others (an API's `signing_alg`, a client's `jwt_configuration.alg`)
cost a key and a published entry, so they wait until they are used. The key is stored and published before it signs:
a verifier that meets its `kid` finds it in the key set. Whoever signs or shows the key set also does what has become
due in the life of the keys (`life`); no tenant has a timer.
"""

import structlog

from core.crypto.keys import SigningKey
from core.errors import Unavailable
from core.tenants import Tenant
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.keys import changes as key_changes

DEFAULT = "RS256"
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""What is signed with, and all that is accepted of tokens of our own."""

_log = structlog.get_logger(__name__)


async def signing_key(
    tenant: Tenant, services: Services, current: Configuration, algorithm: str | None, now_ms: int
) -> SigningKey:
    """An algorithm that is not ours to use is answered with the default: every verifier knows that one."""
    wanted = algorithm if algorithm in ALGORITHMS else DEFAULT
    if current.keys.timetable.is_due(now_ms):
        current = await advanced(tenant, current, now_ms)
    key = current.keys.signing.get(wanted)
    if key is not None:
        return key
    new = await key_changes.NewKey.make(services.keys, tenant.data_key, wanted, now_ms)
    await tenant.database.write(key_changes.ensure_current, tenant.data_key, new, now_ms)
    return (await configuration(tenant)).keys.signing[wanted]


async def advanced(tenant: Tenant, current: Configuration, now_ms: int) -> Configuration:
    """The configuration after whatever was due is done. A database that cannot be written costs nobody a token: the
    keys at hand are good, and the next one tries again."""
    event = Event(type=key_changes.EVENT, created_at=now_ms, description="Keys moved on in their lives")
    try:
        await tenant.database.write(key_changes.advance, tenant.data_key, event)
        return await configuration(tenant)
    except Unavailable:
        _log.warning("signing_keys_not_advanced", tenant=tenant.id, exc_info=True)
        return current
