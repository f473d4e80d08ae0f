"""Moments that rows wait for, by a clock that may have been wrong when they were written."""

from sqlalchemy import ColumnElement, or_

from core.clock import LEEWAY_MS


def is_past(moment: ColumnElement[int], now: int | ColumnElement[int], longest: int) -> ColumnElement[bool]:
    """Also one further away than the `longest` wait (milliseconds): it was written while the clock was ahead."""
    return or_(moment <= now, moment > now + longest + LEEWAY_MS)
