"""Waiting for a state: a test never says how fast a machine is."""

import asyncio
from collections.abc import Awaitable, Callable, Sized
from typing import Any

LONGEST_SECONDS = 120
"""Not a promise of anything: what has not come by then does not come."""


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Ask again until it holds."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while not await condition():
            await asyncio.sleep(0.05)


def under_way(answered: Sized, more: int) -> Callable[[], Awaitable[bool]]:
    """So many more were answered than when this was called: a kill after it meets work being done."""
    wanted = len(answered) + more

    async def there() -> bool:
        return len(answered) >= wanted

    return there
