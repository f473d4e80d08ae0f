"""Values as the client expects them in JSON."""

from datetime import UTC, datetime


def date(milliseconds: int) -> str:
    """ISO 8601 in UTC with milliseconds: what the client turns into a `Date`."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_or_none(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else date(milliseconds)
