"""What tenant one says for all: each tenant follows it, says otherwise, and returns to it; its secrets serve every
tenant's runtime, and no tenant reads them, by whatever way."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.crypto.sealing import SealBroken
from core.tenants import Tenant
from entrypoints.configuration import state, written
from entrypoints.configuration.doors import Door
from entrypoints.network import Api
from tenant_runtime import models
from tenant_runtime.configuration import configuration
from tenant_runtime.connections.secrets import open_secrets
from tenant_runtime.documents import open_secret
from tenant_runtime.mail.provider import PROVIDER
from tests.installation import Installation
from tests.isolation.hunting import Hunt
from tests.isolation.rows import everything_written
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

BRUTE_FORCE = "/attack-protection/brute-force-protection"
TEXTS = "/prompts/login-id/custom-text"
TEMPLATE = "/email-templates/welcome_email"
SECRET = "a-secret-of-tenant-one"
PROVIDER_BODY = {
    "name": "sendgrid",
    "enabled": True,
    "default_from_address": "login@example.com",
    "credentials": {"api_key": f"{SECRET}-1"},
}
CONNECTION = {
    "name": "corporate",
    "strategy": "oidc",
    "options": {
        "client_id": "upstream",
        "client_secret": f"{SECRET}-2",
        "issuer": "https://idp.example.com",
    },
}


async def synced(installation: Installation) -> None:
    assert await installation.running.platform.lifecycle.wait_synced() == 0


async def tenant_of(installation: Installation, tenant_id: str = "acme") -> Tenant:
    found = await installation.running.platform.directory.by_id(tenant_id)
    assert found is not None
    return found


async def seen(api: Api, path: str, member: str) -> tuple[Any, str]:
    found = await api.get(path, include_provenance="true")
    return found[member], found["provenance"][member]


async def test_a_document_follows_the_control_plane_until_the_tenant_says_otherwise(
    installation: Installation,
) -> None:
    one, acme, globex = (
        await installation.operator(),
        await installation.manager("acme"),
        await installation.manager("globex"),
    )
    assert await seen(acme, BRUTE_FORCE, "max_attempts") == (10, "default")
    await one.patch(BRUTE_FORCE, {"max_attempts": 5})
    await synced(installation)
    for api in (acme, globex):
        assert await seen(api, BRUTE_FORCE, "max_attempts") == (5, "control_plane")
        assert await seen(api, BRUTE_FORCE, "mode") == ("count_per_identifier_and_ip", "default")
    await acme.patch(BRUTE_FORCE, {"max_attempts": 7})
    await one.patch(BRUTE_FORCE, {"max_attempts": 6})
    await synced(installation)
    assert await seen(acme, BRUTE_FORCE, "max_attempts") == (7, "tenant")
    assert await seen(globex, BRUTE_FORCE, "max_attempts") == (6, "control_plane")
    await acme.patch(BRUTE_FORCE, {"max_attempts": None})
    assert await seen(acme, BRUTE_FORCE, "max_attempts") == (6, "control_plane")
    await one.patch(BRUTE_FORCE, {"max_attempts": None})
    await synced(installation)
    assert await seen(acme, BRUTE_FORCE, "max_attempts") == (10, "default")


async def test_a_template_and_branding_follow_as_well(installation: Installation) -> None:
    one, acme = await installation.operator(), await installation.manager("acme")
    template = {
        "template": "welcome_email", "body": "<p>Hello from one</p>", "subject": "Hello", "from": "",
        "syntax": "liquid", "enabled": True,
    }  # fmt: skip
    await one.post("/email-templates", template)
    await one.patch("/tenants/settings", {"branding": {"colors": {"primary": "#123456"}}})
    await synced(installation)
    assert (await acme.get(TEMPLATE))["body"] == "<p>Hello from one</p>"
    settings = await acme.get("/tenants/settings", include_provenance="true")
    assert settings["branding"]["colors"] == {"primary": "#123456"}
    assert settings["provenance"]["branding"] == "control_plane"
    await acme.patch("/tenants/settings", {"branding": {"colors": {"primary": "#654321"}}})
    assert (await acme.get("/tenants/settings"))["branding"]["colors"] == {"primary": "#654321"}
    await acme.patch("/tenants/settings", {"branding": None})
    assert (await acme.get("/tenants/settings"))["branding"]["colors"] == {"primary": "#123456"}


async def test_texts_of_a_prompt_follow_language_by_language_and_an_empty_body_returns_to_them(
    installation: Installation,
) -> None:
    one, acme, globex = (
        await installation.operator(),
        await installation.manager("acme"),
        await installation.manager("globex"),
    )
    assert await texts_of(acme) == ({}, "default")
    await say(one, {"login-id": {"title": "Hello from one", "buttonText": "Go on"}})
    await synced(installation)
    of_one = {"login-id": {"title": "Hello from one", "buttonText": "Go on"}}
    assert await texts_of(acme) == await texts_of(globex) == (of_one, "control_plane")
    assert await texts_of(acme, "de") == ({}, "default")
    assert "Hello from one" in await page(installation)

    own = {"login-id": {"title": "Hello from acme"}}
    await say(acme, own)
    of_one["login-id"]["title"] = "Hello again"
    await say(one, of_one)
    await synced(installation)
    assert await texts_of(acme) == (own, "tenant")
    assert await texts_of(globex) == (of_one, "control_plane")
    shown = await page(installation)
    assert "Hello from acme" in shown
    assert "Go on" not in shown

    await say(acme, {})
    assert await texts_of(acme) == (of_one, "control_plane")
    assert "Hello again" in await page(installation)
    await say(one, {})
    await synced(installation)
    assert await texts_of(acme) == ({}, "default")
    assert "Hello" not in await page(installation)


async def texts_of(api: Api, language: str = "en") -> tuple[Any, str]:
    found = await api.get(f"{TEXTS}/{language}", include_provenance="true")
    source = found.pop("provenance")
    return found, source


async def say(api: Api, texts: dict[str, dict[str, str]]) -> None:
    assert await api.status("PUT", f"{TEXTS}/en", texts) == 200


async def page(installation: Installation) -> str:
    """Where acme's people say who they are."""
    tenant = installation.tenant("acme")
    party = RelyingParty(
        installation.http, tenant.issuer, tenant.clients["web"], tenant.api_audience, tenant.users[0]
    )
    return (await party.authorize()).text


