"""Which options are secrets, and where they are kept: sealed, in a column of their own, and shown to nobody.

A tenant's own are sealed with its data key. Tenant one's are sealed with the key that all tenants' runtimes share and
no tenant's database holds: the row that travels is the same everywhere, and no tenant can read it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from core.crypto.sealing import SealBroken
from core.tenants import Tenant

_PLACE = ("connections", "secrets")
_NAMES = frozenset(
    {
        "access_token",
        "api_key",
        "apikey",
        "auth_token",
        "authorization",
        "decryption_key",
        "decryptionkey",
        "password",
        "private_key",
        "privatekey",
        "refresh_token",
        "signing_key",
        "signingkey",
        "smtp_pass",
        "token",
        "twilio_token",
    }
)
HOLDERS = frozenset({"configuration", "customheaders", "custom_headers"})
"""Of scripts, and of requests to a provider: whatever stands in them, by names of the tenant's own."""

Options = Mapping[str, Any]
Secrets = Mapping[str, Any]
"""By path: `client_secret`, `gateway_authentication.secret`."""


def is_secret(name: str) -> bool:
    plain = name.lower().lstrip("_")
    return plain in _NAMES or plain in HOLDERS or plain.endswith("secret")


def split(options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    """What may be shown, and the secrets. One that is null or empty is none."""
    secrets = dict(_secrets(options, ""))
    return _shown(options), secrets


def named_secrets(options: Options, prefix: str = "") -> frozenset[str]:
    """Paths that are given, those that are taken away included."""
    found = {f"{prefix}{name}" for name in options if is_secret(name)}
    for name, value in options.items():
        if isinstance(value, Mapping) and not is_secret(name):
            found |= named_secrets(value, f"{prefix}{name}.")
    return frozenset(found)


def are_in_lists(value: Any, *, is_within: bool = False) -> bool:
    """A place in a list is no path, so a secret in one could neither be sealed nor kept."""
    match value:
        case Mapping():
            return any(
                bool(item) and is_within if is_secret(name) else are_in_lists(item, is_within=is_within)
                for name, item in value.items()
            )
        case list():
            return any(are_in_lists(item, is_within=True) for item in value)
    return False


def seal(tenant: Tenant, connection_id: str, secrets: Secrets) -> bytes | None:
    if not secrets:
        return None
    key = tenant.shared_key if tenant.is_control_plane else tenant.data_key
    return key.seal(msgspec.json.encode(secrets, order="sorted"), *_PLACE, connection_id)


def open_secrets(tenant: Tenant, connection_id: str, sealed: bytes | None) -> dict[str, Any]:
    """For the runtime. A copy that became the tenant's own, because its kind is not shared any more, is still sealed as
    it came. What does not open is not there."""
    if sealed is None:
        return {}
    keys = (tenant.shared_key,) if tenant.is_control_plane else (tenant.data_key, tenant.shared_key)
    for key in keys:
        try:
            found: dict[str, Any] = msgspec.json.decode(key.open(bytes(sealed), *_PLACE, connection_id))
        except SealBroken:
            continue
        return found
    return {}


def _secrets(options: Options, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if is_secret(name):
            if value:
                yield f"{prefix}{name}", value
        elif isinstance(value, Mapping):
            yield from _secrets(value, f"{prefix}{name}.")


def _shown(options: Options) -> dict[str, Any]:
    return {
        name: _shown(value) if isinstance(value, Mapping) else value
        for name, value in options.items()
        if not is_secret(name)
    }
