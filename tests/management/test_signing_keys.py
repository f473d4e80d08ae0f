"""`/api/v2/keys/signing`, and the same by command: rotate, revoke, and who may see what."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from joserfc.jwk import RSAKey
from sqlalchemy import Select, select

from core.crypto import jwt
from tenant_runtime.models import LogEvent, SigningKeyRow
from tests.forks import command
from tests.installation import Installation
from tests.keyholders import ALGORITHMS, keyholder, kid_of, stolen_key
from tests.relying_party import payload

pytestmark = pytest.mark.anyio

DAY = 86400
EVERYTHING_SHOWN = {"kid", "cert", "fingerprint", "thumbprint", "current", "next", "previous", "revoked"}


async def rows_of(installation: Installation, statement: Select[*tuple[Any, ...]]) -> list[Any]:
    """Of acme's database, whatever its engine."""
    tenant = await installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    return await tenant.database.read(lambda connection: list(connection.execute(statement)))


async def test_keys_are_shown_in_auth0s_shape_with_a_certificate_of_the_published_key(
    shared: Installation,
) -> None:
    holder = keyholder(shared)
    await holder.rotate(algorithm="RS256")
    shown, published = await holder.keys(), await holder.published()
    assert shown.keys() == published.keys()
    for kid, key in shown.items():
        assert key.keys() >= EVERYTHING_SHOWN
        assert (await holder.call("GET", f"/keys/signing/{kid}")).json() == key
        certificate = x509.load_pem_x509_certificate(key["cert"].encode())
        assert certificate.issuer == certificate.subject
        if key["alg"] == "RS256":
            assert RSAKey.import_key(certificate.public_key()).thumbprint() == kid
            certificate.verify_directly_issued_by(certificate)
        assert key["thumbprint"] == certificate.fingerprint(SHA1()).hex().upper()
        assert key["fingerprint"].replace(":", "") == key["thumbprint"]
    states = {key["state"]: key for key in shown.values() if key["alg"] == "RS256"}
    assert states.keys() == {"current", "next"}
    assert "current_since" in states["current"]
    assert "activates_at" in states["next"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithms_key_has_a_certificate_in_every_state(
    installation: Installation, algorithm: str
) -> None:
    holder = keyholder(installation)
    first = (await holder.rotate(algorithm=algorithm, immediately=True))["kid"]
    before = (await holder.keys())[first]
    installation.clock.advance(61)
    second = (await holder.rotate(algorithm=algorithm, immediately=True))["kid"]
    await holder.revoke(second)
    after = await holder.keys()
    assert after[first]["cert"] == before["cert"]
    assert (after[first]["state"], after[second]["state"]) == ("previous", "revoked")
    assert after[second]["cert"]


async def test_no_answer_and_no_event_holds_a_private_part(installation: Installation) -> None:
    holder = keyholder(installation)
    rotated = await holder.rotate(immediately=True)
    revoked = await holder.call("PUT", f"/keys/signing/{rotated['kid']}/revoke")
    await installation.running.services.audit.flush()
    listed = await holder.call("GET", "/keys/signing")
    logs = await holder.call("GET", "/logs")
    for text in (json.dumps(rotated), revoked.text, listed.text, logs.text):
        assert "PRIVATE KEY" not in text
        for member in ("private_key", '"d"', '"p"', '"dp"'):
            assert member not in text


async def test_asked_again_a_rotation_answers_the_same_key(installation: Installation) -> None:
    holder = keyholder(installation)
    first, second = await holder.rotate(), await holder.rotate()
    assert first["kid"] == second["kid"]
    assert first["cert"] == second["cert"]
    assert len(await holder.published()) == 2


async def test_a_key_that_was_published_long_enough_signs_at_once(installation: Installation) -> None:
    holder = keyholder(installation)
    made = await holder.rotate()
    installation.clock.advance(DAY - 60)
    token = await holder.token()
    installation.clock.advance(120)
    again = await holder.call("POST", "/keys/signing/rotate", token=token)
    assert again.json()["kid"] == made["kid"], "nobody signed meanwhile: it is this rotation that ends"
    assert again.json()["keys"][0]["state"] == "current"
    assert (await holder.rotate())["kid"] != made["kid"], "and the next one is another"


async def test_without_an_algorithm_all_that_sign_are_rotated(installation: Installation) -> None:
    holder = keyholder(installation)
    await holder.rotate(algorithm="ES256")
    made = await holder.rotate()
    assert {key["alg"] for key in made["keys"]} == {"RS256", "ES256"}
    assert made["kid"] == next(key["kid"] for key in made["keys"] if key["alg"] == "RS256")


@pytest.mark.parametrize("immediately", [False, True])
async def test_many_at_once_end_with_one_new_key(installation: Installation, immediately: bool) -> None:
    holder, token = keyholder(installation), await keyholder(installation).token()
    before = set(await holder.published())
    body = {"immediately": immediately}
    answers = await asyncio.gather(
        *(holder.call("POST", "/keys/signing/rotate", body, token=token) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["kid"] for answer in answers}) == 1
    assert len(set(await holder.published()) - before) == 1


async def test_a_revoked_key_is_gone_at_once_and_so_is_all_it_signed(installation: Installation) -> None:
    holder, rp = keyholder(installation), installation.relying_party("acme")
    answer, token = await rp.sign_in(), await holder.token()
    kid = kid_of(answer.access_token)
    assert (await rp.userinfo(answer.access_token)).status_code == 200
    await holder.revoke(kid)
    assert kid not in await holder.published()
    assert (await rp.userinfo(answer.access_token)).status_code == 401
    assert (await holder.call("GET", "/roles", token=token)).status_code == 401
    form = {"client_id": rp.client.client_id, "client_secret": rp.client.client_secret}
    told = await rp.http.post(f"{rp.issuer}oauth/introspect", data={**form, "token": answer.access_token})
    assert told.json() == {"active": False}
    hinted = await rp.authorize(prompt="none", id_token_hint=answer.body["id_token"])
    assert rp.landed["error"] == "invalid_request", hinted.text
    again = await rp.refresh(answer.refresh_token)
    assert again.status == 200, "the session and the refresh token are not the key's"
    assert kid_of(again.access_token) in await holder.published()
    assert (await rp.userinfo(again.access_token)).status_code == 200


async def test_what_is_signed_with_a_stolen_key_is_refused_once_it_is_revoked(
    installation: Installation,
) -> None:
    holder, key = keyholder(installation), await stolen_key(installation)
    claims = payload(await holder.token())
    for step in range(3):
        forged = jwt.sign({**claims, "exp": claims["exp"] + step}, key, typ="at+jwt")
        status = (await holder.call("GET", "/roles", token=forged)).status_code
        assert status == (200 if step == 0 else 401)
        if step == 0:
            await holder.revoke(key.kid)


async def test_a_revoked_key_of_the_control_plane_opens_no_tenant(installation: Installation) -> None:
    """Operators' tokens are accepted by every tenant: there, too, at once."""
    plane = installation.demo.control_plane
    operator = await installation.operator()
    url = f"{installation.tenant('acme').issuer}api/v2/roles"
    headers = operator._headers
    assert (await installation.http.get(url, headers=headers)).status_code == 200
    keys = await operator.get("/keys/signing")
    kid = next(key["kid"] for key in keys if key["current"])
    revoked = await installation.http.put(f"{plane.issuer}api/v2/keys/signing/{kid}/revoke", headers=headers)
    assert revoked.status_code == 200, revoked.text
    assert (await installation.http.get(url, headers=headers)).status_code == 401
    assert (await installation.http.get(f"{plane.issuer}api/v2/tenants", headers=headers)).status_code == 401


async def test_the_next_key_takes_over_from_one_that_is_revoked(installation: Installation) -> None:
    holder = keyholder(installation)
    (old,) = await holder.published()
    following = (await holder.rotate())["kid"]
    await holder.revoke(old)
    assert set(await holder.published()) == {following}
    assert kid_of(await holder.token()) == following


async def test_the_private_part_of_a_key_that_signs_no_more_is_destroyed(installation: Installation) -> None:
    holder = keyholder(installation)
    await holder.rotate(immediately=True)
    revoked = (await holder.rotate())["kid"]
    await holder.revoke(revoked)
    keys = await rows_of(installation, select(SigningKeyRow.state, SigningKeyRow.private_key))
    lengths = {state: len(private) for state, private in keys}
    assert lengths["current"] > 100
    assert (lengths["previous"], lengths["revoked"]) == (0, 0)


async def test_revoking_twice_is_revoking_once_and_tells_once(installation: Installation) -> None:
    holder = keyholder(installation)
    (kid,) = await holder.published()
    first = await holder.call("PUT", f"/keys/signing/{kid}/revoke")
    second = await holder.call("PUT", f"/keys/signing/{kid}/revoke")
    assert first.json() == second.json()
    assert first.json()["kid"] == kid
    assert len(await holder.published()) == 1
    logs = (await holder.call("GET", "/logs")).json()
    told = [event for event in logs if event.get("description") == "Revoke signing key"]
    assert len(told) == 1
    assert told[0]["type"] == "sapi"
    shown = (await holder.keys())[kid]
    assert shown["revoked"] is True
    assert "revoked_at" in shown


async def test_what_the_time_does_to_keys_is_told_too(installation: Installation) -> None:
    holder = keyholder(installation)
    kid = (await holder.rotate())["kid"]
    installation.clock.advance(DAY + 1)
    await holder.published()
    events = await rows_of(installation, select(LogEvent.details).where(LogEvent.type == "signing_keys"))
    assert len(events) == 1
    assert {"kid": kid, "state": "current"} in events[0][0]["keys"]


async def test_a_key_set_does_not_grow_without_end(installation: Installation) -> None:
    holder, token = keyholder(installation), await keyholder(installation).token()
    statuses = list[int]()
    for _ in range(12):
        answer = await holder.call(
            "POST", "/keys/signing/rotate", {"algorithm": "ES256", "immediately": True}, token=token
        )
        statuses.append(answer.status_code)
        installation.clock.advance(61)
    assert statuses == [201] * 9 + [409] * 3
    assert "revoke those" in answer.json()["message"]
    assert sum(key["alg"] == "ES256" for key in (await holder.published()).values()) == 9


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'"RS256"',
        b"{",
        b'{"algorithm": "HS256"}',
        b'{"algorithm": "none"}',
        b'{"algorithm": ["RS256"]}',
        b'{"immediately": "yes"}',
        b'{"nobody_knows": 1}',
        b'{"publication_hours": 0}',
        b"\xff",
    ],
)
async def test_a_body_that_is_not_understood_rotates_nothing(shared: Installation, body: bytes) -> None:
    holder = keyholder(shared)
    before = await holder.published()
    answer = await shared.http.post(
        f"{holder.tenant.issuer}api/v2/keys/signing/rotate",
        content=body,
        headers={"Authorization": f"Bearer {await holder.token()}", "content-type": "application/json"},
    )
    assert answer.status_code == 400, answer.text
    assert answer.json().keys() == {"statusCode", "error", "message", "errorCode"}
    assert await holder.published() == before


