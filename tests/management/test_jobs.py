"""Exports, letters and jobs as such: what they answer, to whom, and for how long."""

import csv
import gzip
import io
import json
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from entrypoints.demo_content import Demo
from tenant_runtime.jobs import queue
from tests.installation import Installation
from tests.mailbox import link_in, mailed
from tests.management.importing import Importer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def caller(shared: Installation) -> Importer:
    return await Importer.of(shared)


async def exported(caller: Importer, **body: Any) -> tuple[dict[str, Any], bytes]:
    answer = await caller.post("/jobs/users-exports", body)
    assert answer.status_code == 200, answer.text
    job = await caller.ended(answer.json()["id"])
    assert job["status"] == "completed", job
    file = await caller.http.get(job["location"])
    assert file.status_code == 200, file.text
    assert file.headers["content-type"] == "application/gzip"
    assert file.headers["content-disposition"] == f'attachment; filename="{job["id"]}.{job["format"]}.gz"'
    return job, gzip.decompress(file.content)


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


async def test_an_export_is_everybody_once_without_passwords(caller: Importer) -> None:
    users = [{"email": f"many-{number}@export.example"} for number in range(1100)]
    await caller.run(users)
    job, content = await exported(caller)
    found = [user["email"] for user in lines(content)]
    assert len(found) == len(set(found))
    assert {user["email"] for user in users} <= set(found)
    assert job["percentage_done"] == 100
    assert b"$argon2" not in content
    assert not any("password" in name for user in lines(content) for name in user)
    _, content = await exported(caller, limit=501)
    assert [user["email"] for user in lines(content)] == found[:501]


async def test_an_export_has_the_fields_that_were_asked_for_under_their_names(caller: Importer) -> None:
    mark = secrets.token_hex(4)
    users = [
        {
            "email": f"fields-{mark}@export.example",
            "name": '=HYPERLINK("https://evil.example")',
            "phone_number": "+4915112345678",
            "app_metadata": {"plan": {"name": f"gold {mark}"}},
        }
    ]
    await caller.run(users)
    fields = [
        {"name": "email"},
        {"name": "app_metadata.plan.name", "export_as": "Plan"},
        {"name": "identities[0].connection", "export_as": "Where"},
        {"name": "name"},
        {"name": "phone_number"},
        {"name": "user_metadata"},
        {"name": "identities[7].nothing"},
    ]
    _, content = await exported(caller, connection_id=caller.connection_id, fields=fields)
    [user] = [user for user in lines(content) if user["email"] == users[0]["email"]]
    assert user == {
        "email": users[0]["email"],
        "Plan": f"gold {mark}",
        "Where": "Username-Password-Authentication",
        "name": users[0]["name"],
        "phone_number": "+4915112345678",
        "user_metadata": {},
    }
    _, content = await exported(caller, format="csv", fields=fields)
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    [row] = [row for row in rows if row["email"] == users[0]["email"]]
    assert row["Plan"] == f"gold {mark}"
    assert row["name"] == f"'{users[0]['name']}"  # no spreadsheet takes it for a formula
    assert (row["phone_number"], row["user_metadata"]) == ("+4915112345678", "{}")
    _, content = await exported(caller, format="csv", limit=1)
    assert content.decode().splitlines()[0].startswith("Id,Email,Email Verified")


async def test_a_link_is_for_one_job_of_one_tenant_and_a_few_minutes(shared: Installation) -> None:
    caller, other = await Importer.of(shared), await Importer.of(shared, "globex")
    (job, _), (theirs, _) = await exported(caller, limit=1), await exported(other, limit=1)
    link = job["location"]
    assert link.startswith(caller.base)
    for wrong in (
        link.replace(job["id"], theirs["id"]),
        theirs["location"].replace(other.base, caller.base),
        link.replace(caller.base, other.base),
        re.sub(r"until=\d+", "until=99999999999999", link),
        re.sub(r"signature=.*", "signature=", link),
        link.partition("?")[0],
        link.replace("until=", "until=x"),
    ):
        answer = await caller.http.get(wrong)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "invalid_link"), wrong
    shared.clock.advance(301)
    assert (await caller.http.get(link)).status_code == 403
    fresh = (await caller.get(f"/jobs/{job['id']}")).json()["location"]
    assert (await caller.http.get(fresh)).status_code == 200
    assert (await other.get(f"/jobs/{job['id']}")).status_code == 404
    assert (await other.get(f"/jobs/{job['id']}/errors")).status_code == 404


async def test_a_job_is_gone_after_a_day_with_all_that_it_made(installation: Installation) -> None:
    caller = await Importer.of(installation)
    job, _ = await exported(caller, limit=1)
    failed = await caller.run([{"email": "nobody"}])
    assert await caller.errors(failed["id"])
    installation.clock.advance(24 * 3600 + 60)
    caller = await Importer.of(installation, token=await fresh_token(installation))
    await exported(caller, limit=1)  # whoever adds one sweeps
    for gone in (job, failed):
        assert (await caller.get(f"/jobs/{gone['id']}")).status_code == 404


async def fresh_token(installation: Installation) -> str:
    installation._tokens.clear()
    manager = await installation.manager("acme")
    return manager._headers["Authorization"].removeprefix("Bearer ")


