"""Guides that a person copies from top to bottom, beside a demo that they started: each does what it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import APP_PORT
from tests.clients.conftest import PACKAGES, node, node_release
from tests.documents.repository import ROOT, read
from tests.serving import demo_server, free_port

TRYING = "docs/trying.md"
MOVING_IN = "docs/moving-in.md"
QUICKSTART = "docs/organizations-quickstart.md"
HERE = Path(__file__).parent

RECEIVER_PORT = "9870"
"""That of the page. Here it is a free one: who runs these tests beside others, or the page itself, has one machine."""

EXPECTED_ERRORS = {"use_dpop_nonce", "invalid_token"}
"""What the page shows to be refused: a proof without a nonce, a bound token without a proof."""

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the pages are written with curl")

INSPECTION = """
printf '\\n=== END\\n'
for SLUG in hooli raviga; do
  ID=$(call GET "$API/organizations/name/$SLUG" | member id)
  call GET "$API/organizations/$ID/members?fields=user_id,roles"
  echo
done
curl -sS --fail-with-body -c "$WORK/cookies" "${TENANT}api/auth/sign-in/email" \\
  -H 'Content-Type: application/json' \\
  -d '{"email": "monica@raviga.example", "password": "old password of 43"}' > /dev/null
curl -sS -b "$WORK/cookies" "${TENANT}api/auth/organization/get-active-member-role?organizationSlug=raviga"
"""

BY_BETTER_AUTH = (
    "6057ca6fdb04649b1ecbe978fa844310:c881d4a00107027b75dd69c8393d7954f03a7e69efb52e1997f8f72ddba7d62d"
    "84244740d01b43a90665ea9942f7bc81dc1527df993d29f5cac9ca9234633323"
)
"""What `hashPassword("correct horse battery viii")` of `better-auth/crypto` 1.7.24 made."""

FROM_BETTER_AUTH = """
JOB=$(curl -sS --fail-with-body "$API/jobs/users-imports" -H "Authorization: Bearer $TOKEN" \\
  -F "connection_id=$CONNECTION" -F "users=@$TMPDIR/users.json" | member id)
until call GET "$API/jobs/$JOB" | grep -qE '"status": ?"(completed|failed)"'; do sleep 0.2; done
printf '\\n=== BETTER AUTH\\n'
curl -sS --fail-with-body "${TENANT}api/auth/sign-in/email" -H 'Content-Type: application/json' \\
  -d '{"email": "laurie@raviga.example", "password": "correct horse battery viii"}'
"""

HOSTS = """
import socket
real = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else str(host)
    return real("127.0.0.1" if name.endswith(".localhost") else host, *rest, **more)
socket.getaddrinfo = getaddrinfo
"""
"""The page's line in `/etc/hosts`, for one process that asks Python's resolver."""

SERVE = """
( cd "$WORK" && PYTHONPATH="$WORK:$PYTHONPATH" exec $PY -m uvicorn api:app --port 8001 --loop asyncio >&2 ) & SERVER=$!
trap 'kill $SERVER' EXIT
until curl -s -o /dev/null http://127.0.0.1:8001/; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def receiver_port() -> str:
    """Where the demo may call a receiver of logouts."""
    return str(free_port())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, receiver_port: str) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / "data"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KEYSTEAD_OUTBOUND_ALLOWED", f"127.0.0.1:{receiver_port}")
        with demo_server(folder):
            yield folder


