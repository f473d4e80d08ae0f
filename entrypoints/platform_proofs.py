"""Proofs of possession at the platform API: remembered, and given their nonces, where tenant one's own are.

So a proof counts once in all processes, and one nonce is good for everything on the control plane's host.
"""

from core.errors import InvalidDpopProof
from core.tenants import Directory
from keystead_sdk.dpop import NonceVerdict
from tenant_runtime.oauth.dpop.proofs import judge_nonce, use_of
from tenant_runtime.oauth.single_use import claim


class PlatformProofs:
    """The SDK's `ReplayMemory` and `NonceSource`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def is_first(self, key_thumbprint: str, proof_id: str, *, now: float, until: float) -> bool:
        one = await self._directory.control_plane()
        try:
            await one.database.write(claim, (use_of(key_thumbprint, proof_id, until),))
        except InvalidDpopProof:
            return False
        return True

    async def judge(self, nonce: str | None, now: float) -> NonceVerdict:
        one = await self._directory.control_plane()
        return NonceVerdict(*judge_nonce(one.data_key, nonce, now))
