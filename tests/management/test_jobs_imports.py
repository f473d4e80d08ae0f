"""Users of a file, as Auth0 takes them in: who comes in, who does not and why, and how they sign in afterwards."""

import asyncio
import base64
import hashlib
import json
import secrets
from typing import Any

import argon2
import bcrypt
import pytest

from entrypoints.demo_content import DemoUser
from tenant_runtime import models
from tenant_runtime.jobs import imports, queue
from tests.installation import Installation
from tests.management.importing import Importer
from tests.management.test_users_sessions import operator
from tests.management.world import EVERYTHING, Api, Place

pytestmark = pytest.mark.anyio

PASSWORD = "an imported and rather long password"
SALT = b"sixteen bytes!!!"


@pytest.fixture
async def importer(shared: Installation) -> Importer:
    return await Importer.of(shared)


def address(name: str = "somebody") -> str:
    return f"{name}-{secrets.token_hex(4)}@imported.example"


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")


def hash_of(password: str = PASSWORD) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


HASHED = {
    "password_hash": {"password_hash": hash_of()},
    "bcrypt": {"custom_password_hash": {"algorithm": "bcrypt", "hash": {"value": hash_of()}}},
    "argon2": {
        "custom_password_hash": {
            "algorithm": "argon2",
            "hash": {"value": argon2.PasswordHasher(1, 64, 1).hash(PASSWORD), "encoding": "utf8"},
        }
    },
    "pbkdf2": {
        "custom_password_hash": {
            "algorithm": "pbkdf2",
            "hash": {
                "value": f"$pbkdf2-sha512$i=1000,l=64${b64(SALT)}$"
                + b64(hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), SALT, 1000, 64))
            },
        }
    },
    "scrypt": {
        "custom_password_hash": {
            "algorithm": "scrypt",
            "hash": {
                "value": hashlib.scrypt(PASSWORD.encode(), salt=SALT, n=512, r=8, p=1, dklen=64).hex(),
                "encoding": "hex",
            },
            "salt": {"value": SALT.decode(), "encoding": "utf8"},
            "password": {"encoding": "utf8"},
            "keylen": 64,
            "cost": 512,
            "blockSize": 8,
            "parallelization": 1,
        }
    },
}


async def stored(installation: Installation, user_id: str) -> str | None:
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    return await tenant.database.read(
        lambda connection: connection.exec_driver_sql(
            f"SELECT hash FROM passwords WHERE user_id = '{user_id}'"
        ).scalar()
    )


async def can_sign_in(installation: Installation, email: str, password: str) -> bool:
    async with installation.browser() as http:
        party = installation.relying_party("acme", "spa", http=http)
        party.user = DemoUser(email, password)
        await party.authorize()
        await party.log_in()
        return party.browser.landed is not None and "code" in party.landed


async def test_a_user_comes_in_as_the_file_says_and_the_job_says_how_many(importer: Importer) -> None:
    full = {
        "email": address("Full").upper(),
        "email_verified": True,
        "user_id": f"old-{secrets.token_hex(4)}",
        "username": f"full_{secrets.token_hex(4)}",
        "phone_number": "+4915112345678",
        "name": "Fülle Voll",
        "given_name": "Fülle",
        "family_name": "Voll",
        "nickname": "fv",
        "picture": "https://pictures.example/fv.png",
        "blocked": True,
        "user_metadata": {"theme": "dark"},
        "app_metadata": {"plan": "gold", "limits": {"seats": 3}},
    }
    bare = {"email": address("bare")}
    answer = await importer.send([full, bare], external_id="run 7", send_completion_email="false")
    assert answer.status_code == 202
    made = answer.json()
    assert made["type"] == "users_import"
    assert made["status"] == "pending"
    assert made["connection_id"] == importer.connection_id
    assert made["external_id"] == "run 7"
    job = await importer.ended(made["id"])
    assert job["status"] == "completed"
    assert job["percentage_done"] == 100
    assert job["time_left_seconds"] == 0
    assert job["summary"] == {"failed": 0, "updated": 0, "inserted": 2, "total": 2}
    assert (await importer.get(f"/jobs/{made['id']}/errors")).status_code == 204
    user = await importer.user(full["email"].lower())
    assert user["user_id"] == f"auth0|{full['user_id']}"
    assert user["identities"][0]["user_id"] == full["user_id"]
    assert user == {**user, **full, "user_id": user["user_id"], "email": full["email"].lower()}
    other = await importer.user(bare["email"])
    assert (other["name"], other["email_verified"], other["blocked"]) == (bare["email"], False, False)


