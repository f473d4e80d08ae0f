"""What somebody brings to be let in is told to whom it is for, and to nobody else: it stands in no file, no log, no log
event and no answer to others, also where it was brought to the wrong place."""

import base64
import io
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tenant_runtime.configuration import configuration
from tests.isolation import kinds
from tests.isolation.conftest import CONTROL_PLANE
from tests.isolation.rows import rows_of
from tests.isolation.sides import Side, Sides, two_sides
from tests.operators import Caller, machine_token

pytestmark = pytest.mark.anyio

SECRETS = {
    "code": kinds.code,
    "refresh token": kinds.refresh_token,
    "access token": kinds.access_token,
    "opaque token": kinds.opaque_token,
    "management token": kinds.management_token,
    "device code": kinds.device_code,
    "user code": kinds.user_code,
    "pushed request": kinds.request_uri,
    "login code": kinds.login_code,
    "reset ticket": kinds.reset_ticket,
    "verification ticket": kinds.verification_ticket,
    "initial access token": kinds.initial_access_token,
    "session": kinds.session,
    "logout token": kinds.logout_token,
    "client assertion": kinds.client_assertion,
    "proof": kinds.proof,
}
WRONG = (
    kinds.redeem, kinds.refresh, kinds.poll, kinds.redeem_otp, kinds.exchange, kinds.enter_user_code,
    kinds.authorize_pushed, kinds.authorize_signed, kinds.open_reset_link, kinds.follow_reset_link, kinds.register,
    kinds.open_verification_link, kinds.follow_verification_link,
    kinds.manage_registration, kinds.continue_session, kinds.hint_of_session, kinds.userinfo, kinds.introspect,
    kinds.manage, kinds.authenticate, kinds.prove, kinds.prove_with_nonce,
)  # fmt: skip


@pytest.fixture(scope="module")
async def sides(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory, log: io.BytesIO
) -> AsyncIterator[Sides]:
    async with two_sides(golden, tmp_path_factory.mktemp("secrets")) as made:
        await made.signed_in()
        yield made


@pytest.fixture(scope="module")
async def values(sides: Sides) -> dict[str, str]:
    """One of everything, by its name, brought to every wrong place of the other tenant."""
    made = await _made(sides.a)
    for bring in WRONG:
        for value in made.values():
            await bring(sides.b, value)
    return made


async def _made(side: Side) -> dict[str, str]:
    """Values that are found wherever they stand, by their names."""
    found = {name: await make(side) for name, make in SECRETS.items()}
    state, form_token, binding = (await kinds.login_state(side)).split(" ")
    own = await kinds.registered(side)
    found |= {"state": state, "form token": form_token, "browser secret": binding}
    found |= {
        "registration access token": own["registration_access_token"],
        "own secret": own["client_secret"],
    }
    found["plain user code"] = found["user code"].replace("-", "")
    found["plain pushed request"] = found["pushed request"].rpartition(":")[2]
    found["password"] = side.user.password
    return found


def _names_in(text: str, values: Mapping[str, str]) -> list[str]:
    """Short ones stand for themselves only between other characters."""
    return [
        name
        for name, value in values.items()
        if value in text and (len(value) > 9 or re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text))
    ]


async def test_no_secret_stands_where_others_could_read_it(
    sides: Sides, values: dict[str, str], log: io.BytesIO
) -> None:
    await sides.a.rows(), await sides.b.rows()  # what was to be logged is, then
    root = sides.a.mail.installation.app.settings.data_dir
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        raw = file.read_bytes()
        long = {name: value for name, value in values.items() if len(value) > 9}
        assert [name for name, value in long.items() if value.encode() in raw] == [], file
        if file.suffix == ".db":
            assert _names_in(str(rows_of(file)), values) == [], file
    said = log.getvalue().decode()
    assert '"path":"/oauth/token"' in said
    assert _names_in(said, values) == []


async def test_no_answer_of_the_management_apis_holds_a_secret(sides: Sides, values: dict[str, str]) -> None:
    mail = sides.a.mail
    plane = mail.installation.demo.control_plane
    token = await machine_token(mail.http, plane.issuer, plane.clients["m2m"], plane.management_audience)
    caller = Caller(mail.http, token)
    documents = {
        sides.a.issuer: "api/v2/openapi.json",
        sides.b.issuer: "api/v2/openapi.json",
        plane.issuer: "api/v2/fleet/openapi.json",
    }
    asked = 0
    for issuer, document in documents.items():
        for path, item in (await mail.http.get(issuer + document)).json()["paths"].items():
            if "get" in item and "{" not in path:
                answer = await caller.call("GET", issuer + path[1:])
                assert _names_in(answer.text, values) == [], path
                asked += answer.status_code == 200
    assert asked > 25


async def test_no_private_key_stands_in_clear_anywhere(sides: Sides, log: io.BytesIO) -> None:
    installation = sides.a.mail.installation
    tenants = [await installation.running.platform.directory.by_id(id) for id in ("acme", CONTROL_PLANE)]
    keys = [
        key for tenant in tenants if tenant for key in (await configuration(tenant)).keys.signing.values()
    ]
    parts = [number for key in keys for number in _private_parts(key.jose.as_dict(private=True))]
    assert len(parts) >= 4
    for file in sorted(path for path in installation.app.settings.data_dir.rglob("*") if path.is_file()):
        raw = file.read_bytes()
        assert not any(part in raw for part in parts), file
    assert not any(part in log.getvalue() for part in parts)
    for side in (sides.a, sides.b):
        answers = [await side.get(".well-known/jwks.json")]
        answers.append(await Caller(side.mail.http, await kinds.management_token(side)).call(
            "GET", f"{side.issuer}api/v2/keys/signing"))  # fmt: skip
        for answer in answers:
            assert answer.status_code == 200
            assert not any(part in answer.content for part in parts)
            assert "PRIVATE" not in answer.text


def _private_parts(jwk: Mapping[str, object]) -> Iterator[bytes]:
    """The number that is the secret, as JSON has it and as it is written in DER."""
    text = str(jwk["d"])
    yield text.encode()
    yield base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_a_letter_that_waits_tells_nobody_its_code(sides: Sides) -> None:
    """Also while it stands in the queue."""
    side = sides.a
    side.mail.server.refuse = lambda _: "450 later"
    body = {**side.credentials(), "connection": "email", "email": kinds.LETTERS, "send": "code"}
    side.mail.begin_a_window()
    assert (await side.stranger.post(f"{side.issuer}passwordless/start", json=body)).status_code == 200
    await side.mail.settle("acme")
    waiting = str(await side.rows())
    assert "deliveries" in waiting
    side.mail.server.refuse = lambda _: None
    side.mail.installation.clock.advance(120)
    code = kinds.code_in((await side.mail.settle("acme"))[-1])
    assert _names_in(waiting, {"code": code}) == []
    assert _names_in(str(await side.rows()), {"code": code}) == []