def issuer_of(data: Path) -> str:
    return str(json.loads((data / "demo.json").read_bytes())["tenants"][0]["issuer"])


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Language and text of each."""
    return re.findall(r"```(\w+)\n(.*?)```", read(page), re.DOTALL)


def of_better_auth() -> dict[str, Any]:
    [block] = [text for language, text in blocks_of(MOVING_IN) if language == "python"]
    names: dict[str, Any] = {}
    exec(compile(block, MOVING_IN, "exec"), names)
    hashed = names["custom_password_hash"](BY_BETTER_AUTH)
    return {"email": "laurie@raviga.example", "user_id": "kX9f2", "custom_password_hash": hashed}


def with_headings(page: str) -> str:
    """All blocks, and before those of each part its heading."""
    named = re.findall(r"^## (.*?)$|```bash\n(.*?)```", read(page), re.MULTILINE | re.DOTALL)
    return "\n".join(block or f"printf '\\n=== %s\\n' '{heading}'" for heading, block in named)


def parts(output: str) -> dict[str, str]:
    return {
        heading: text for heading, _, text in (part.partition("\n") for part in output.split("\n=== ")[1:])
    }


def done(script: str, data: Path, work: Path) -> str:
    """What one shell prints, that ends at the first command which fails."""
    ended = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={
            **os.environ,
            "DATA": str(data),
            "PY": sys.executable,
            "TMPDIR": str(work),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "sdk", ROOT / "hrana"))),
        },
        check=False,
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout[-2000:]
    return ended.stdout


@pytest.mark.slow
@needs_curl
def test_every_flow_can_be_done_by_copying_it(data: Path, receiver_port: str, tmp_path: Path) -> None:
    output = done(with_headings(TRYING).replace(RECEIVER_PORT, receiver_port), data, tmp_path)
    assert set(re.findall(r'"error": ?"(\w+)"', output)) == EXPECTED_ERRORS
    assert not re.search(r'"statusCode": ?[45]', output), output
    shown = parts(output)
    assert shown.keys() == set(re.findall(r"^## (.*)$", read(TRYING), re.MULTILINE))
    assert output.count('"active":true') == 3
    assert '"token_type":"DPoP"' in shown["FAPI 2.0"]
    assert "Your device is connected" in shown["Devices (RFC 8628)"]
    assert '"act":' in shown["An API asks, and calls another one"]
    assert "backchannel-logout" in shown["Back-channel logout"]
    assert "Your password is changed" in shown["Accounts, sign-in by code, a forgotten password"]


@pytest.mark.slow
@needs_curl
def test_a_product_moves_in_by_copying_the_page(data: Path, tmp_path: Path) -> None:
    blocks = [text for language, text in blocks_of(MOVING_IN) if language == "bash"]
    (tmp_path / "users.json").write_text(json.dumps([of_better_auth()]))
    output = done("\n".join([*blocks, INSPECTION, FROM_BETTER_AUTH]), data, tmp_path)
    assert '"inserted":3' in output.replace(" ", "")
    assert '"failed":0' in output.replace(" ", "")
    shown, _, inspected = output.partition("\n=== END\n")
    assert '"name":"Raviga \\"Capital\\""' in shown, "an organization of the person that signed in"
    assert shown.endswith('{"role":"member"}')
    inspected, _, signed_in = inspected.partition("\n=== BETTER AUTH\n")
    assert json.loads(signed_in)["user"]["id"] == "auth0|kX9f2"
    hooli, raviga, role = inspected.strip().splitlines()
    assert role == '{"role":"owner"}', "of whom the old product calls the boss"
    assert hooli.count("Writes invoices") == 2
    assert "Writes invoices" not in raviga
    assert set(re.findall(r"auth0\|\d+", raviga)) == {"auth0|42", "auth0|43"}


@pytest.mark.slow
@needs_curl
def test_an_application_has_organizations_by_copying_the_page(data: Path, tmp_path: Path) -> None:
    steps = {
        "bash": lambda text: text,
        "js": lambda _: "",
        "python": lambda text: (
            f"cat > $WORK/api.py <<'API'\n{text}\nAPI\ncat > $WORK/sitecustomize.py <<'HOSTS'\n{HOSTS}\nHOSTS\n{SERVE}"
        ),
    }
    script = "\n".join(steps[language](text) for language, text in blocks_of(QUICKSTART))
    script = script.replace("http://acme.localhost:8000/", issuer_of(data)).replace("8001", str(free_port()))
    *_, claims, answer = done(script, data, tmp_path).strip().splitlines()
    told = json.loads(claims)
    assert (told["org_name"], told["org_role"]) == ("south", "owner")
    assert json.loads(answer) == {"organization": told["org_id"], "role": "owner", "person": told["sub"]}


@pytest.mark.npm
@pytest.mark.skipif(not PACKAGES.exists() or node_release() < 20, reason="needs Node 20 and its packages")
def test_the_page_of_an_application_makes_an_organization_and_invites(data: Path, tmp_path: Path) -> None:
    [block] = [text for language, text in blocks_of(QUICKSTART) if language == "js"]
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    asked = "\nconsole.log(JSON.stringify(await auth.organization.getFullOrganization()))\n"
    page = tmp_path / "page.mjs"
    page.write_text(block.replace("http://acme.localhost:8000/", issuer_of(data)) + asked)
    program = node()
    assert program
    names, fetch = ROOT / "tests/clients/localhost.mjs", HERE / "page_fetch.mjs"
    ended = subprocess.run(
        [program, "--import", names, "--import", fetch, page],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "ORIGIN": f"http://app.acme.localhost:{APP_PORT}"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)["data"]
    assert [member["role"] for member in shown["members"]] == ["owner"]
    assert [(asked["email"], asked["role"]) for asked in shown["invitations"]] == [
        ("pavel@north.example", "admin")
    ]
