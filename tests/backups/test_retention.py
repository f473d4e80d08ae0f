"""Which scheduled backups are kept: the newest, a day's worth, then one a day and one a week."""

from datetime import UTC, datetime, timedelta

from provisioning.backups.retention import expired

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def kept(times: list[datetime], *, daily: int = 3, weekly: int = 2) -> list[datetime]:
    by_id = {f"b{place}": at for place, at in enumerate(times)}
    gone = expired([(id, ms(at)) for id, at in by_id.items()], ms(NOW), daily=daily, weekly=weekly)
    return sorted((at for id, at in by_id.items() if id not in gone), reverse=True)


def test_everything_of_the_last_day_is_kept() -> None:
    hourly = [ago(hours=hours) for hours in range(24)]
    assert kept(hourly, daily=0, weekly=0) == hourly


def test_of_older_days_and_weeks_the_newest_one_is_kept() -> None:
    every_six_hours = [ago(hours=6 * step) for step in range(4 * 40)]
    assert kept(every_six_hours) == [
        *(ago(hours=hours) for hours in (0, 6, 12, 18)),
        datetime(2026, 6, 15, 18, tzinfo=UTC),  # the third of three days
        datetime(2026, 6, 14, 18, tzinfo=UTC),  # a Sunday: the second of two weeks
    ]


def test_the_newest_is_kept_however_old_it_is() -> None:
    assert kept([ago(days=400), ago(days=401)], daily=0, weekly=0) == [ago(days=400)]


def test_days_without_a_backup_do_not_count() -> None:
    times = [ago(days=10), ago(days=30), ago(days=60), ago(days=90)]
    assert kept(times, daily=3, weekly=0) == times[:3]


def test_nothing_is_kept_of_nothing() -> None:
    assert expired([], ms(NOW), daily=7, weekly=4) == []