async def test_a_tenant_has_two_jobs_at_once_and_no_more(installation: Installation) -> None:
    """Those of which nobody knows any more count for an hour."""
    caller = await Importer.of(installation)
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    now = int(installation.clock.now() * 1000)
    statement = (
        "INSERT INTO jobs (id, type, status, parameters, total, done, part, inserted, updated, failed, fencing, "
        f"created_at) VALUES ('job_%s', 'users_import', 'uploading', '{{}}', 0, 0, 0, 0, 0, 0, 0, {now})"
    )
    for number in range(2):
        await tenant.database.write(
            lambda connection, of=number: connection.exec_driver_sql(statement % of)  # type: ignore[misc]
        )
    for answer in (await caller.send([]), await caller.post("/jobs/users-exports", {})):
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "60"
    assert (await caller.get("/jobs/job_0")).status_code == 404  # it is no job yet
    installation.clock.advance(3700)
    assert (await caller.send([])).status_code == 202


async def test_an_export_that_is_asked_for_wrongly_is_refused(caller: Importer) -> None:
    for body in (
        {"format": "xml"},
        {"limit": 0},
        {"fields": []},
        {"fields": [{"export_as": "x"}]},
        {"connection_id": "con_0000000000000000"},
        {"nobody_knows": 1},
    ):
        answer = await caller.post("/jobs/users-exports", body)
        assert answer.status_code == 400, (body, answer.text)


async def test_who_may_only_create_users_gets_no_link_to_all_of_them(
    shared: Installation, caller: Importer
) -> None:
    job, _ = await exported(caller, limit=1)
    creator = await Importer.of(shared, token=await narrow(shared, "create:users"))
    shown = (await creator.get(f"/jobs/{job['id']}")).json()
    assert shown["status"] == "completed"
    assert "location" not in shown
    assert (await creator.post("/jobs/users-exports", {})).status_code == 403
    refused = await creator.send([{"email": "upsert@export.example"}], upsert="true")
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "insufficient_scope")
    assert (await creator.send([{"email": "plain@export.example"}])).status_code == 202
    reader = await Importer.of(shared, token=await narrow(shared, "read:users"))
    assert (await reader.send([])).status_code == 403


async def narrow(installation: Installation, scope: str) -> str:
    tenant = installation.tenant("acme")
    form = {
        "grant_type": "client_credentials",
        "client_id": tenant.clients["m2m"].client_id,
        "client_secret": str(tenant.clients["m2m"].client_secret),
        "audience": tenant.management_audience,
        "scope": scope,
    }
    answer = await installation.http.post(f"{tenant.issuer}oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def test_a_letter_that_proves_an_address_is_a_job_that_is_done_when_it_is_on_its_way(
    golden: tuple[Path, Demo], tmp_path: Path
) -> None:
    async with mailed(golden, tmp_path) as mail:
        caller = await Importer.of(mail.installation)
        email = "prove@export.example"
        await caller.run([{"email": email}])
        user = await caller.user(email)
        identity = {"provider": "auth0", "user_id": user["identities"][0]["user_id"]}
        answer = await caller.post(
            "/jobs/verification-email", {"user_id": user["user_id"], "identity": identity}
        )
        assert answer.status_code == 201, answer.text
        job = answer.json()
        assert (job["type"], job["status"]) == ("verification_email", "completed")
        assert (await caller.get(f"/jobs/{job['id']}")).json()["status"] == "completed"
        [letter] = await mail.settle()
        assert letter.recipients == (email,)
        assert "/u/email-verification?ticket=" in link_in(letter)
        for body, status in (
            ({"user_id": "auth0|nobody"}, 404),
            ({"user_id": user["user_id"], "identity": {**identity, "provider": "github"}}, 404),
            ({}, 400),
        ):
            assert (await caller.post("/jobs/verification-email", body)).status_code == status, body


async def test_where_no_mail_is_sent_no_such_job_is_begun(caller: Importer) -> None:
    user = (await caller.get("/users", per_page=1)).json()[0]
    answer = await caller.post("/jobs/verification-email", {"user_id": user["user_id"]})
    assert answer.status_code == 400
    assert "mail" in answer.json()["message"]


async def test_a_job_that_failed_says_so_instead_of_rows(installation: Installation) -> None:
    """Its connection went away before it was done; or nobody could finish it, for days."""
    caller = await Importer.of(installation)
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None

    def waiting(connection: Connection) -> str:
        values = {"connection_id": "con_0000000000000000", "total": 1}
        job_id = queue.add_job(connection, queue.IMPORT, now, status="uploading")
        queue.add_part(
            connection, job_id, "input", 0, queue.sealed(tenant.data_key, job_id, "input", 0, b"[{}]")
        )
        queue.begin(connection, tenant.data_key, job_id, now, **values)
        return job_id

    now = int(installation.clock.now() * 1000)
    gone = await tenant.database.write(waiting)
    await installation.running.services.jobs.run_due(tenant)
    job = await caller.ended(gone)
    assert job["status"] == "failed"
    assert job["status_details"] == "The connection does not exist any more."
    told = (await caller.get(f"/jobs/{gone}/errors")).json()
    assert {"id", "type", "status", "created_at", "connection_id", "status_details"} <= told.keys()
    left = await tenant.database.write(waiting)
    now -= queue.GIVEN_UP_MS + 1
    stuck = await tenant.database.write(waiting)
    await tenant.database.write(queue.sweep_jobs, int(installation.clock.now() * 1000))
    assert (await caller.get(f"/jobs/{stuck}")).json()["status_details"] == "The job was given up."
    await installation.running.services.jobs.run_due(tenant)
    assert (await caller.ended(left))["status"] == "failed"