async def test_secrets_of_the_control_plane_serve_a_tenant_that_cannot_read_them(
    installation: Installation, tmp_path: Path, log: io.BytesIO
) -> None:
    one, acme = await installation.operator(), await installation.manager("acme")
    await one.post("/emails/provider", PROVIDER_BODY)
    connection = await one.post("/connections", CONNECTION)
    await synced(installation)
    tenant = await tenant_of(installation)
    row = await _row(tenant, connection["id"])

    # the tenant's runtime
    current = await configuration(tenant)
    assert open_secret(tenant, current.documents, PROVIDER, "credentials.api_key") == f"{SECRET}-1"
    assert open_secrets(tenant, connection["id"], row.secrets) == {"client_secret": f"{SECRET}-2"}

    # its API and its configuration as files
    shown = [
        await acme.get("/emails/provider", include_provenance="true"),
        *[await acme.get(path) for path in ("/connections", f"/connections/{row.id}")],
    ]
    assert shown[2]["is_system"] is True
    assert shown[2]["options"]["client_id"] == "upstream"
    present = await state.read(await _door(installation))
    export = tmp_path / "export"
    export.mkdir()
    assert written.write_yaml(present, export / "tenant.yaml") > 0

    # its log, its file and its backup
    await one.post("/tenants/acme/backups")
    copies = await Hunt(installation, None).backups_of("acme", tmp_path)
    assert copies
    logged = await acme.get("/logs", per_page=100)
    files = await everything_written(installation)
    told = {
        "API": json.dumps(shown),
        "export": "".join(path.read_text() for path in export.rglob("*") if path.is_file()),
        "log": json.dumps(logged),
        "backups": "".join(copies),
        "files": files.decode("latin-1"),
        "process": log.getvalue().decode(),
    }
    assert [where for where, text in told.items() if SECRET in text] == []
    assert row.id in told["backups"]  # it would be found there

    # its data key, that of another tenant, and its own request
    sealed = base64.b64decode(current.documents.inherited[PROVIDER.key]["credentials"]["api_key"]["$sealed"])
    other = await tenant_of(installation, "globex")
    for key in (tenant.data_key, other.data_key):
        with pytest.raises(SealBroken):
            key.open(sealed, "settings", "value", f"{PROVIDER.key} credentials.api_key")
        with pytest.raises(SealBroken):
            key.open(row.secrets, "connections", "secrets", row.id)
    elsewhere = {"options": {**CONNECTION["options"], "issuer": "https://elsewhere.example.com"}}  # type: ignore[dict-item]
    assert await acme.status("PATCH", f"/connections/{row.id}", elsewhere) == 403


async def test_a_shared_connection_is_enabled_by_each_tenant_and_ends_with_tenant_ones(
    installation: Installation,
) -> None:
    one, acme, globex = (
        await installation.operator(),
        await installation.manager("acme"),
        await installation.manager("globex"),
    )
    connection = await one.post("/connections", CONNECTION, wait="sync")
    path = f"/connections/{connection['id']}"
    client = installation.tenant("acme").clients["web"].client_id
    assert (await acme.get(path))["enabled_clients"] == []
    assert (await acme.patch(path, {"enabled_clients": [client]}))["enabled_clients"] == [client]
    assert (await globex.get(path))["enabled_clients"] == []
    assert (await one.get(path))["enabled_clients"] == []
    assert not (await acme.get(f"{path}/status"))["ok"]
    options = {**CONNECTION["options"], "client_id": "other"}  # type: ignore[dict-item]
    await one.patch(path, {"display_name": "Corporate", "options": options})
    await synced(installation)
    changed = await acme.get(path)
    assert (changed["display_name"], changed["options"]["client_id"]) == ("Corporate", "other")
    assert changed["enabled_clients"] == [client]
    await one.patch(path, {"metadata": {"sync": False}})
    await synced(installation)
    assert await acme.status("GET", path) == 404
    await one.patch(path, {"metadata": {"sync": None}})
    await synced(installation)
    assert (await acme.get(path))["enabled_clients"] == []
    await one.delete(path)
    await synced(installation)
    assert await acme.status("GET", path) == 404


async def _row(tenant: Tenant, connection_id: str) -> Any:
    table = models.Connection.__table__
    return await tenant.database.read(
        lambda connection: connection.execute(table.select().where(table.c.id == connection_id)).one()
    )


async def _door(installation: Installation) -> Door:
    tenant, api = installation.tenant("acme"), await installation.manager("acme")
    return Door(http=installation.http, issuer=tenant.issuer, token=api._headers["Authorization"][7:])