@pytest.mark.parametrize(
    "body", [{"data": {"algorithm": "RS256"}}, {"content": b"x" * 300_000}, {"content": b"algorithm=RS256"}]
)
async def test_a_form_or_a_flood_rotates_nothing(shared: Installation, body: dict[str, Any]) -> None:
    holder = keyholder(shared)
    before = await holder.published()
    answer = await shared.http.post(
        f"{holder.tenant.issuer}api/v2/keys/signing/rotate",
        headers={"Authorization": f"Bearer {await holder.token()}"},
        **body,
    )
    assert answer.status_code in (400, 413), answer.text
    assert await holder.published() == before


@pytest.mark.parametrize("kid", ["nobody", "..", "%00", "x" * 1000])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("PUT", "/revoke")])
async def test_a_key_that_is_nobodys_is_404(shared: Installation, kid: str, method: str, end: str) -> None:
    answer = await keyholder(shared).call(method, f"/keys/signing/{kid}{end}")
    assert answer.status_code in (400, 403, 404), answer.text


async def test_another_tenants_key_is_nobodys(shared: Installation) -> None:
    holder, other = keyholder(shared), keyholder(shared, "globex")
    for kid in await other.published():
        assert (await holder.call("GET", f"/keys/signing/{kid}")).status_code == 404
        assert (await holder.call("PUT", f"/keys/signing/{kid}/revoke")).status_code == 404
        assert kid in await other.published()


