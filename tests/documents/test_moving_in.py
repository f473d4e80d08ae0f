"""`docs/moving-in.md`: a small product moves into a tenant by its commands, and its people sign in as before."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.repository import ROOT, read
from tests.serving import demo_server

PAGE = "docs/moving-in.md"
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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is written with curl")
def test_a_product_moves_in_by_copying_the_page(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", read(PAGE), re.DOTALL)
    data = tmp_path / "data"
    with demo_server(data):
        ended = subprocess.run(
            ["bash", "-c", "\n".join(["set -euo pipefail", *blocks, INSPECTION])],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
            env={**os.environ, "DATA": str(data), "PY": sys.executable, "TMPDIR": str(tmp_path)},
            check=False,
        )
    assert ended.returncode == 0, ended.stderr + ended.stdout[-2000:]
    assert '"inserted":3' in ended.stdout.replace(" ", "")
    assert '"failed":0' in ended.stdout.replace(" ", "")
    shown, _, inspected = ended.stdout.partition("\n=== END\n")
    assert '"name":"Raviga \\"Capital\\""' in shown, "an organization of the person that signed in"
    assert shown.endswith('{"role":"member"}')
    hooli, raviga, role = inspected.strip().splitlines()
    assert role == '{"role":"owner"}', "of whom the old product calls the boss"
    assert hooli.count("Writes invoices") == 2
    assert "Writes invoices" not in raviga
    assert set(re.findall(r"auth0\|\d+", raviga)) == {"auth0|42", "auth0|43"}
