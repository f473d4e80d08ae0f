"""`keystead migrate`: bring every tenant to this release's schema, in waves, while servers run or not.

The command is a worker of the run like any server, in its own process: it may be stopped and started again. It ends
with 0 when nobody is behind, with 3 when the run has stopped.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

STOPPED = 3
BAR = 30


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("migrate", help="bring all tenants to this release's schema, in waves")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="say how far it is, and do nothing")
    what.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    what.add_argument("--resume", action="store_true", help="go on after a stop, without what failed")
    what.add_argument("--retry", action="store_true", help="go on after a stop, and try again what failed")
    what.add_argument("--stop", metavar="REASON", help="begin nothing new, wherever the run is worked on")
    what.add_argument("--hold", metavar="TENANT", help="keep a tenant at its schema; needs --reason")
    what.add_argument("--release", metavar="TENANT", help="let it go again")
    what.add_argument("--rollback", metavar="TENANT", help="put its snapshot back, and keep it there")
    parser.add_argument("--reason", help="why a tenant is held back")
    parser.add_argument("--json", action="store_true", help="print JSON, a line for each change")
    parser.add_argument("--data", type=Path, help="the data folder (KEYSTEAD_DATA_DIR)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.hold and not options.reason:
        print("keystead: --hold needs --reason: somebody will ask.", file=sys.stderr)
        return 2
    from core.failpoints import configure
    from core.logs import configure_logs
    from core.settings import Settings
    from entrypoints.migrating import Asked, Failed, run

    given = {"data_dir": options.data} if options.data is not None else {}
    settings = Settings.from_env(os.environ, **given)
    configure_logs("error")  # what becomes of each tenant is said at the end
    configure(settings.failpoints)
    tenant = options.hold or options.release or options.rollback
    asked = Asked(action=_action(options), tenant=tenant, reason=options.reason or options.stop or "")
    show = _Show(as_json=options.json, on_terminal=sys.stderr.isatty())
    try:
        overview = run(settings, asked, show.progress)
    except Failed as error:
        show.end()
        print(f"keystead: {error}", file=sys.stderr)
        return 1
    show.end()
    show.overview(overview)
    run_now = overview["migration"]
    return STOPPED if run_now is not None and run_now["state"] == "stopped" else 0


def _action(options: argparse.Namespace) -> str:
    names = ("status", "dry_run", "resume", "retry", "stop", "hold", "release", "rollback")
    return next((name for name in names if getattr(options, name)), "run")


class _Show:
    def __init__(self, *, as_json: bool, on_terminal: bool) -> None:
        self._as_json = as_json
        self._on_terminal = on_terminal
        self._last: Any = None

    def progress(self, run: dict[str, Any]) -> None:
        """A bar on a terminal, otherwise a line whenever a wave begins."""
        if self._as_json:
            self._line_of_json(run)
        elif self._on_terminal:
            print(f"\r{_bar(run)}", end="", file=sys.stderr, flush=True)
            self._last = run
        elif self._last is None or run["wave"] != self._last["wave"]:
            self._last = run
            print(f"wave {run['wave']} of {len(run['waves'])}: {_tenants(run['waves'][run['wave'] - 1])}")

    def end(self) -> None:
        if self._on_terminal and not self._as_json and self._last is not None:
            print(file=sys.stderr)

    def overview(self, overview: dict[str, Any]) -> None:
        if self._as_json:
            _print_json(overview)
        else:
            print("\n".join(table(overview)))

    def _line_of_json(self, run: dict[str, Any]) -> None:
        if run != self._last:
            self._last = run
            _print_json({"migration": run})


def _bar(run: dict[str, Any]) -> str:
    counts, total = run["tenants"], sum(run["waves"])
    done = total - counts["pending"] - counts["migrated"]
    filled = BAR * done // max(1, total)
    wave = f"wave {run['wave']}/{len(run['waves'])}"
    failed = f"  {counts['failed']} failed" if counts["failed"] else ""
    return f"[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}  {wave}{failed}\x1b[K"


def table(overview: dict[str, Any]) -> list[str]:
    """Tenants by version, the run, and whoever needs somebody to look."""
    lines = ["version  tenants"]
    for version, count in overview["versions"].items():
        wanted = "  (this release)" if version == overview["target"] else ""
        lines.append(f"{version:<7}  {count:>7}{wanted}")
    planned = overview.get("planned")
    if planned is not None:
        waves = ", ".join(map(str, planned["waves"])) or "none"
        lines.append(f"to do: {_tenants(planned['tenants'])}, in waves of {waves}")
    run = overview["migration"]
    if run is not None:
        counts = ", ".join(f"{count} {name}" for name, count in run["tenants"].items() if count)
        reason = f" ({run['reason']})" if run["reason"] else ""
        lines.append(f"migration {run['id']}: {run['state']}{reason}; {counts}")
    lines += [f"  failed  {item['tenant_id']}: {item['error']}" for item in overview["failed"]]
    lines += [f"  held    {item['tenant_id']}: {item['held']}" for item in overview["held"]]
    return lines


def _tenants(count: int) -> str:
    return "one tenant" if count == 1 else f"{count} tenants"


def _print_json(value: Any) -> None:
    import msgspec

    print(msgspec.json.encode(value).decode(), flush=True)
