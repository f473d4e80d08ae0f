"""A thing of one kind is nothing of another kind, in the tenant that made it (`specs/bad-inputs.md` 25, 26, 61):
everything is brought to every place that takes something, and only its own places take it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from entrypoints.demo_content import Demo
from tests.isolation import kinds
from tests.isolation.kinds import Make, Outcome, Use
from tests.isolation.sides import Side, two_sides
from tests.protocol.requesters import PAR_PREFIX

pytestmark = pytest.mark.anyio

TYPES = "urn:ietf:params:oauth:token-type:"


@dataclass(frozen=True)
class Ground:
    """The tenant, with what stands there for a place to compare with."""

    side: Side
    page: tuple[str, str, str]
    client_id: str
    """Of a client that registered itself."""

    registration_token: str
    access_token: str


@pytest.fixture(scope="module")
async def ground(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    async with two_sides(golden, tmp_path_factory.mktemp("kinds")) as sides:
        side = sides.a
        await side.sign_in()
        state, form_token, binding = (await kinds.login_state(side)).split(" ")
        client_id, registration_token = (await kinds.registration_token(side)).split(" ")
        page = (state, form_token, binding)
        yield Ground(side, page, client_id, registration_token, await kinds.access_token(side))


async def _state(ground: Ground) -> str:
    return ground.page[0]


async def _form_token(ground: Ground) -> str:
    return ground.page[1]


async def _browser_secret(ground: Ground) -> str:
    return ground.page[2]


async def _registration_token(ground: Ground) -> str:
    return ground.registration_token


async def _client_secret(ground: Ground) -> str:
    return ground.side.credentials("server")["client_secret"]


def _made(make: Make) -> Callable[[Ground], Awaitable[str]]:
    return lambda ground: make(ground.side)


MADE: dict[str, Callable[[Ground], Awaitable[str]]] = {
    "code": _made(kinds.code),
    "refresh token": _made(kinds.refresh_token),
    "device code": _made(kinds.device_code),
    "user code": _made(kinds.user_code),
    "pushed request": _made(kinds.request_uri),
    "request object": _made(kinds.request_object),
    "login code": _made(kinds.login_code),
    "reset ticket": _made(kinds.reset_ticket),
    "verification ticket": _made(kinds.verification_ticket),
    "initial access token": _made(kinds.initial_access_token),
    "registration access token": _registration_token,
    "state": _state,
    "form token": _form_token,
    "browser secret": _browser_secret,
    "session": _made(kinds.session),
    "nonce": _made(kinds.nonce),
    "proof": _made(kinds.proof),
    "client assertion": _made(kinds.client_assertion),
    "client secret": _client_secret,
    "id token": _made(kinds.id_token),
    "logout token": _made(kinds.logout_token),
    "access token": _made(kinds.access_token),
    "opaque token": _made(kinds.opaque_token),
    "management token": _made(kinds.management_token),
}


async def _as_state(ground: Ground, value: str) -> Outcome:
    _, form_token, binding = ground.page
    return await kinds.answer_login_page(ground.side, f"{value} {form_token} {binding}")


async def _as_state_of_a_page(ground: Ground, value: str) -> Outcome:
    return await kinds.come_back_to_login(ground.side, f"{value} x {ground.page[2]}")


async def _as_form_token(ground: Ground, value: str) -> Outcome:
    state, _, binding = ground.page
    return await kinds.answer_login_page(ground.side, f"{state} {value} {binding}")


async def _as_browser_secret(ground: Ground, value: str) -> Outcome:
    state, form_token, _ = ground.page
    return await kinds.answer_login_page(ground.side, f"{state} {form_token} {value}")


async def _as_registration_token(ground: Ground, value: str) -> Outcome:
    return await kinds.manage_registration(ground.side, f"{ground.client_id} {value}")


async def _behind_the_prefix(ground: Ground, value: str) -> Outcome:
    return await kinds.authorize_pushed(ground.side, PAR_PREFIX + value)


async def _as_set_up_link(ground: Ground, value: str) -> Outcome:
    answer = await ground.side.get("u/setup", {"state": value})
    return Outcome(answer.status_code == 200, answer)


async def _as_client_secret(ground: Ground, value: str) -> Outcome:
    credentials = {"client_id": ground.side.client_id("server"), "client_secret": value}
    answer = await ground.side.post("oauth/introspect", {**credentials, "token": "none"})
    return Outcome(answer.status_code == 200, answer)


async def _as_actor(ground: Ground, value: str) -> Outcome:
    return await kinds.exchange(
        ground.side, ground.access_token, actor_token=value, actor_token_type=kinds.ACCESS_TOKEN
    )


async def _as_a_jwt(ground: Ground, value: str) -> Outcome:
    return await kinds.exchange(ground.side, value, subject_token_type=f"{TYPES}jwt")


async def _as_an_id_token(ground: Ground, value: str) -> Outcome:
    return await kinds.exchange(ground.side, value, subject_token_type=f"{TYPES}id_token")


Place = Callable[[Ground, str], Awaitable[Outcome]]


def _of(use: Use) -> Place:
    return lambda ground, value: use(ground.side, value)


PLACES: dict[str, Place] = {
    "code": _of(kinds.redeem),
    "refresh token": _of(kinds.refresh),
    "device code": _of(kinds.poll),
    "user code": _of(kinds.enter_user_code),
    "request_uri": _of(kinds.authorize_pushed),
    "what follows the prefix": _behind_the_prefix,
    "request": _of(kinds.authorize_signed),
    "otp": _of(kinds.redeem_otp),
    "reset link": _of(kinds.open_reset_link),
    "form of the reset link": _of(kinds.follow_reset_link),
    "verification link": _of(kinds.open_verification_link),
    "form of the verification link": _of(kinds.follow_verification_link),
    "set-up link": _as_set_up_link,
    "initial access token": _of(kinds.register),
    "registration access token": _as_registration_token,
    "state of a form": _as_state,
    "state of a page": _as_state_of_a_page,
    "form token": _as_form_token,
    "browser secret": _as_browser_secret,
    "session": _of(kinds.continue_session),
    "nonce": _of(kinds.prove_with_nonce),
    "proof": _of(kinds.prove),
    "client assertion": _of(kinds.authenticate),
    "client secret": _as_client_secret,
    "hint": _of(kinds.hint_of_session),
    "hint of logout": _of(kinds.hint_of_logout),
    "userinfo": _of(kinds.userinfo),
    "introspection": _of(kinds.introspect),
    "exchange": _of(kinds.exchange),
    "exchange as a JWT": _as_a_jwt,
    "exchange as an ID token": _as_an_id_token,
    "actor": _as_actor,
    "Management API": _of(kinds.manage),
}

OWN: dict[str, tuple[str, ...]] = {
    "code": ("code",),
    "refresh token": ("refresh token",),
    "device code": ("device code",),
    "user code": ("user code",),
    "pushed request": ("request_uri",),
    "request object": ("request",),
    "login code": ("otp",),
    "reset ticket": ("reset link", "form of the reset link"),
    "verification ticket": ("verification link", "form of the verification link"),
    "initial access token": ("initial access token",),
    "registration access token": ("registration access token",),
    "state": ("state of a page", "state of a form"),
    "form token": ("form token",),
    "browser secret": ("browser secret",),
    "session": ("session",),
    "nonce": ("nonce",),
    "proof": ("proof",),
    "client assertion": ("client assertion",),
    "client secret": ("client secret",),
    "id token": ("hint", "hint of logout"),
    "logout token": (),
    "access token": ("userinfo", "introspection", "exchange", "exchange as a JWT"),
    "opaque token": ("userinfo", "introspection"),
    "management token": ("Management API",),
}


@pytest.mark.parametrize("kind", MADE)
async def test_it_is_good_at_its_own_places_only(ground: Ground, kind: str) -> None:
    value = await MADE[kind](ground)
    await ground.side.sign_in()
    before = await ground.side.rows()
    for place in PLACES.keys() - OWN[kind]:
        answer = await PLACES[place](ground, value)
        assert not answer.accepted, (place, answer.response.text)
        assert answer.response.status_code < 500, (place, answer.response.text)
    assert await ground.side.rows() == before
    for place in OWN[kind]:
        answer = await PLACES[place](ground, value)
        assert answer.accepted, (place, answer.response.status_code, answer.response.text)
