"""The floor as a process."""

import time
from pathlib import Path

from bench import floor
from bench.installation import first_answer
from bench.processes import Program, clean_environment, free_port

HOST = "floor.localhost"


class BareProgram:
    """The floor's data and the process that serves it."""

    def __init__(self, folder: Path, synchronous: str) -> None:
        self.bare = floor.prepare(folder)
        self.port = free_port()
        self._log = folder / "floor.log"
        self._environ = clean_environment(
            **{floor.DATA_VARIABLE: str(folder), floor.SYNCHRONOUS_VARIABLE: synchronous}
        )
        self.program = self._start()

    def restart(self) -> float:
        """Answers the seconds from the start to the first answer."""
        self.program.stop()
        began = time.perf_counter()
        self.program = self._start()
        return time.perf_counter() - began

    def stop(self) -> None:
        self.program.stop()

    def _start(self) -> Program:
        program = Program.start(floor.command(self.port), self._environ, self._log)
        first_answer(program, self.port, HOST, time.perf_counter())
        return program
