"""What the environment has installed for this process to use: entry points, looked for once."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from core.settings import SettingsError


@cache
def only_entry_point(group: str) -> Any:
    """Nobody may choose between two."""
    found = list(entry_points(group=group))
    if len(found) > 1:
        names = ", ".join(point.value for point in found)
        raise SettingsError(f"More than one entry point is installed for {group}: {names}. Keep one.")
    return found[0].load() if found else None


@cache
def installed_hooks() -> tuple[Any, ...]:
    """In the order of their names. A class stands for one of it."""
    points = sorted(entry_points(group="keystead.organization_hooks"), key=lambda point: point.name)
    loaded = (point.load() for point in points)
    return tuple(each() if isinstance(each, type) else each for each in loaded)