@pytest.mark.parametrize("hashed", HASHED.values(), ids=HASHED)
async def test_an_imported_hash_lets_its_person_in_and_is_ours_from_then_on(
    shared: Installation, importer: Importer, hashed: dict[str, Any]
) -> None:
    email = address()
    job = await importer.run([{"email": email, **hashed}])
    assert job["summary"]["inserted"] == 1, await importer.errors(job["id"])
    user_id = (await importer.user(email))["user_id"]
    before = await stored(shared, user_id)
    assert not await can_sign_in(shared, email, PASSWORD + "!")
    assert await stored(shared, user_id) == before
    assert await can_sign_in(shared, email, PASSWORD)
    after = await stored(shared, user_id)
    assert after is not None
    assert after != before
    assert after.startswith("$argon2id$v=19$m=256,t=1")
    assert await can_sign_in(shared, email, PASSWORD)
    assert not await can_sign_in(shared, email, PASSWORD + "!")


SECRET = hash_of("never shown")
WRONG: dict[str, tuple[Any, str, str]] = {
    "no address": ({"name": "x"}, "OBJECT_MISSING_REQUIRED_PROPERTY", "email"),
    "no such address": ({"email": "some@@where@@else"}, "INVALID_FORMAT", "email"),
    "a wrong type": ({"email": "a@b.example", "email_verified": "yes"}, "INVALID_TYPE", "email_verified"),
    "an unknown member": (
        {"email": "a@b.example", "identities": []},
        "OBJECT_ADDITIONAL_PROPERTIES",
        "identities",
    ),
    "an id with a bar": ({"email": "a@b.example", "user_id": "auth0|1"}, "PATTERN", "user_id"),
    "a script as picture": (
        {"email": "a@b.example", "picture": "javascript:alert(1)"},
        "INVALID_FORMAT",
        "picture",
    ),
    "a control character": ({"email": "a@b.example", "name": "a\u0007b"}, "INVALID_FORMAT", "name"),
    "no object": ("somebody", "INVALID_TYPE", ""),
    "md5": (
        {
            "email": "a@b.example",
            "custom_password_hash": {"algorithm": "md5", "hash": {"value": SECRET, "encoding": "hex"}},
        },
        "ENUM_MISMATCH",
        "custom_password_hash.algorithm",
    ),
    "bcrypt that costs too much": (
        {"email": "a@b.example", "password_hash": SECRET.replace("$04$", "$16$")},
        "INVALID_FORMAT",
        "password_hash",
    ),
    "pbkdf2 for hours": (
        {
            "email": "a@b.example",
            "custom_password_hash": {
                "algorithm": "pbkdf2",
                "hash": {"value": f"$pbkdf2-sha256$i=99999999,l=32${b64(SALT)}${b64(bytes(32))}"},
            },
        },
        "INVALID_FORMAT",
        "custom_password_hash",
    ),
    "scrypt in a gigabyte": (
        {
            "email": "a@b.example",
            "custom_password_hash": {
                "algorithm": "scrypt",
                "hash": {"value": "00" * 64, "encoding": "hex"},
                "salt": {"value": "salt"},
                "cost": 2**20,
            },
        },
        "INVALID_FORMAT",
        "custom_password_hash",
    ),
    "two hashes": (
        {"email": "a@b.example", "password_hash": SECRET, **HASHED["bcrypt"]},
        "NOT_PASSED",
        "custom_password_hash",
    ),
}


async def test_each_row_that_is_wrong_says_why_and_the_others_come_in(importer: Importer) -> None:
    good = [{"email": address(f"good{number}")} for number in range(2)]
    rows = [good[0], *(row for row, _, _ in WRONG.values()), good[1]]
    job = await importer.run(rows)
    assert job["status"] == "completed"
    assert job["summary"] == {
        "failed": len(WRONG), "updated": 0, "inserted": 2, "total": len(WRONG) + 2
    }  # fmt: skip
    told = await importer.errors(job["id"])
    for (name, (row, code, path)), one in zip(WRONG.items(), told, strict=True):
        [error] = one["errors"]
        assert (error["code"], error["path"]) == (code, path), (name, error)
        assert error["message"]
        if isinstance(row, dict):
            assert one["user"] == {key: value for key, value in row.items() if "hash" not in key}
    assert SECRET[7:] not in json.dumps(told)


async def test_everything_that_is_wrong_with_a_row_is_said_at_once(importer: Importer) -> None:
    job = await importer.run([{"email": 7, "blocked": "no", "nobody_knows": 1}])
    [told] = await importer.errors(job["id"])
    assert {error["path"] for error in told["errors"]} == {"email", "blocked", "nobody_knows"}


