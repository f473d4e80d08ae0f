"""Processes that begin with everything imported, which is most of a start: forked from one that has done so."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

from tests.serving import QUICK

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["__main__", "tests.forks", "tests.faults.server_process", "entrypoints.commands"]
)


def command(
    *arguments: str, environ: Mapping[str, str] | None = None, timeout: float = 120
) -> CompletedProcess[str]:
    """Run `keystead` to its end, as `tests.serving.command` does in a fresh interpreter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEAD_")}
    with TemporaryDirectory(prefix="keystead-command-") as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        environment = {**kept, **QUICK, **(environ or {})}
        process = FORKS.Process(target=run, args=(arguments, environment, str(output), str(errors)))
        process.start()
        process.join(timeout)
        status = process.exitcode
        if status is None:
            process.kill()
            process.join()
        assert status is not None, f"{arguments} does not end"
        return CompletedProcess(arguments, status, output.read_text(), errors.read_text())


def run(arguments: Sequence[str], environment: Mapping[str, str], output: str, errors: str) -> None:
    for path, descriptor in ((output, 1), (errors, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    from entrypoints.cli import main

    sys.exit(main(arguments))
