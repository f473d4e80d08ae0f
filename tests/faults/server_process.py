"""What a server's process runs. It is forked from one that has imported everything, which is most of a start."""

import resource
from collections.abc import Mapping

from tests.forks import run


def serve(environment: Mapping[str, str], log: str, handles: int) -> None:
    if handles:
        resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))
    run(["serve"], environment, log, log)
