"""Who runs the platform: what each of its roles may do, and how somebody is appointed without a server."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import DemoClient, DemoUser
from tests.controlplane.conftest import Platform
from tests.engines.carried import ENGINE
from tests.forks import command
from tests.isolation.conftest import A
from tests.operators import Caller, machine_token, operator_token
from tests.serving import command as typed

pytestmark = pytest.mark.anyio

A_USER = {
    "connection": "Username-Password-Authentication",
    "email": "x@people.example",
    "password": "long and odd 17",
}
READS = ("/tenants", f"/tenants/{A}", "/operations", "/fleet", f"/tenants/{A}/drift")
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/tenants", {"id": "new"}),
    ("PATCH", f"/tenants/{A}", {"display_name": "x"}),
    ("DELETE", f"/tenants/{A}", None),
    ("POST", f"/tenants/{A}/suspend", None),
    ("POST", f"/tenants/{A}/converge", {"dry_run": False}),
    ("POST", "/users", A_USER),
    ("POST", "/roles", {"name": "x"}),
)


async def statuses(platform: Platform, caller: Caller, paths: Any, **headers: str) -> dict[str, int]:
    return {path: (await platform("GET", path, caller=caller, headers=headers)).status_code for path in paths}


async def test_support_reads_the_platform_and_every_tenant_and_writes_nothing(platform: Platform) -> None:
    support = await platform.person("Platform Support")
    assert set((await statuses(platform, support, READS)).values()) == {200}
    of_tenant = await statuses(platform, support, ("/users", "/clients", "/logs"), **{"tenant-id": A})
    assert set(of_tenant.values()) == {200}
    for method, path, body in WRITES:
        answer = await platform(method, path, body, caller=support)
        assert answer.status_code == 403, (method, path, answer.text)
        if not path.startswith("/tenants"):
            there = await platform(method, path, body, caller=support, headers={"tenant-id": A})
            assert there.status_code == 403, (method, path)
    clients = (await platform("GET", "/clients", caller=support, headers={"tenant-id": A})).json()
    assert clients
    assert not any("client_secret" in client for client in clients)


async def test_an_auditor_reads_the_log_and_operations_and_nothing_else(platform: Platform) -> None:
    auditor = await platform.person("Platform Auditor")
    assert await statuses(platform, auditor, ("/logs", "/operations")) == {"/logs": 200, "/operations": 200}
    refused = await statuses(platform, auditor, ("/users", "/clients", "/roles", f"/tenants/{A}", "/fleet"))
    assert set(refused.values()) == {403}
    assert (await platform("GET", "/tenants", caller=auditor)).json() == []
    there = await statuses(platform, auditor, ("/logs", "/users"), **{"tenant-id": A})
    assert set(there.values()) == {403}
    for method, path, body in WRITES:
        assert (await platform(method, path, body, caller=auditor)).status_code == 403, (method, path)


async def test_roles_of_the_platform_go_to_no_tenant_and_to_nobody_by_those_who_lack_them(
    platform: Platform,
) -> None:
    names = {"Platform Admin", "Platform Support", "Platform Auditor"}
    own = (await platform("GET", "/roles", per_page=100)).json()
    theirs = (await platform("GET", "/roles", headers={"tenant-id": A}, per_page=100)).json()
    assert names <= {role["name"] for role in own}
    assert not names & {role["name"] for role in theirs}
    clerk = await platform.person("Tenant Admin")
    someone = await platform.person()
    for role in own:
        if role["name"] in names:
            path = f"/users/{someone.user_id}/roles"
            answer = await platform("POST", path, {"roles": [role["id"]]}, caller=clerk)
            assert answer.status_code == 403, role["name"]


# --- by the command ------------------------------------------------------------------------------------------------

on_files = pytest.mark.skipif(ENGINE is not None, reason="the command is run on files")


def environment(data_dir: Path) -> Mapping[str, str]:
    return {"KEYSTEAD_DATA_DIR": str(data_dir)}


@on_files
async def test_somebody_appointed_by_the_command_is_known_to_running_servers_at_once(
    fresh: Platform, data_dir: Path
) -> None:
    issuer, run = fresh.issuer, environment(data_dir)
    before = (await fresh("GET", "/users", per_page=100)).json()
    made = await asyncio.to_thread(command, "operator", "grant", "--email", "Glass@Example.com", environ=run)
    assert made.returncode == 0, made.stderr
    password = re.search(r"The password is (\S+) \(shown once\)", made.stdout)
    assert password is not None, made.stdout
    user = DemoUser("glass@example.com", password[1])
    person = Caller(fresh.installation.http, await operator_token(fresh.installation, user))
    assert (await fresh("GET", "/fleet", caller=person)).status_code == 200
    listed = await asyncio.to_thread(command, "operator", "list", "--json", environ=run)
    assert '"email":"glass@example.com"' in listed.stdout
    await asyncio.sleep(1)  # `iat` has whole seconds: what was issued in the second of the revocation stands
    gone = await asyncio.to_thread(command, "operator", "revoke", "--email", "glass@example.com", environ=run)
    assert "took Platform Admin" in gone.stdout
    assert (await fresh("GET", "/fleet", caller=person)).status_code == 401, "no token outlives it"
    assert (await fresh("GET", "/fleet")).status_code == 200, "nothing of anybody else has ended"
    after = (await fresh("GET", "/users", per_page=100)).json()
    assert {each["user_id"] for each in before} < {each["user_id"] for each in after}
    again = await asyncio.to_thread(
        command, "operator", "revoke", "--email", "glass@example.com", environ=run
    )
    assert (again.returncode, "holds no such role" in again.stderr) == (1, True)
    log = (
        await Caller(fresh.installation.http, fresh.machine.token).call("GET", f"{issuer}api/v2/logs")
    ).json()
    told = {event.get("description") for event in log}
    assert {"Grant Platform Admin by command", "Revoke operator by command"} <= told


@on_files
async def test_an_operator_who_was_shut_out_comes_back_by_the_command(
    fresh: Platform, data_dir: Path
) -> None:
    first = fresh.installation.demo.control_plane.users[0]
    found = (await fresh("GET", "/users-by-email", email=first.email)).json()[0]
    assert (await fresh("PATCH", f"/users/{found['user_id']}", {"blocked": True})).status_code == 200
    words = ("operator", "grant", "--email", first.email, "--password-stdin")
    run, new = environment(data_dir), "an unrelated sentence 4711"
    weak = await asyncio.to_thread(typed, *words, environ=run, stdin="password\n")
    assert (weak.returncode, "Choose a password" in weak.stderr) == (1, True)
    back = await asyncio.to_thread(typed, *words, environ=run, stdin=f"{new}\n")
    assert back.returncode == 0, back.stderr
    assert "unblocked" in back.stdout
    assert new not in back.stdout + back.stderr
    person = Caller(
        fresh.installation.http, await operator_token(fresh.installation, DemoUser(first.email, new))
    )
    assert (await fresh("GET", "/fleet", caller=person)).status_code == 200


@pytest.mark.parametrize("way", ["role", "permission", "of the role", "the role itself"])
async def test_no_token_outlives_a_permission_of_the_platform(platform: Platform, way: str) -> None:
    person, api = await platform.person(), platform.installation.demo.control_plane.management_audience
    reading = {"permissions": [{"resource_server_identifier": api, "permission_name": "read:tenants"}]}
    role = (await platform("POST", "/roles", {"name": f"Reads, {way}"})).json()["id"]
    of_person = f"/users/{person.user_id}"
    if way == "permission":
        given = await platform("POST", f"{of_person}/permissions", reading)
    else:
        await platform("POST", f"/roles/{role}/permissions", reading)
        given = await platform("POST", f"{of_person}/roles", {"roles": [role]})
    assert given.is_success, given.text
    person.token = await operator_token(platform.installation, person.user)
    assert (await platform("GET", "/tenants", caller=person)).status_code == 200
    path, body = {
        "role": (f"{of_person}/roles", {"roles": [role]}),
        "permission": (f"{of_person}/permissions", reading),
        "of the role": (f"/roles/{role}/permissions", reading),
        "the role itself": (f"/roles/{role}", None),
    }[way]
    assert (await platform("DELETE", path, body)).is_success
    assert (await platform("GET", "/tenants", caller=person)).status_code == 401


@pytest.mark.parametrize("way", ["PATCH", "DELETE"])
async def test_no_token_of_a_machine_outlives_its_grant(platform: Platform, way: str) -> None:
    api = platform.installation.demo.control_plane.management_audience
    asked = {"name": "Counts tenants", "app_type": "non_interactive", "grant_types": ["client_credentials"]}
    made = (await platform("POST", "/clients", asked)).json()
    client = DemoClient(made["client_id"], made["client_secret"])
    wanted = {"client_id": client.client_id, "audience": api, "scope": ["read:tenants", "read:roles"]}
    grant = (await platform("POST", "/client-grants", wanted)).json()["id"]
    http = platform.installation.http
    machine = Caller(http, await machine_token(http, platform.issuer, client, api))
    assert (await platform("GET", "/tenants", caller=machine)).status_code == 200
    body = {"scope": ["read:roles"]} if way == "PATCH" else None
    assert (await platform(way, f"/client-grants/{grant}", body)).is_success
    for path in ("/tenants", "/roles"):
        assert (await platform("GET", path, caller=machine)).status_code == 401, path
    if way == "PATCH":
        platform.installation.clock.advance(1)
        machine = Caller(http, await machine_token(http, platform.issuer, client, api))
        assert (await platform("GET", "/roles", caller=machine)).status_code == 200
        assert (await platform("GET", "/tenants", caller=machine)).status_code == 403


@pytest.mark.parametrize("way", ["of the organization", "of the client"])
async def test_no_token_of_a_machine_outlives_its_grant_for_an_organization(
    platform: Platform, way: str
) -> None:
    api = platform.installation.demo.control_plane.management_audience
    asked = {"name": "Sees roles", "app_type": "non_interactive", "grant_types": ["client_credentials"]}
    client = (await platform("POST", "/clients", asked)).json()
    wanted = {"client_id": client["client_id"], "audience": api, "scope": ["read:roles"]}
    granted = await platform("POST", "/client-grants", {**wanted, "organization_usage": "allow"})
    organization = (await platform("GET", f"/tenants/{A}")).json()["organization_id"]
    path, grant = f"/organizations/{organization}/client-grants", granted.json()["id"]
    assert (await platform("POST", path, {"grant_id": grant})).is_success
    form = {"grant_type": "client_credentials", "audience": api, "organization": organization}
    form |= {name: client[name] for name in ("client_id", "client_secret")}
    http = platform.installation.http
    token = (await http.post(f"{platform.issuer}oauth/token", data=form)).json()["access_token"]
    roles, machine = f"{platform.installation.tenant(A).issuer}api/v2/roles", Caller(http, token)
    assert (await machine.call("GET", roles)).status_code == 200
    gone = f"{path}/{grant}" if way == "of the organization" else f"/client-grants/{grant}"
    assert (await platform("DELETE", gone)).is_success
    assert (await machine.call("GET", roles)).status_code == 401


@on_files
async def test_the_command_gives_roles_of_the_platform_only(fresh: Platform, data_dir: Path) -> None:
    run = environment(data_dir)
    for role in ("Tenant Admin", "Nobody"):
        words = ("operator", "grant", "--email", "x@example.com", "--role", role)
        ended = await asyncio.to_thread(command, *words, environ=run)
        assert (ended.returncode, "There is no role" in ended.stderr) == (1, True)
    assert (await fresh("GET", "/users-by-email", email="x@example.com")).json() == []
