"""F16 and F34: a tenant's database that can be read but not written, and a log that cannot take what happened."""

import io
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.conftest import serving, settings_for
from tests.faults.checks import file_of, query
from tests.faults.conftest import Ground
from tests.faults.servers import serving as serving_process
from tests.faults.test_files import caller_of, health, locked, others_are_well
from tests.operators import machine_token
from tests.relying_party import RelyingParty

pytestmark = [pytest.mark.anyio, pytest.mark.faults]


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """As a file system is after an error of its disk."""
    for step in (
        ["mount", "--bind", str(folder), str(folder)],
        ["mount", "-o", "remount,ro,bind", str(folder)],
    ):
        if subprocess.run(step, capture_output=True, check=False).returncode != 0:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
            pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_f16_what_needs_no_write_answers_and_nobody_signs_in_without_one(ground: Ground) -> None:
    acme, globex = ground.demo.tenants[:2]
    async with serving_process(ground.data) as server, server.client() as http:
        rp = RelyingParty(http, acme.issuer, acme.clients["web"], acme.api_audience, acme.users[0])
        tokens = await rp.sign_in()
        server.signal(signal.SIGKILL)  # so that its write-ahead log stays
        await server.ended()
    file = file_of(ground.data, "acme")
    sessions = query(file, "SELECT count(*) FROM sessions")
    assert {path.name.partition(".")[0] for path in file.parent.iterdir()} == {"acme"}
    with read_only(file.parent):
        async with serving_process(ground.data) as server, server.client() as http:
            for path in (".well-known/openid-configuration", ".well-known/jwks.json"):
                assert (await http.get(f"{acme.issuer}{path}")).status_code == 200, path
            refresh = RelyingParty(http, acme.issuer, acme.clients["web"], acme.api_audience, acme.users[0])
            assert (await refresh.refresh(tokens.refresh_token)).status == 503
            await refresh.authorize()
            assert refresh.landed["error"] == "temporarily_unavailable"
            other = RelyingParty(
                http, globex.issuer, globex.clients["web"], globex.api_audience, globex.users[0]
            )
            assert (await other.sign_in()).status == 200
            assert (await http.get("http://localhost:8000/health")).json() == {"status": "degraded"}
    assert query(file, "SELECT count(*) FROM sessions") == sessions
    async with serving_process(ground.data) as server, server.client() as http:
        again = RelyingParty(http, acme.issuer, acme.clients["web"], acme.api_audience, acme.users[0])
        assert (await again.refresh(tokens.refresh_token)).status == 200, "the old token was not eaten"


async def test_f34_events_that_cannot_be_written_wait_and_are_there_afterwards(
    data_dir: Path, golden: tuple[Path, Demo], logged: io.BytesIO
) -> None:
    async with serving(settings_for(data_dir, write_deadline_seconds=0.3), golden[1]) as installation:
        caller, url = await caller_of(installation, "acme")
        acme = installation.tenant("acme")
        file = file_of(data_dir, "acme")
        audit = installation.running.services.audit
        await audit.flush()
        with locked(file):
            refused = await caller.call("POST", url, {"name": "unheard of"})
            assert refused.status_code == 503, "a change that cannot be logged is not made"
            for _ in range(3):
                await machine_token(
                    installation.http, acme.issuer, acme.clients["m2m"], acme.management_audience
                )
            await audit.flush()
            await others_are_well(installation, 0.3)
            assert await health(installation) == "degraded"
        before = query(file, "SELECT count(*) FROM log_events WHERE type = 'seccft'")[0][0]
        await audit.flush()
        assert query(file, "SELECT count(*) FROM log_events WHERE type = 'seccft'")[0][0] == before + 3
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert any(line["event"] == "audit_events_wait" and line["tenant"] == "acme" for line in lines)
    assert not [line for line in lines if line["event"] == "audit_events_lost"]


async def test_f34_what_is_lost_at_last_is_counted_in_the_process_s_own_log(
    data_dir: Path, golden: tuple[Path, Demo], logged: io.BytesIO
) -> None:
    with ExitStack() as lock:
        async with serving(settings_for(data_dir, write_deadline_seconds=0.3), golden[1]) as installation:
            acme = installation.tenant("acme")
            await machine_token(installation.http, acme.issuer, acme.clients["m2m"], acme.management_audience)
            await installation.running.services.audit.flush()
            lock.enter_context(locked(file_of(data_dir, "acme")))
            await machine_token(installation.http, acme.issuer, acme.clients["m2m"], acme.management_audience)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    (lost,) = [line for line in lines if line["event"] == "audit_events_lost"]
    assert (lost["tenant"], lost["events"], lost["types"]) == ("acme", 1, {"seccft": 1})
