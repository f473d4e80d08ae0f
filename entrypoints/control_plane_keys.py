"""Tenant one's public keys, without a network between: for tokens of operators, on every tenant and in the SDK."""

import msgspec

from core.crypto.keys import PublicKeys
from core.tenants import Directory
from keystead_sdk.keys import KeySet
from tenant_runtime.configuration import configuration
from tenant_runtime.oauth.keys.ring import KeyRing


class ControlPlaneKeys:
    """Two views of one key ring: the server's own, and the SDK's `KeySource`. Parsed once per ring."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._ring: KeyRing | None = None
        self._set = KeySet({})

    async def public_keys(self) -> PublicKeys:
        return (await self._read()).public

    async def keys(self, issuer: str, key_id: str) -> KeySet:
        ring = await self._read()
        if ring is not self._ring:
            self._set, self._ring = KeySet.from_jwks(msgspec.json.decode(ring.jwks)), ring
        return self._set

    async def _read(self) -> KeyRing:
        return (await configuration(await self._directory.control_plane())).keys
