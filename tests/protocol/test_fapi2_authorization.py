"""FAPI 2.0 Security Profile at the authorization endpoint (`specs/protocol.md` 2.7): a client that proves itself by its
key, pushes its requests and binds its tokens."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from core.crypto import jwt
from core.crypto.keys import SigningKey
from core.ids import new_secret
from tests.holder import Holder
from tests.login.world import CALLBACK, VERIFIER, World, answer_of, claims_of
from tests.protocol.requesters import KEYS, STRANGER, Requester, count, is_page, make_requester

pytestmark = pytest.mark.anyio

FAPI = "fapi2_sp_pkj_dpop"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Fapi:
    """A client of the profile, and the key it holds."""

    web: Requester
    holder: Holder = field(init=False)

    def __post_init__(self) -> None:
        self.holder = Holder(self.web.world.clock.now)

    @property
    def origin(self) -> str:
        return self.web.place.origin

    def assertion(self, *, key: SigningKey | None = None, **changes: Any) -> dict[str, str]:
        now, name = int(self.web.world.clock.now()), self.web.client_id
        claims = {
            "iss": name, "sub": name, "aud": self.web.place.tenant.issuer, "jti": new_secret(), "iat": now,
            "exp": now + 60,
        }  # fmt: skip
        made = {key: value for key, value in (claims | changes).items() if value is not None}
        text = jwt.sign(made, key or self.web.key, typ="JWT")
        return {"client_assertion_type": JWT_BEARER, "client_assertion": text}

    async def push(self, proof: bool = False, **changes: str | None) -> httpx.Response:
        data = self.web.visitor.parameters(**{**self.assertion(), **changes})
        if proof:
            return await self.holder.send(
                self.web.visitor.http, "POST", f"{self.origin}/oauth/par", data=data
            )
        return await self.web.visitor.http.post("/oauth/par", data=data)

    async def pushed(self, proof: bool = False, **changes: str | None) -> str:
        answer = await self.push(proof, **changes)
        assert answer.status_code == 201, answer.text
        request_uri: str = answer.json()["request_uri"]
        return request_uri

    async def code(self, proof: bool = False, **changes: str | None) -> str:
        return (await self.web.log_in(request_uri=await self.pushed(proof, **changes)))["code"]

    async def redeem(self, code: str, holder: Holder | None = None, **changes: str | None) -> httpx.Response:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
            "client_id": self.web.client_id, **self.assertion(), **changes,
        }  # fmt: skip
        data = {name: value for name, value in form.items() if value is not None}
        url = f"{self.origin}/oauth/token"
        return await (holder or self.holder).send(self.web.visitor.http, "POST", url, data=data)


async def make_fapi(world: World, **values: Any) -> Fapi:
    wanted = {"compliance_level": FAPI, "token_endpoint_auth_method": "private_key_jwt"}
    return Fapi(await make_requester(world, **wanted | values))


@pytest.fixture
async def fapi(world: World) -> Fapi:
    await world.acme.make_user()
    return await make_fapi(world)


# --- What succeeds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
async def test_a_login_of_the_profile(world: World, alg: str) -> None:
    await world.acme.make_user()
    for _ in range(2):
        fapi = await make_fapi(world, key=KEYS[alg])
        answer = await fapi.web.log_in(request_uri=await fapi.pushed())
        assert answer["iss"] == world.acme.tenant.issuer
        tokens = await fapi.redeem(answer["code"])
        assert tokens.status_code == 200, tokens.text
        assert tokens.json()["token_type"] == "DPoP"
        assert claims_of(tokens.json()["id_token"])["nonce"] == "n-1"


@pytest.mark.parametrize("length", [1, 64, 384, 2048])
async def test_state_and_nonce_come_back_whole(fapi: Fapi, length: int) -> None:
    state, nonce = "s" * length, "n" * length
    answer = await fapi.web.log_in(request_uri=await fapi.pushed(state=state, nonce=nonce))
    assert answer["state"] == state
    assert claims_of((await fapi.redeem(answer["code"])).json()["id_token"])["nonce"] == nonce


async def test_what_cannot_come_back_whole_is_refused_before_anything(fapi: Fapi) -> None:
    for name, length in (("state", 4097), ("nonce", 2049)):
        refused = await fapi.push(**{name: "x" * length})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert await count(fapi.web.place, "pushed_requests") == 0


async def test_state_and_nonce_may_be_left_out(fapi: Fapi) -> None:
    answer = await fapi.web.log_in(request_uri=await fapi.pushed(state=None, nonce=None))
    assert set(answer) == {"code", "iss"}
    assert "nonce" not in claims_of((await fapi.redeem(answer["code"])).json()["id_token"])


async def test_order_of_scopes_and_claims_change_nothing(fapi: Fapi) -> None:
    for changes in (
        {"scope": "email openid profile"},
        {"claims": '{"id_token": {"auth_time": {"essential": true}}}'},
    ):
        code = await fapi.code(**changes)
        assert (await fapi.redeem(code)).status_code == 200


async def test_display_and_locales_are_accepted(fapi: Fapi) -> None:
    assert await fapi.code(display="popup", claims_locales="se", ui_locales="se en", acr_values="a b")


async def test_a_pushed_request_may_be_signed_too(fapi: Fapi) -> None:
    signed = fapi.web.signed(state="inside")
    assert (await fapi.web.log_in(request_uri=await fapi.pushed(request=signed)))["state"] == "inside"
    endless = fapi.web.signed(exp=None)
    by_rs256 = fapi.web.signed(key=SigningKey.from_der(fapi.web.key.kid, "RS256", KEYS["RS256"].to_der()))
    for request in (endless, by_rs256):
        assert (await fapi.push(request=request)).json()["error"] == "invalid_request_object"


# --- Pushing ---------------------------------------------------------------------------------------------------------


async def test_what_was_not_pushed_is_refused(fapi: Fapi) -> None:
    assert answer_of(await fapi.web.visitor.authorize())["error"] == "invalid_request"
    assert answer_of(await fapi.web.visitor.authorize(prompt="none"))["error"] == "invalid_request"
    signed = await fapi.web.authorize(request=fapi.web.signed())
    assert answer_of(signed)["error"] == "invalid_request"
    assert is_page(await fapi.web.visitor.authorize(redirect_uri="https://evil.example/"))
    assert await count(fapi.web.place, "authorization_requests") == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
    ],
)
async def test_what_the_profile_forbids_is_refused(
    fapi: Fapi, changes: dict[str, str | None], error: str
) -> None:
    refused = await fapi.push(**changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert await count(fapi.web.place, "pushed_requests") == 0


async def test_pkce_is_required_also_where_the_client_was_excused(world: World) -> None:
    fapi = await make_fapi(world, require_pkce=False)
    refused = await fapi.push(code_challenge=None, code_challenge_method=None)
    assert refused.json()["error"] == "invalid_request"


async def test_the_assertion_at_this_endpoint_is_for_the_issuer_as_one_text(fapi: Fapi) -> None:
    issuer = fapi.web.place.tenant.issuer
    for audience in (
        [issuer],
        f"{issuer}oauth/par",
        f"{issuer}oauth/token",
        "https://globex.example/",
        [],
        None,
    ):
        refused = await fapi.push(**fapi.assertion(aud=audience))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), audience
    assert await count(fapi.web.place, "pushed_requests") == 0


async def test_an_assertion_that_proves_nothing_pushes_nothing(world: World, fapi: Fapi) -> None:
    now = int(world.clock.now())
    other = await make_fapi(world, key=KEYS["EdDSA"])
    rs256 = SigningKey.from_der(fapi.web.key.kid, "RS256", KEYS["RS256"].to_der())
    wrong: list[dict[str, str | None]] = [
        {"client_assertion": None, "client_assertion_type": None},
        {"client_assertion_type": None},
        {"client_id": other.web.client_id},
        {**other.assertion()},
        {**fapi.assertion(key=STRANGER)},
        {**fapi.assertion(key=rs256)},
        {**fapi.assertion(exp=now - 300)},
        {**fapi.assertion(sub=None)},
        {**fapi.assertion(nbf=now + 60)},
        {**fapi.assertion(iat=now + 60)},
    ]
    for changes in wrong:
        refused = await fapi.push(**changes)
        assert refused.status_code in (400, 401), changes
        assert refused.json()["error"] in ("invalid_client", "invalid_request")
    assert await count(world.acme, "pushed_requests") == 0
    assert (await fapi.push(**fapi.assertion(nbf=now + 8, iat=now + 8))).status_code == 201


async def test_an_assertion_pushes_once(fapi: Fapi) -> None:
    assertion = fapi.assertion()
    refused = await fapi.push(**assertion, scope='"')
    assert refused.json()["error"] == "invalid_scope"
    assert (await fapi.push(**assertion)).status_code == 201
    assert (await fapi.push(**assertion)).json()["error"] == "invalid_client"
    assert await count(fapi.web.place, "pushed_requests") == 1


async def test_a_reference_is_for_its_client_for_its_time_and_for_one_login(world: World, fapi: Fapi) -> None:
    other = await make_fapi(world, key=KEYS["EdDSA"])
    request_uri = await fapi.pushed()
    assert is_page(await other.web.authorize(request_uri=request_uri), "invalid_request_uri")
    for _ in range(2):
        assert (await fapi.web.authorize(request_uri=request_uri)).status_code == 302
    assert "code" in await fapi.web.log_in(request_uri=request_uri)
    assert is_page(await fapi.web.authorize(request_uri=request_uri), "invalid_request_uri")
    late = await fapi.pushed()
    world.clock.move(61)
    assert is_page(await fapi.web.authorize(request_uri=late), "invalid_request_uri")


# --- The code --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"code_verifier": None}, {"code_verifier": "b" * 43}, {"redirect_uri": None}]
)
async def test_a_code_without_its_verifier_is_worth_nothing(
    fapi: Fapi, changes: dict[str, str | None]
) -> None:
    refused = await fapi.redeem(await fapi.code(), **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


async def test_a_code_is_its_clients_alone(world: World, fapi: Fapi) -> None:
    other = await make_fapi(world, key=KEYS["EdDSA"])
    code = await fapi.code()
    refused = await other.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await fapi.redeem(code)).status_code == 200


async def test_a_code_is_good_once_and_for_a_minute(world: World, fapi: Fapi) -> None:
    code = await fapi.code()
    assert (await fapi.redeem(code)).status_code == 200
    world.clock.move(1)
    assert (await fapi.redeem(code)).json()["error"] == "invalid_grant"
    late = await fapi.code()
    world.clock.move(60)
    assert (await fapi.redeem(late)).json()["error"] == "invalid_grant"


# --- The key ---------------------------------------------------------------------------------------------------------


async def test_a_proof_at_the_endpoint_binds_the_code(fapi: Fapi) -> None:
    code = await fapi.code(proof=True)
    refused = await fapi.redeem(code, Holder(fapi.web.world.clock.now))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await fapi.redeem(await fapi.code(proof=True))).status_code == 200


async def test_dpop_jkt_binds_the_code(fapi: Fapi) -> None:
    code = await fapi.code(dpop_jkt=fapi.holder.jkt)
    refused = await fapi.redeem(code, Holder(fapi.web.world.clock.now))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await fapi.redeem(await fapi.code(dpop_jkt=fapi.holder.jkt))).status_code == 200


async def test_a_proof_and_dpop_jkt_name_one_key(fapi: Fapi) -> None:
    assert (await fapi.push(True, dpop_jkt=fapi.holder.jkt)).status_code == 201
    refused = await fapi.push(True, dpop_jkt=Holder(fapi.web.world.clock.now).jkt)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    assert await count(fapi.web.place, "pushed_requests") == 1


async def test_a_proof_that_is_none_pushes_nothing(fapi: Fapi) -> None:
    await fapi.pushed(proof=True)  # the nonce is known now
    http, holder = fapi.web.visitor.http, fapi.holder
    for proof in (
        "x", holder.proof("GET", f"{fapi.origin}/oauth/par"), holder.proof("POST", f"{fapi.origin}/oauth/token"),
    ):  # fmt: skip
        data = fapi.web.visitor.parameters(**fapi.assertion())
        refused = await http.post("/oauth/par", data=data, headers={"DPoP": proof})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_dpop_proof")
    again = holder.proof("POST", f"{fapi.origin}/oauth/par")
    answers = []
    for _ in range(2):
        data = fapi.web.visitor.parameters(**fapi.assertion())
        answers.append(await http.post("/oauth/par", data=data, headers={"DPoP": again}))
    assert [answer.status_code for answer in answers] == [201, 400]


async def test_a_nonce_is_asked_for_before_the_assertion_is_spent(fapi: Fapi) -> None:
    data = fapi.web.visitor.parameters(**fapi.assertion())
    url = f"{fapi.origin}/oauth/par"
    asked = await fapi.web.visitor.http.post(url, data=data, headers={"DPoP": fapi.holder.proof("POST", url)})
    assert (asked.status_code, asked.json()["error"]) == (400, "use_dpop_nonce")
    fapi.holder.nonce = asked.headers["dpop-nonce"]
    proof = fapi.holder.proof("POST", url)
    assert (await fapi.web.visitor.http.post(url, data=data, headers={"DPoP": proof})).status_code == 201


# --- The person ------------------------------------------------------------------------------------------------------


async def test_a_person_who_does_not_consent_is_access_denied(world: World) -> None:
    await world.acme.make_user()
    fapi = await make_fapi(world, is_first_party=False)
    browser = fapi.web.visitor.browser
    await browser.open("/authorize", client_id=fapi.web.client_id, request_uri=await fapi.pushed())
    await browser.submit({"email": "ada@example.com"})
    await browser.submit({"password": "correct horse"})
    await browser.submit({"decision": "deny"})
    answer = browser.parameters()
    assert (answer["error"], answer["state"]) == ("access_denied", "s t&te")
    assert "code" not in answer


async def test_a_person_who_cancels_at_the_login_is_access_denied(fapi: Fapi) -> None:
    for steps in ([], [{"email": "ada@example.com"}]):
        request_uri = await fapi.pushed()
        browser = fapi.web.browser().visitor.browser
        await browser.open("/authorize", client_id=fapi.web.client_id, request_uri=request_uri)
        for step in steps:
            await browser.submit(step)
        [form] = [form for form in browser.forms() if ("decision", "cancel") in form.buttons]
        assert form.method == "post"
        await browser.submit(button=("decision", "cancel"))
        answer = browser.parameters()
        assert (answer["error"], answer["state"]) == ("access_denied", "s t&te")
        assert "code" not in answer
        again = await fapi.web.authorize(request_uri=request_uri)
        assert again.status_code == 302  # no code was issued