async def test_who_is_there_is_left_alone_or_with_upsert_changed_but_for_how_they_sign_in(
    shared: Installation, importer: Importer
) -> None:
    email, username = address(), f"name_{secrets.token_hex(4)}"
    first = {
        "email": email,
        "username": username,
        "password_hash": hash_of(),
        "app_metadata": {"a": 1, "b": 1},
    }
    await importer.run([first, {**first, "name": "again"}])
    user = await importer.user(email)
    assert user["name"] == email
    second = {
        "email": email,
        "name": "Changed",
        "app_metadata": {"b": 2},
        "password_hash": hash_of("another"),
    }
    job = await importer.run([second])
    assert job["summary"]["failed"] == 1
    assert (await importer.errors(job["id"]))[0]["errors"][0]["code"] == "DUPLICATED_USER"
    job = await importer.run([{**second, "email_verified": True}], upsert="true")
    assert job["summary"] == {"failed": 0, "updated": 1, "inserted": 0, "total": 1}
    changed = await importer.user(email)
    assert (changed["name"], changed["email_verified"]) == ("Changed", True)
    assert changed["app_metadata"] == {"a": 1, "b": 2}
    assert changed["user_id"] == user["user_id"]
    assert not await can_sign_in(shared, email, "another")
    assert await can_sign_in(shared, email, PASSWORD)
    clashes = [
        {"email": address(), "username": username},
        {"email": address(), "user_id": user["user_id"].partition("|")[2]},
        {"email": email, "user_id": "somebody-else"},
    ]
    job = await importer.run(clashes, upsert="true")
    codes = [told["errors"][0]["code"] for told in await importer.errors(job["id"])]
    assert codes == ["CONFLICT_USERNAME", "CONFLICT", "CONFLICT"]
    assert (await importer.user(email))["username"] == username


async def test_a_user_who_is_blocked_by_an_import_is_signed_out(
    shared: Installation, importer: Importer
) -> None:
    email = address()
    await importer.run([{"email": email, "password_hash": hash_of()}])
    async with shared.browser() as http:
        party = shared.relying_party("acme", "web", http=http)
        party.user = DemoUser(email, PASSWORD)
        answer = await party.sign_in(scope="openid offline_access")
        await importer.run([{"email": email, "blocked": True}], upsert="true")
        assert (await party.refresh(answer.refresh_token)).error == "invalid_grant"
        assert (await party.silent())["error"] == "login_required"


MALFORMED = {
    "no JSON": b"email,name",
    "an object": b'{"email": "a@b.example"}',
    "cut off": b'[{"email": "a@b.example"}',
    "a comma too many": b"[{},]",
    "two arrays": b"[][]",
    "no number": b'[{"email": "a@b.example", "app_metadata": {"n": NaN}}]',
    "half a character": b'[{"email": "a@b.example", "name": "\\ud800"}]',
    "no UTF-8": b'[{"name": "\xff"}]',
    "a row without end": b'[{"name": "' + b"x" * 200_000 + b'"}]',
    "depth without end": b"[" * 60_000,
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_a_file_that_is_no_array_of_users_is_refused_and_leaves_nothing(
    shared: Installation, importer: Importer, content: bytes
) -> None:
    answer = await importer.send(content)
    assert answer.status_code == 400, answer.text
    tenant = await shared.running.platform.directory.by_id("acme")
    assert tenant is not None
    left = await tenant.database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT count(*) FROM jobs WHERE status = 'uploading'"
        ).scalar()
    )
    assert left == 0


async def test_a_form_that_is_not_as_it_should_be_is_refused(importer: Importer) -> None:
    for fields in (
        {"connection_id": None},
        {"connection_id": "con_0000000000000000"},
        {"upsert": "perhaps"},
        {"nobody_knows": "1"},
        {"external_id": "x" * 2000},
    ):
        answer = await importer.send([], **fields)
        assert answer.status_code == 400, (fields, answer.text)
    for content, media, status in (
        (b"[]", "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"no form", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data", 415),
    ):
        headers = {"Authorization": f"Bearer {importer.token}", "Content-Type": media}
        url = f"{importer.base}/jobs/users-imports"
        answer = await importer.http.post(url, content=content, headers=headers)
        assert answer.status_code == status, (media, answer.text)
    headers = {
        "Authorization": f"Bearer {importer.token}",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(65 * 1024 * 1024),
    }
    answer = await importer.http.post(f"{importer.base}/jobs/users-imports", content=b"", headers=headers)
    assert answer.status_code == 413
    assert (await importer.run([]))["summary"]["total"] == 0


async def test_a_form_sent_again_with_its_key_imports_once(shared: Installation) -> None:
    importer = await Importer.of(shared, headers={"Idempotency-Key": secrets.token_hex(8)})
    users = [{"email": address()}]
    first, second = await importer.send(users), await importer.send(users)
    assert first.json() == second.json()
    assert (await importer.send([{"email": address()}])).status_code == 422
    assert (await importer.ended(first.json()["id"]))["summary"]["inserted"] == 1


