"""Both counts of a sign-in by password, as one unit sees them: of the account, and of the address that asks."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from tenant_runtime.attack_protection import brute_force, suspicious_addresses
from tenant_runtime.attack_protection.brute_force import Attempt
from tenant_runtime.attack_protection.documents import BRUTE_FORCE, SUSPICIOUS_IP, BruteForce, SuspiciousIp
from tenant_runtime.configuration import Configuration

Counts = Literal["account", "address"]


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules that one request is under, and whence it comes."""

    brute_force: BruteForce
    suspicious_ip: SuspiciousIp
    ip: str

    @classmethod
    def of(cls, current: Configuration, ip: str) -> "Guard":
        documents = current.documents
        return cls(documents.value(BRUTE_FORCE), documents.value(SUSPICIOUS_IP), ip)

    def without_account_counts(self) -> "Guard":
        """Where a connection says that its accounts are protected elsewhere."""
        return replace(self, brute_force=msgspec.structs.replace(self.brute_force, enabled=False))


@dataclass(frozen=True, slots=True)
class Counted:
    """`refused_until`: 0, if the attempt was let through; else which of the two counts refuses it."""

    attempt: Attempt = field(default_factory=Attempt)
    refused_until: int = 0
    refused_by: Counts = "account"


def begin(connection: Connection, guard: Guard, subject: str, user: Any | None, now: int) -> Counted:
    """What one of the two refuses counts with neither."""
    wait = suspicious_addresses.take(connection, guard.suspicious_ip, "login", guard.ip, now)
    if wait:
        return Counted(refused_until=now + wait, refused_by="address")
    attempt = brute_force.begin(connection, guard.brute_force, subject, user, guard.ip, now)
    if attempt.refused_until:
        suspicious_addresses.give_back(connection, guard.suspicious_ip, "login", guard.ip)
    return Counted(attempt, attempt.refused_until)


def succeed(connection: Connection, guard: Guard, counted: Counted) -> None:
    """The password was right: its attempt is taken back."""
    brute_force.succeed(connection, counted.attempt)
    suspicious_addresses.give_back(connection, guard.suspicious_ip, "login", guard.ip)
