"""What one tenant made for somebody is good there and nowhere else, though other tenants have clients of the same
ids and a person of the same id: it is refused, nothing is written, and it is as good as before where it was made
(`specs/bad-inputs.md` 19, 33, 47, 52, 60, 64, 68, 71 to 74, 102, 103, 109)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.crypto import jwt
from core.crypto.keys import PublicKeys
from entrypoints.demo_content import Demo
from tests.isolation import kinds
from tests.isolation.kinds import Make, Use
from tests.isolation.rows import transitions
from tests.isolation.sides import Side, Sides, copy_registered, two_sides

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Row:
    make: Make
    use: Use
    status: int
    says: str = ""
    """In the body or in the address that the answer leads to."""


GRANT, TOKEN, INACTIVE = (400, '"invalid_grant"'), (401, '"invalid_token"'), (200, '{"active":false}')
MADE = {
    "code": Row(kinds.code, kinds.redeem, *GRANT),
    "refresh token": Row(kinds.refresh_token, kinds.refresh, *GRANT),
    "refresh token, introspected": Row(kinds.servers_refresh_token, kinds.introspect, *INACTIVE),
    "device code": Row(kinds.device_code, kinds.poll, *GRANT),
    "user code": Row(kinds.user_code, kinds.enter_user_code, 400, 'name="user_code"'),
    "pushed request": Row(kinds.request_uri, kinds.authorize_pushed, 400, "invalid_request_uri"),
    "request object": Row(kinds.request_object, kinds.authorize_signed, 400, "invalid_request_object"),
    "login code": Row(kinds.login_code, kinds.redeem_otp, *GRANT),
    "reset ticket, looked at": Row(kinds.reset_ticket, kinds.open_reset_link, 403, "This link was used"),
    "reset ticket": Row(kinds.reset_ticket, kinds.follow_reset_link, 403),
    "verification ticket": Row(
        kinds.verification_ticket, kinds.follow_verification_link, 403, "not belong to this browser"
    ),
    "verification ticket, looked at": Row(
        kinds.verification_ticket, kinds.open_verification_link, 403, "This link was used"
    ),
    "initial access token": Row(kinds.initial_access_token, kinds.register, *TOKEN),
    "registration access token": Row(kinds.registration_token, kinds.manage_registration, *TOKEN),
    "form of a login": Row(kinds.login_state, kinds.answer_login_page, 403),
    "state of a login": Row(kinds.login_state, kinds.come_back_to_login, 400),
    "session": Row(kinds.session, kinds.continue_session, 302, "error=login_required"),
    "nonce of proofs": Row(kinds.nonce, kinds.prove_with_nonce, 400, '"use_dpop_nonce"'),
    "proof": Row(kinds.proof, kinds.prove, 400, '"invalid_dpop_proof"'),
    "client assertion": Row(kinds.client_assertion, kinds.authenticate, 401, '"invalid_client"'),
    "hint at /authorize": Row(kinds.id_token, kinds.hint_of_session, 302, "error=invalid_request"),
    "hint at logout": Row(kinds.id_token, kinds.hint_of_logout, 200, 'name="form_token"'),
    "access token at userinfo": Row(kinds.access_token, kinds.userinfo, *TOKEN),
    "access token, introspected": Row(kinds.access_token, kinds.introspect, *INACTIVE),
    "access token, exchanged": Row(kinds.access_token, kinds.exchange, *GRANT),
    "access token at the Management API": Row(kinds.management_token, kinds.manage, *TOKEN),
    "opaque token at userinfo": Row(kinds.opaque_token, kinds.userinfo, *TOKEN),
    "opaque token, introspected": Row(kinds.opaque_token, kinds.introspect, *INACTIVE),
}


@pytest.fixture(scope="module")
async def sides(golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sides]:
    async with two_sides(golden, tmp_path_factory.mktemp("sides")) as made:
        yield made


@pytest.mark.parametrize("name", MADE)
async def test_it_is_refused_elsewhere_and_still_good_at_home(sides: Sides, name: str) -> None:
    row, a = MADE[name], sides.a
    value = await row.make(a)
    for other in (sides.b, sides.plane):
        if name == "registration access token":
            await copy_registered(a, other, value.split(" ")[0])
        await sides.signed_in()
        before = await sides.rows()
        elsewhere = await row.use(other, value)
        assert not elsewhere.accepted, elsewhere.response.text
        said = elsewhere.response.text + elsewhere.response.headers.get("location", "")
        assert (elsewhere.response.status_code, row.says in said) == (row.status, True), said
        assert elsewhere.response.headers["cache-control"] == "no-store"
        assert transitions(before, await sides.rows()) == []
    at_home = await row.use(a, value)
    assert at_home.accepted, (at_home.response.status_code, at_home.response.text)


@pytest.mark.parametrize("name", MADE)
async def test_the_other_tenant_takes_its_own(sides: Sides, name: str) -> None:
    """So that the table above says something: there, too, all of this works."""
    row = MADE[name]
    value = await row.make(sides.b)
    await sides.b.sign_in()
    own = await row.use(sides.b, value)
    assert own.accepted, (own.response.status_code, own.response.text)


@pytest.mark.parametrize(
    ("make", "use"),
    [
        (kinds.servers_refresh_token, kinds.introspect),
        (kinds.access_token, kinds.introspect),
        (kinds.opaque_token, kinds.userinfo),
    ],
)
async def test_a_token_is_taken_back_where_it_was_made_only(sides: Sides, make: Make, use: Use) -> None:
    value = await make(sides.a)
    before = await sides.b.rows()
    for side, is_still_good in ((sides.b, True), (sides.a, False)):
        answer = await side.post("oauth/revoke", {**side.credentials("server"), "token": value})
        assert (answer.status_code, answer.text) == (200, "")
        assert (await use(sides.a, value)).accepted is is_still_good
    assert await sides.b.rows() == before


async def test_a_logout_token_is_its_tenants_and_nothing_but_a_logout_token(sides: Sides) -> None:
    token = await kinds.logout_token(sides.a)
    assert await _says_logout(sides.a, token)
    assert not await _says_logout(sides.b, token)
    for side in (sides.a, sides.b):
        await side.sign_in()
        before = await side.rows()
        for use in (kinds.hint_of_session, kinds.hint_of_logout, kinds.userinfo, kinds.introspect, kinds.exchange,
                    kinds.manage, kinds.authenticate, kinds.authorize_signed, kinds.prove):  # fmt: skip
            assert not (await use(side, token)).accepted, use
        assert await side.rows() == before


async def _says_logout(side: Side, token: str) -> bool:
    """As the client would see it."""
    keys: list[dict[str, Any]] = (await side.get(".well-known/jwks.json")).json()["keys"]
    try:
        claims = jwt.verify(token, PublicKeys(keys), algorithms=("RS256",), typ=("logout+jwt",))
    except jwt.TokenInvalid:
        return False
    return bool(claims["iss"] == side.issuer)


async def test_what_was_used_at_one_tenant_is_not_used_up_at_another(sides: Sides) -> None:
    """The same `jti` by the same key: what is remembered of it is each tenant's own."""
    a, b = sides.a, sides.b
    b.holder.key = a.holder.key
    for side in (a, b):
        nonce = await kinds.nonce(side)
        url = f"{side.issuer}oauth/token"
        form = {"grant_type": "refresh_token", "refresh_token": await kinds.refresh_token(side)}
        proof = side.holder.proof("POST", url, nonce=nonce, jti="the same everywhere")
        answers = [
            await side.post("oauth/token", {**form, **side.credentials()}, DPoP=proof) for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [200, 400], answers[0].text
        assert answers[1].json()["error"] == "invalid_dpop_proof"