async def test_people_sign_in_while_an_import_goes_on(shared: Installation, importer: Importer) -> None:
    users = [{"email": address(), "password_hash": hash_of("x")} for _ in range(5)]
    users += [{"email": f"crowd-{number}@imported.example"} for number in range(3000)]
    job_id, during = (await importer.send(users)).json()["id"], 0
    while (job := (await importer.get(f"/jobs/{job_id}")).json())["status"] != "completed":
        async with shared.browser() as http:
            await shared.relying_party("acme", http=http).sign_in()
        during += 1
        if job["status"] == "processing" and job["percentage_done"]:
            assert job["percentage_done"] < 100
            assert job["time_left_seconds"] >= 0
    assert during > 1
    assert job["summary"]["inserted"] == len(users)


async def test_an_id_of_a_linked_identity_is_taken_and_the_file_goes_on(importer: Importer) -> None:
    first, second, taken, other = (address(name) for name in ("first", "second", "taken", "other"))
    await importer.run([{"email": first}, {"email": second}])
    first_id, second_id = [(await importer.user(email))["user_id"] for email in (first, second)]
    id = second_id.partition("|")[2]
    linked = await importer.post(f"/users/{first_id}/identities", {"provider": "auth0", "user_id": id})
    assert linked.status_code == 201, linked.text
    job = await importer.run([{"email": taken, "user_id": id}, {"email": other}])
    assert job["summary"] == {"failed": 1, "updated": 0, "inserted": 1, "total": 2}
    [error] = await importer.errors(job["id"])
    assert [(one["code"], one["path"]) for one in error["errors"]] == [("CONFLICT", "user_id")]
    assert (await importer.get(f"/users/{first_id}")).json()["identities"][1]["user_id"] == id


async def test_who_comes_again_by_an_old_id_does_not_bring_old_tokens_back(
    shared: Installation, importer: Importer
) -> None:
    row = {"email": address(), "user_id": f"again-{secrets.token_hex(4)}", "password_hash": hash_of()}
    await importer.run([row])
    async with shared.browser() as http:
        party = shared.relying_party("acme", "spa", http=http)
        party.user = DemoUser(row["email"], PASSWORD)
        tokens = await party.sign_in()
        assert (await party.userinfo(tokens.access_token)).status_code == 200
        gone = await importer.http.delete(
            f"{importer.base}/users/auth0|{row['user_id']}",
            headers={"Authorization": f"Bearer {importer.token}"},
        )
        assert gone.status_code == 204
        await asyncio.sleep(1.0)  # tokens tell seconds
        await importer.run([row])
        assert (await party.userinfo(tokens.access_token)).status_code == 401


@pytest.mark.parametrize("holds_by", ["role", "permission"])
async def test_an_import_changes_no_operator_of_the_platform(one: Place, holds_by: str) -> None:
    user_id = await operator(one, holds_by)
    api = one.with_token(one.token(EVERYTHING))
    [error] = await _upserted(one, api, {"email": "boss@one.example", "blocked": True})
    assert [one["code"] for one in error["errors"]] == ["CONFLICT"]
    assert (await api.get(f"/users/{user_id}")).json()["blocked"] is False


async def test_an_import_proves_no_address_of_somebody_who_may_more_than_who_imports(one: Place) -> None:
    everything, weaker = (
        one.with_token(one.token(held))
        for held in (EVERYTHING, {"create:users", "update:users", "read:users"})
    )
    made = await everything.made("/users", {"email": "ada@one.example", "password": "correct horse battery"})
    row = {"email": "ada@one.example", "email_verified": True, "nickname": "ada"}
    server = one.tenant.management_audience
    held = {"permissions": [{"resource_server_identifier": server, "permission_name": "delete:users"}]}
    assert (await everything.post(f"/users/{made['user_id']}/permissions", held)).is_success
    [error] = await _upserted(one, weaker, row)
    assert [one["path"] for one in error["errors"]] == ["email_verified"]
    shown = (await everything.get(f"/users/{made['user_id']}")).json()
    assert (shown["email_verified"], shown["nickname"]) == (False, made["nickname"])
    assert await _upserted(one, everything, row) == []
    assert (await everything.get(f"/users/{made['user_id']}")).json()["email_verified"] is True


async def _upserted(one: Place, api: Api, row: dict[str, Any]) -> list[Any]:
    [connection_id] = [row.id for row in await one.rows(models.Connection, strategy="auth0")]
    sent = await api.post(
        "/jobs/users-imports",
        data={"connection_id": connection_id, "upsert": "true"},
        files={"users": ("users.json", json.dumps([row]).encode(), "application/json")},
    )
    assert sent.status_code == 202, sent.text
    now = int(one.world.clock.now() * 1000)
    claimed = await one.tenant.database.write(queue.claim, sent.json()["id"], now)
    assert claimed is not None
    while claimed is not None:
        claimed = await imports.do_part(one.tenant, claimed, now)
    told = await api.get(f"/jobs/{sent.json()['id']}/errors")
    errors: list[Any] = told.json() if told.content else []
    return errors