async def test_other_kinds_of_keys_are_forbidden_as_what_does_not_exist_is(shared: Installation) -> None:
    holder = keyholder(shared)
    for path in ("/keys/encryption", "/keys/custom-signing", "/keys/encryption/x", "/keys"):
        assert (await holder.call("GET", path)).status_code == 403, path


async def test_rotating_needs_both_permissions(installation: Installation) -> None:
    holder = keyholder(installation)
    key, claims = await stolen_key(installation), payload(await holder.token())
    for scope in ("create:signing_keys", "update:signing_keys", "read:signing_keys"):
        token = jwt.sign({**claims, "scope": scope, "permissions": [scope]}, key, typ="at+jwt")
        answer = await holder.call("POST", "/keys/signing/rotate", token=token)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_scope")
    assert len(await holder.published()) == 1


# --- The command -----------------------------------------------------------------------------------------------------


def keys_command(data: Path, *arguments: str, tenant: str = "acme") -> Any:
    backends = data / "backends.toml"  # on another engine (`tests/engines/carried.py`)
    environ = {"KEYSTEAD_BACKENDS_FILE": str(backends)} if backends.exists() else {}
    return command("keys", *arguments, "--tenant", tenant, "--data", str(data), environ=environ)


async def test_the_command_lists_rotates_and_revokes_while_a_server_runs(installation: Installation) -> None:
    data, holder = installation.app.settings.data_dir, keyholder(installation)
    (old,) = await holder.published()
    listed = await asyncio.to_thread(keys_command, data, "list")
    assert listed.returncode == 0, listed.stderr
    assert old in listed.stdout
    assert "current" in listed.stdout
    rotated = await asyncio.to_thread(keys_command, data, "rotate", "--immediately", "--json")
    assert rotated.returncode == 0, rotated.stderr
    (new,) = [key["kid"] for key in json.loads(rotated.stdout)]
    assert kid_of(await holder.token()) == new
    assert set(await holder.published()) == {old, new}
    revoked = await asyncio.to_thread(keys_command, data, "revoke", "--kid", new)
    assert revoked.returncode == 0, revoked.stderr
    token = await holder.token()
    assert kid_of(token) not in (old, new)
    assert set(await holder.published()) == {old, kid_of(token)}
    told = await rows_of(installation, select(LogEvent.description).where(LogEvent.type == "sapi"))
    assert {text for (text,) in told} >= {
        "Rotate signing keys (command line)",
        "Revoke signing key (command line)",
    }
    assert "PRIVATE" not in listed.stdout + rotated.stdout + revoked.stdout


