"""`docs/trying.md`: what a person copies from it works, in its order, against a demo that they started themselves."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.repository import ROOT, read
from tests.serving import demo_server, free_port

PAGE = "docs/trying.md"
RECEIVER_PORT = "9870"
"""The page's. Here it is a free one: who runs these tests beside others, or the page itself, has one machine."""

EXPECTED_ERRORS = {"use_dpop_nonce", "invalid_token"}
"""What the page shows to be refused: a proof without a nonce, a bound token without a proof."""


def script(receiver_port: str) -> str:
    """One shell for all blocks, as a person has; it ends at the first command that fails."""
    named = re.findall(r"^## (.*?)$|```bash\n(.*?)```", read(PAGE), re.MULTILINE | re.DOTALL)
    lines = [block or f"printf '\\n=== %s\\n' '{heading}'" for heading, block in named]
    return "\n".join(["set -euo pipefail", *lines]).replace(RECEIVER_PORT, receiver_port)


def parts(output: str) -> dict[str, str]:
    return {
        heading: text for heading, _, text in (part.partition("\n") for part in output.split("\n=== ")[1:])
    }


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is written with curl")
def test_every_flow_can_be_done_by_copying_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = str(free_port())
    monkeypatch.setenv("KEYSTEAD_OUTBOUND_ALLOWED", f"127.0.0.1:{port}")
    data = tmp_path / "data"
    with demo_server(data):
        ended = subprocess.run(
            ["bash", "-c", script(port)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=ROOT,
            env={**os.environ, "DATA": str(data), "PY": sys.executable, "TMPDIR": str(tmp_path)},
            check=False,
        )
    assert ended.returncode == 0, ended.stderr + ended.stdout[-2000:]
    assert set(re.findall(r'"error": ?"(\w+)"', ended.stdout)) == EXPECTED_ERRORS
    assert not re.search(r'"statusCode": ?[45]', ended.stdout), ended.stdout
    shown = parts(ended.stdout)
    assert shown.keys() == set(re.findall(r"^## (.*)$", read(PAGE), re.MULTILINE))
    assert ended.stdout.count('"active":true') == 3
    assert '"token_type":"DPoP"' in shown["FAPI 2.0"]
    assert "Your device is connected" in shown["Devices (RFC 8628)"]
    assert '"act":' in shown["An API asks, and calls another one"]
    assert "backchannel-logout" in shown["Back-channel logout"]
    assert "Your password is changed" in shown["Accounts, sign-in by code, a forgotten password"]
