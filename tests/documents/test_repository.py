import os
import re
from urllib.parse import urlsplit

from tests.documents.repository import ROOT, tracked_files, tracked_texts

# A folder of somebody's machine; what a distribution puts at the same place everywhere (/etc, /usr, /var) is fine.
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.~}*-])/(?:root|home|Users|work|workspaces?|private|mnt)/\w")

# Hosts for documentation (RFC 2606, RFC 6761), this machine, and places where specifications and schemas live.
KNOWN_HOSTS = re.compile(
    r"(.+\.)?(localhost|test|example|invalid|example\.(com|net|org))"
    r"|127\.\d+\.\d+\.\d+|0\.0\.0\.0|::1?|localhost"
    r"|(www\.)?(rfc-editor\.org|ietf\.org|openid\.net|w3\.org|apache\.org|json-schema\.org|spdx\.org)"
    r"|(datatracker|tools)\.ietf\.org|schemas\.openid\.net"
    r"|api\.turso\.tech"  # the platform that a back end of ours is the client of
)
ADDRESS = re.compile(r"https?://[^\s\"'`<>()\\|,;]+")

# Not an address but the name of a grant type, as Auth0's API spells it: compared, never asked.
GRANT_TYPE_IDENTIFIER = "http://auth0.com/oauth/grant-type/"


def is_known(address: str) -> bool:
    if address.startswith(GRANT_TYPE_IDENTIFIER):
        return True
    if re.search(r"[{}$%*]", address.split("/", 3)[2]):
        return True  # a template
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return True  # not an address: a test's bad input
    return "." not in host.strip(".") or bool(KNOWN_HOSTS.fullmatch(host.rstrip(".")))


def test_no_tracked_file_names_a_folder_of_somebodys_machine() -> None:
    found = [
        f"{name}: {match.group()}"
        for name, text in tracked_texts()
        for match in SOMEBODYS_FOLDER.finditer(text)
    ]
    assert found == []


def test_no_tracked_file_names_a_host_that_is_not_for_documentation() -> None:
    found = {
        f"{name}: {address}"
        for name, text in tracked_texts()
        if not name.startswith("tests/")  # tests need hosts that look like somebody else's
        for address in ADDRESS.findall(text)
        if not is_known(address)
    }
    assert found == set()


def test_no_data_and_no_secret_is_tracked() -> None:
    names = [path.relative_to(ROOT) for path in tracked_files()]
    assert not [name for name in names if name.suffix in {".db", ".sqlite", ".key", ".pem", ".log"}]
    assert not [
        name for name in names if name.parts[0] in {"data", ".venv"} or name.name in {".env", "uv.lock"}
    ]


def test_ci_calls_the_recipe_of_people() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert re.search(r"make .*\btest\b", text)
