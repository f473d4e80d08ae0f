"""Values as the client expects them in JSON."""

from datetime import UTC, datetime

from litestar import MediaType, Response


def date(milliseconds: int) -> str:
    """ISO 8601 in UTC with milliseconds: what the client turns into a `Date`."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_or_none(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else date(milliseconds)


def answer_null() -> Response[bytes]:
    """The four bytes that the client reads as nothing; the framework would send none."""
    return Response(b"null", media_type=MediaType.JSON)
