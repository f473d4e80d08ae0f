"""What comes of a call."""

from collections.abc import Mapping
from dataclasses import dataclass, field


class OutboundFailed(Exception):
    """Nothing useful came: no connection, no answer in time, too long an answer. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: Mapping[str, str]
    """By names in small letters; of several with one name, the last."""

    body: bytes = field(repr=False)