async def test_the_command_rotates_keys_of_tenant_one(installation: Installation) -> None:
    data, plane = installation.app.settings.data_dir, installation.demo.control_plane
    rotated = await asyncio.to_thread(
        keys_command, data, "rotate", "--algorithm", "ES256", "--json", tenant="control_plane"
    )
    assert rotated.returncode == 0, rotated.stderr
    keys = (await installation.http.get(f"{plane.issuer}.well-known/jwks.json")).json()["keys"]
    assert json.loads(rotated.stdout)[0]["kid"] in {key["kid"] for key in keys}


@pytest.mark.parametrize(
    ("arguments", "tenant", "said"),
    [
        (("list",), "nobody", "no tenant"),
        (("list",), "../acme", "no tenant"),
        (("revoke", "--kid", "nobody"), "acme", "no key"),
        (("rotate", "--algorithm", "HS256"), "acme", "invalid choice"),
        (("revoke",), "acme", "--kid"),
    ],
)
async def test_the_command_says_in_a_sentence_what_is_wrong(
    shared: Installation, arguments: tuple[str, ...], tenant: str, said: str
) -> None:
    ended = await asyncio.to_thread(keys_command, shared.app.settings.data_dir, *arguments, tenant=tenant)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_needs_an_installation(tmp_path: Path) -> None:
    ended = keys_command(tmp_path / "nothing", "list")
    assert ended.returncode == 2
    assert "keystead init" in ended.stderr
    assert not (tmp_path / "nothing").exists()
