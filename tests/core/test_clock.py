import time

from core.clock import SystemClock, now_ms, to_iso


class Stopped:
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


def test_the_system_clock_is_the_time_of_day() -> None:
    assert abs(SystemClock().now() - time.time()) < 1


def test_columns_hold_whole_milliseconds() -> None:
    assert now_ms(Stopped(1767323045.6789)) == 1767323045678


def test_iso_times_have_milliseconds_always_and_sort_as_times_do() -> None:
    moments = [0, 1, 999, 1000, 1767323045678, 1767323045700]
    texts = [to_iso(ms) for ms in moments]
    assert texts == sorted(texts)
    assert texts[0] == "1970-01-01T00:00:00.000Z"
    assert to_iso(1767323045678) == "2026-01-02T03:04:05.678Z"
