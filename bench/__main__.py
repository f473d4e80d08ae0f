"""The command: `python -m bench [--quick] [--only W1,W4] [--synchronous FULL|NORMAL] [--json FILE]`."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from bench.plan import FULL, QUICK
from bench.run import measure_all
from bench.table import Row, rendered

KNOWN = ("W1", "W2", "W3", "W4", "W5", "W6", "W8", "W9", "W10", "W11", "W12", "W13", "W14", "ENGINES")


def main() -> int:
    options = _parser().parse_args()
    plan = QUICK if options.quick else FULL
    if options.full_fleet:
        plan = msgspec.structs.replace(plan, sizes=(*plan.sizes, 10_000))
    began = time.monotonic()
    rows: list[Row] = []
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="keystead-bench-") as folder:
        try:
            uvloop.run(measure_all(Path(folder), plan, options.only, options.synchronous, rows))
        finally:
            _report(rows, options.json, options.synchronous, time.monotonic() - began)
    return 0


def _interrupt(*_: object) -> None:
    """Stopped from outside as from the keyboard: what was started is stopped, what is known is printed."""
    raise KeyboardInterrupt


def _report(rows: list[Row], file: Path | None, synchronous: str, seconds: float) -> None:
    print(rendered(rows))
    print(f"\nSQLite synchronous {synchronous}; {seconds:.0f} s. How to read this: bench/README.md")
    if file is not None:
        report = {"synchronous": synchronous, "seconds": seconds, "rows": [row.as_json() for row in rows]}
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What each operation costs.")
    parser.add_argument("--quick", action="store_true", help="a glance, under a minute")
    parser.add_argument("--only", type=_workloads, default=frozenset(KNOWN), help="such as W1,W4")
    parser.add_argument(
        "--synchronous", choices=("FULL", "NORMAL"), default="FULL", help="SQLite's durability"
    )
    parser.add_argument("--full-fleet", action="store_true", help="go on to 10,000 tenants (half an hour)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    return parser


def _workloads(text: str) -> frozenset[str]:
    named = frozenset(word.strip().upper() for word in text.split(","))
    if not named <= set(KNOWN):
        raise argparse.ArgumentTypeError(f"the workloads are {', '.join(KNOWN)}")
    return named


if __name__ == "__main__":
    sys.exit(main())
