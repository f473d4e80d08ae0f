import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from core.failpoints import EXIT_STATUS, FailpointReached, configure, failpoint, parse


@pytest.fixture(autouse=True)
def _off_afterwards() -> Iterator[None]:
    yield
    configure("")


def test_off_they_do_nothing_and_cost_nearly_nothing() -> None:
    started = time.process_time()
    for _ in range(100_000):
        failpoint("apply")
    assert time.process_time() - started < 0.5


def test_raise_raises_every_time_and_only_at_its_name() -> None:
    configure("apply=raise")
    failpoint("commit")
    for _ in range(2):
        with pytest.raises(FailpointReached):
            failpoint("apply")


def test_a_count_means_that_time_only() -> None:
    configure("apply=raise@3")
    failpoint("apply")
    failpoint("apply")
    with pytest.raises(FailpointReached):
        failpoint("apply")
    failpoint("apply")


def test_sleep_waits() -> None:
    configure("apply=sleep:0.05; other=raise")
    started = time.monotonic()
    failpoint("apply")
    assert time.monotonic() - started >= 0.05


def test_exit_ends_the_process_at_once_with_a_status_of_its_own() -> None:
    program = (
        "from core.failpoints import configure, failpoint; configure('a=exit@2'); failpoint('a');"
        "print(1, flush=True); failpoint('a')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert (done.returncode, done.stdout) == (EXIT_STATUS, b"1\n")


@pytest.mark.parametrize(
    "text", ["a", "a=", "=exit", "a=jump", "a=sleep", "a=exit:3", "a=sleep:x", "a=exit@x"]
)
def test_malformed_ones_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="failpoint"):
        parse(text)
