"""How a client's refresh tokens live (Auth0's `refresh_token` object on the client).

Rotation is the default, and compulsory for public clients (RFC 9700 section 4.14.2). A FAPI client, whose tokens belong
to its key, does without unless it says otherwise (FAPI 2.0 Security Profile section 5.3.2.1). The leeway is for the
answer that got lost: within that many seconds of a token's first use it may be presented again, and each time yields a
sibling. After that, a second use is theft, and ends the family. Without a leeway every second use is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenant_runtime.configuration import ClientConfiguration

TOKEN_LIFETIME = 30 * 86400
IDLE_LIFETIME = 15 * 86400


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    rotates: bool
    leeway_ms: int
    lifetime_ms: int | None
    idle_lifetime_ms: int | None

    def expires_at(self, now_ms: int) -> int | None:
        return None if self.lifetime_ms is None else now_ms + self.lifetime_ms

    def idle_expires_at(self, now_ms: int) -> int | None:
        return None if self.idle_lifetime_ms is None else now_ms + self.idle_lifetime_ms


def refresh_policy(client: ClientConfiguration) -> RefreshPolicy:
    stored = client.refresh_token
    ends = stored.get("expiration_type", "expiring") != "non-expiring"
    return RefreshPolicy(
        rotates=rotates(stored, is_public=client.is_public, is_fapi=client.is_fapi),
        leeway_ms=_milliseconds(stored, "leeway", 0),
        lifetime_ms=_milliseconds(stored, "token_lifetime", TOKEN_LIFETIME)
        if ends and not stored.get("infinite_token_lifetime")
        else None,
        idle_lifetime_ms=_milliseconds(stored, "idle_token_lifetime", IDLE_LIFETIME)
        if ends and not stored.get("infinite_idle_token_lifetime")
        else None,
    )


def rotates(stored: Mapping[str, Any], *, is_public: bool, is_fapi: bool) -> bool:
    usual = "non-rotating" if is_fapi else "rotating"
    return is_public or bool(stored.get("rotation_type", usual) != "non-rotating")


def _milliseconds(stored: Mapping[str, Any], name: str, default: int) -> int:
    seconds = stored.get(name)
    return (seconds if isinstance(seconds, int) and seconds >= 0 else default) * 1000
