"""Each tenant's data carries a word of its own: after traffic of every kind nothing of another tenant, of the
installation or of a server that both are on holds it, and no answer for another tenant, line of the log or number."""

import io
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.installation import Installation
from tests.isolation.conftest import CONTROL_PLANE, A, B, Neighbours, neighbours_of
from tests.isolation.hunting import Hunt
from tests.isolation.routes import all_routes
from tests.isolation.standing import ids_of
from tests.operators import CONNECTION
from tests.relying_party import RelyingParty

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORLDS = [
    pytest.param(None, id="files"),
    pytest.param("libsql", marks=[pytest.mark.libsql, pytest.mark.long]),  # the last one has both
    pytest.param("postgresql", marks=[pytest.mark.postgresql, pytest.mark.long]),
    pytest.param("mixed", marks=[pytest.mark.libsql, pytest.mark.postgresql]),
]


@pytest.fixture(scope="module", params=WORLDS)
def engine(request: pytest.FixtureRequest) -> str | None:
    """Where the tenants' databases are: all on one server, or each on another."""
    found: str | None = request.param
    return found


@dataclass
class Canary:
    tenant_id: str
    word: str = field(default_factory=lambda: f"canary{secrets.token_hex(8)}")
    heard: list[str] = field(default_factory=list)
    """Everything that was answered for this tenant."""

    def listen(self, answer: httpx.Response) -> httpx.Response:
        self.heard.append(f"{answer.headers!r}{answer.text}")
        return answer


async def sing(neighbours: Neighbours, canary: Canary) -> None:
    """Its word in a row of everything that can hold one."""
    base, caller, word = f"{neighbours.issuer(canary.tenant_id)}api/v2", neighbours.platform, canary.word

    async def post(path: str, body: object) -> dict[str, str]:
        answer = canary.listen(await caller.call("POST", f"{base}{path}", body))
        assert answer.is_success, answer.text
        value: dict[str, str] = answer.json() if answer.content else {}
        return value

    user = await post("/users", {
        "connection": CONNECTION, "email": f"{word}@canary.example", "password": f"pass {word}", "name": word,
        "user_metadata": {"note": word}, "app_metadata": {"note": word}, "email_verified": True,
    })  # fmt: skip
    role = await post("/roles", {"name": f"role {word}", "description": word})
    await post(f"/users/{user['user_id']}/roles", {"roles": [role["id"]]})
    organization = await post(
        "/organizations", {"name": word[:40], "display_name": word, "metadata": {"note": word}}
    )
    await post(f"/organizations/{organization['id']}/members", {"members": [user["user_id"]]})
    client = await post(
        "/clients",
        {"name": f"client {word}", "description": word, "callbacks": [f"https://{word}.example/cb"]},
    )
    server = await post("/resource-servers", {"name": word, "identifier": f"https://{word}.example"})
    await post(
        "/client-grants", {"client_id": client["client_id"], "audience": server["identifier"], "scope": []}
    )
    settings = {"friendly_name": word, "support_email": f"{word}@support.example"}
    answer = await caller.call("PATCH", f"{base}/tenants/settings", settings)
    assert answer.is_success, answer.text


async def sign_in(neighbours: Neighbours, canary: Canary) -> None:
    """A whole session: sign in, switch, refresh, userinfo, log out; and one that fails."""
    tenant = neighbours.installation.tenant(canary.tenant_id)
    async with neighbours.installation.browser() as http:
        user = type(tenant.users[0])(f"{canary.word}@canary.example", f"pass {canary.word}")
        rp = RelyingParty(http, tenant.issuer, tenant.clients["web"], tenant.api_audience, user)
        canary.listen(await rp.authorize(login_hint=canary.word, state=canary.word))
        tokens = await rp.redeem(await rp.code())
        canary.heard.append(str(tokens.body))
        assert tokens.status == 200, tokens.body
        canary.listen(await rp.userinfo(tokens.access_token))
        canary.heard.append(str((await rp.refresh(tokens.refresh_token)).body))
        canary.heard.append(str(await rp.silent(organization=canary.word[:40])))
        canary.listen(await http.get(f"{tenant.issuer}v2/logout"))
        canary.listen(await rp.authorize(prompt="login"))
        canary.listen(await rp.browser.submit({"email": f"{canary.word}@canary.example"}))
        canary.listen(await rp.browser.submit({"password": "wrong"}))


async def look_around(neighbours: Neighbours, canary: Canary) -> None:
    """Every GET of the documents for this tenant, with whoever may."""
    ids = await ids_of(neighbours, canary.tenant_id)
    for host, route in await all_routes(neighbours):
        if route.writes or host == CONTROL_PLANE:
            continue
        url = neighbours.issuer(canary.tenant_id) + route.at(ids)
        query = {"email": f"{canary.word}@canary.example"} if route.path.endswith("by-email") else {}
        canary.listen(await neighbours.platform.call("GET", url, **query))
    for path in (
        ".well-known/openid-configuration",
        ".well-known/jwks.json",
        "authorize",
        "login",
        "nowhere",
    ):
        canary.listen(await neighbours.http.get(neighbours.issuer(canary.tenant_id) + path))


async def collide(neighbours: Neighbours, canary: Canary) -> None:
    """What is there already is refused by the database, whose complaint names it."""
    base, word = f"{neighbours.issuer(canary.tenant_id)}api/v2", canary.word
    again: list[tuple[str, object]] = [
        ("/users", {"connection": CONNECTION, "email": f"{word}@canary.example", "password": f"pass {word}"}),
        ("/roles", {"name": f"role {word}"}),
        ("/organizations", {"name": word[:40]}),
        ("/resource-servers", {"name": word, "identifier": f"https://{word}.example"}),
    ]
    for path, body in again:
        answer = canary.listen(await neighbours.platform.call("POST", f"{base}{path}", body))
        assert answer.status_code == 409, answer.text


async def back_up(neighbours: Neighbours, tenant_id: str) -> None:
    url = f"{neighbours.issuer(CONTROL_PLANE)}api/v2/tenants/{tenant_id}/backups"
    answer = await neighbours.platform.call("POST", url)
    assert (answer.status_code, answer.json()["state"]) == (202, "succeeded"), answer.text


async def test_no_word_of_one_tenant_is_found_at_another(
    log: io.BytesIO, installation: Installation, engine: str | None, tmp_path: Path
) -> None:
    neighbours = await neighbours_of(installation)
    canaries = [Canary(A), Canary(B)]
    for canary in canaries:
        await sing(neighbours, canary)
    for canary in canaries:
        await sign_in(neighbours, canary)
        await look_around(neighbours, canary)
        await collide(neighbours, canary)
        await back_up(neighbours, canary.tenant_id)
    await neighbours.platform.call("POST", f"{neighbours.issuer(CONTROL_PLANE)}api/v2/fleet/converge")
    await installation.running.services.audit.flush()

    said = log.getvalue().decode()
    assert '"path":"/oauth/token"' in said
    hunt = Hunt(installation, engine)
    backups = {canary.tenant_id: await hunt.backups_of(canary.tenant_id, tmp_path) for canary in canaries}
    for canary in canaries:
        assert await hunt.is_at_home(canary.word, canary.tenant_id)
        assert await hunt.elsewhere(canary.word, canary.tenant_id) == []
        assert canary.word not in said
        assert any(canary.word in text for text in canary.heard)
        assert all(canary.word in rows for rows in backups[canary.tenant_id])
        for other in canaries:
            if other is not canary:
                assert not any(canary.word in text for text in other.heard)
                assert not any(canary.word in rows for rows in backups[other.tenant_id])
