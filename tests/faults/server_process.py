"""What a server's process runs. It is forked from one that has imported everything, which is most of a start."""

import os
import resource
import sys
from collections.abc import Mapping


def serve(environment: Mapping[str, str], log: str, handles: int) -> None:
    if handles:
        resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    from entrypoints.cli import main

    sys.exit(main(["serve"]))
