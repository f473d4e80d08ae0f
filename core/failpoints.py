"""Places where a test may make the process die, raise or wait.

`failpoint(name)` stands between the steps whose order matters (apply and commit, commit and publish). It is
one look-up in an empty dictionary unless `KEYSTEAD_FAILPOINTS` names it: `name=exit`, `name=exit@3` (the
third time only), `name=raise`, `name=sleep:2.5` (every time); several are separated by `;`. Entry points call
`configure(settings.failpoints)`.
"""

import os
import threading
import time
from dataclasses import dataclass, field

EXIT_STATUS = 86
"""What a process answers that was told to die here: a test can tell it from any other end."""

_ACTIONS = ("exit", "raise", "sleep")


class FailpointReached(RuntimeError):
    """Raised by `name=raise`; never caught by name anywhere."""


@dataclass(slots=True)
class Failpoint:
    action: str
    at: int | None = None
    seconds: float = 0.0
    passed: int = field(default=0, compare=False)


_active: dict[str, Failpoint] = {}
_lock = threading.Lock()


def parse(text: str) -> dict[str, Failpoint]:
    """Raises ValueError with a sentence."""
    return dict(_parse_one(part.strip()) for part in text.split(";") if part.strip())


def _parse_one(part: str) -> tuple[str, Failpoint]:
    name, equals, rest = part.partition("=")
    rest, at, count = rest.partition("@")
    action, colon, seconds = rest.partition(":")
    if not (name and equals) or action not in _ACTIONS or (colon != "") != (action == "sleep"):
        raise ValueError(
            f"The failpoint '{part}' is not of the form name=exit, name=raise or name=sleep:SECONDS."
        )
    try:
        return name, Failpoint(action, int(count) if at else None, float(seconds) if colon else 0.0)
    except ValueError:
        raise ValueError(f"The failpoint '{part}' has a malformed number.") from None


def configure(text: str) -> None:
    """Replace what is active; an empty text turns everything off."""
    points = parse(text)
    with _lock:
        _active.clear()
        _active.update(points)


def failpoint(name: str) -> None:
    if _active and (point := _active.get(name)) is not None:
        _reach(name, point)


def _reach(name: str, point: Failpoint) -> None:
    with _lock:
        point.passed += 1
        if point.at is not None and point.passed != point.at:
            return
    match point.action:
        case "sleep":
            time.sleep(point.seconds)
        case "raise":
            raise FailpointReached(name)
        case _:
            os._exit(EXIT_STATUS)
