"""The circuit breaker: who asks a database that does not answer is told so at once."""

import pytest

from core.database.remote import breaker as breakers
from core.database.remote.breaker import Breaker, CircuitOpen


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker(time)


def fail(breaker: Breaker, times: int = breakers.THRESHOLD) -> None:
    for _ in range(times):
        breaker.admit()
        breaker.failed("connection refused")


def test_single_faults_and_faults_between_successes_open_nothing(breaker: Breaker) -> None:
    for _ in range(10):
        fail(breaker, breakers.THRESHOLD - 1)
        breaker.succeeded()
    breaker.admit()
    assert not breaker.is_open


def test_faults_in_a_row_open_it_and_it_says_when_to_come_back(breaker: Breaker) -> None:
    fail(breaker)
    assert breaker.is_open
    for ask in (breaker.check, breaker.admit):
        with pytest.raises(CircuitOpen) as caught:
            ask()
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
        assert str(caught.value.__cause__) == "connection refused"


def test_after_the_pause_one_is_let_through_and_its_success_closes_it(breaker: Breaker, time: Time) -> None:
    fail(breaker)
    time.now += breakers.FIRST_PAUSE
    breaker.check()
    breaker.admit()
    with pytest.raises(CircuitOpen):
        breaker.admit()
    breaker.succeeded()
    breaker.admit()
    breaker.admit()
    assert not breaker.is_open


def test_each_probe_that_fails_makes_the_pause_longer_up_to_a_limit(breaker: Breaker, time: Time) -> None:
    fail(breaker)
    pauses = []
    for _ in range(12):
        begun = time.now
        while True:
            try:
                breaker.admit()
                break
            except CircuitOpen:
                time.now += 0.05
        pauses.append(time.now - begun)
        breaker.failed()
    assert pauses[0] <= breakers.FIRST_PAUSE + 0.1
    assert all(later > earlier for earlier, later in zip(pauses[:6:2], pauses[2:6:2], strict=False))
    assert breakers.LONGEST_PAUSE / 2 <= pauses[-1] <= breakers.LONGEST_PAUSE + 0.1


def test_a_probe_of_which_nothing_is_heard_gives_way_to_another(breaker: Breaker, time: Time) -> None:
    fail(breaker)
    time.now += breakers.FIRST_PAUSE
    breaker.admit()
    time.now += breakers.PROBE_SECONDS
    breaker.admit()
