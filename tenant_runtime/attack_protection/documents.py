"""The three documents, with Auth0's names and defaults. Every member is what the flows do."""

from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from core.http.networks import Network
from tenant_runtime.documents import Document

Shield = Literal["block", "user_notification", "admin_notification"]
Allowlist = tuple[str, ...]
Attempts = Annotated[int, Meta(ge=1, le=100)]
Frequency = Literal["immediately", "daily", "weekly", "monthly"]


class BruteForce(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = True
    shields: tuple[Literal["block", "user_notification"], ...] = ("block", "user_notification")
    mode: Literal["count_per_identifier", "count_per_identifier_and_ip"] = "count_per_identifier_and_ip"
    allowlist: Allowlist = ()
    max_attempts: Attempts = 10


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """`rate`: milliseconds after which one attempt more is granted."""

    max_attempts: Annotated[int, Meta(ge=0, le=100_000)]
    rate: Annotated[int, Meta(ge=0, le=86_400_000)]


class ThrottledStages(msgspec.Struct, frozen=True, kw_only=True):
    login: Throttle = field(default=Throttle(max_attempts=100, rate=864_000), name="pre-login")
    registration: Throttle = field(default=Throttle(max_attempts=50, rate=1200), name="pre-user-registration")


class SuspiciousIp(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = True
    shields: tuple[Literal["block", "admin_notification"], ...] = ("admin_notification", "block")
    allowlist: Allowlist = ()
    stage: ThrottledStages = ThrottledStages()


class ShieldedStage(msgspec.Struct, frozen=True, kw_only=True):
    shields: tuple[Literal["block", "admin_notification"], ...] = ()


class ShieldedStages(msgspec.Struct, frozen=True, kw_only=True):
    registration: ShieldedStage = field(default=ShieldedStage(), name="pre-user-registration")
    change: ShieldedStage = field(default=ShieldedStage(), name="pre-change-password")


class BreachedPasswords(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = False
    shields: tuple[Shield, ...] = ()
    admin_notification_frequency: tuple[Frequency, ...] = ()
    method: Literal["standard"] = "standard"
    stage: ShieldedStages = ShieldedStages()


BRUTE_FORCE = Document("attack_protection:brute-force-protection", BruteForce)
SUSPICIOUS_IP = Document("attack_protection:suspicious-ip-throttling", SuspiciousIp)
BREACHED_PASSWORDS = Document("attack_protection:breached-password-detection", BreachedPasswords)


@lru_cache(256)
def networks(allowlist: Allowlist) -> tuple[Network, ...]:
    """A row that another release wrote may hold what this one does not read: it lets nobody through."""
    found: list[Network] = []
    for text in allowlist:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(found)
