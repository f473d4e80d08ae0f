"""When something of ours is broken, the answer says that it is, and an id by which the log tells more: no statement, no
path, no name of anybody (`specs/bad-inputs.md` 140)."""

import re

import httpx
import pytest
from sqlalchemy import text

from tests.installation import Installation

pytestmark = pytest.mark.anyio

TELLING = re.compile(
    r"traceback|sqlite|sqlalchemy|select |insert |no such table|\.py\b|/tmp|/work|/home|\.db\b|globex|initech"
    r"|OperationalError|File \"|site-packages",
    re.IGNORECASE,
)
ASKED = (
    ("GET", "api/v2/users", {}),
    (
        "POST",
        "api/v2/users",
        {"json": {"connection": "Username-Password-Authentication", "email": "a@b.example"}},
    ),
    ("POST", "oauth/token", {"data": {"grant_type": "refresh_token", "refresh_token": "x" * 43}}),
    ("GET", "userinfo", {}),
    ("GET", "authorize", {}),
    (
        "POST",
        "dbconnections/signup",
        {"json": {"email": "a@b.example", "password": "five plain words nobody knows"}},
    ),
    ("POST", "dbconnections/change_password", {"json": {"email": "a@b.example"}}),
)


@pytest.fixture
async def broken(installation: Installation) -> Installation:
    """Tables of acme's have gone: what no code foresees."""
    await installation.manager("acme")
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None

    def unmake(connection: object) -> None:
        for table in ("identities", "users", "refresh_tokens", "authorization_requests", "access_tokens"):
            connection.execute(text(f"DROP TABLE {table}"))  # type: ignore[attr-defined]

    await tenant.database.write(unmake)
    return installation


async def ask(
    installation: Installation, method: str, path: str, options: dict[str, object]
) -> httpx.Response:
    tenant = installation.tenant("acme")
    client = tenant.clients["web"]
    sent = {name: dict(value) for name, value in options.items()}  # type: ignore[call-overload]
    named = {"client_id": client.client_id, "connection": "Username-Password-Authentication"}
    if "data" in sent:
        sent["data"] |= {"client_id": client.client_id, "client_secret": client.client_secret}
    elif "json" in sent and path.startswith("dbconnections"):
        sent["json"] = named | sent["json"]
    headers = (await installation.manager("acme"))._headers if path.startswith("api/") else {}
    url = f"{tenant.issuer}{path}"
    if path == "authorize":
        url = installation.relying_party("acme").authorize_url()
    if path == "userinfo":
        headers = {"Authorization": "Bearer " + "x" * 43}
    return await installation.http.request(method, url, headers=headers, **sent)


async def test_an_answer_says_an_id_and_nothing_of_ours(broken: Installation) -> None:
    failed = 0
    for method, path, options in ASKED:
        answer = await ask(broken, method, path, dict(options))
        said = f"{answer.text} {dict(answer.headers)}"
        assert not TELLING.search(said), (path, TELLING.search(said), said[:500])
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"]), path
        assert answer.headers.get("cache-control") == "no-store", path
        failed += answer.status_code >= 500
    assert failed >= 4, "they do fail"


async def test_a_page_of_an_error_shows_the_id_that_the_log_has(broken: Installation) -> None:
    answer = await broken.http.get(f"{broken.tenant('acme').issuer}u/login/identifier?state={'x' * 43}")
    assert answer.status_code >= 500
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text
