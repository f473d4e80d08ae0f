"""RFC 9101: signed authorization requests, by value and pushed; `specs/bad-inputs.md` 45."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jws import JWSRegistry

from core.crypto import jwt
from core.crypto.keys import SigningKey
from tenant_runtime.oauth.authorization.parameters import KNOWN
from tests.login.world import API, CALLBACK, World, answer_of, claims_of
from tests.protocol.requesters import (
    KEYS,
    PAR_PREFIX,
    STRANGER,
    Requester,
    add_key,
    count,
    is_page,
    make_requester,
    unsigned,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web(world: World) -> Requester:
    await world.acme.make_user()
    return await make_requester(world)


# --- By value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("typ", ["oauth-authz-req+jwt", "JWT", "", "application/oauth-authz-req+jwt"])
async def test_a_signed_request_is_all_that_a_client_sends(world: World, key: SigningKey, typ: str) -> None:
    await world.acme.make_user()
    web = await make_requester(world, key=key)
    answer = await web.log_in(request=web.signed(typ=typ))
    assert answer["state"] == web.visitor.parameters()["state"]
    tokens = (await web.redeem(answer["code"])).json()
    assert claims_of(tokens["id_token"])["nonce"] == "n-1"


async def test_only_what_the_object_says_counts(web: Requester) -> None:
    outside = {
        "state": "outside", "scope": "openid email", "nonce": "outside", "response_type": "token", "prompt": "none",
        "redirect_uri": "https://evil.example/", "response_mode": "fragment", "audience": "https://nobody.example/",
    }  # fmt: skip
    answer = await web.log_in(request=web.signed(state="inside", nonce=None, audience=API), **outside)
    assert answer["state"] == "inside"
    tokens = (await web.redeem(answer["code"])).json()
    assert tokens["scope"] == "openid"
    assert claims_of(tokens["access_token"])["aud"] == [API, web.place.origin + "/userinfo"]
    assert "nonce" not in claims_of(tokens["id_token"])


async def test_parameters_may_be_json_where_they_are_no_text(web: Requester) -> None:
    wanted = {"userinfo": {"name": {"essential": True}}}
    answer = await web.log_in(request=web.signed(max_age=3600, claims=wanted, resource=[API]))
    tokens = (await web.redeem(answer["code"])).json()
    assert claims_of(tokens["access_token"])["aud"] == [API, web.place.origin + "/userinfo"]
    ((stored,),) = await web.place.run("SELECT claims FROM authorization_codes")
    assert "essential" in stored


async def test_the_key_need_not_be_named_where_one_fits(web: Requester) -> None:
    signed = jwt.sign(web.claims(), SigningKey.from_der(web.key.kid, "ES256", web.key.to_der()), typ="JWT")
    assert (await web.authorize(request=signed)).status_code == 302


async def test_one_object_may_be_used_again_while_it_is_good(world: World, web: Requester) -> None:
    signed = web.signed(jti="once")
    for _ in range(2):
        assert (await web.authorize(request=signed)).headers["location"].startswith("/u/login/")
    world.clock.move(301)
    assert is_page(await web.authorize(request=signed), "invalid_request_object")


async def test_an_object_without_times_is_good_and_a_login_with_it_outlives_it(
    world: World, web: Requester
) -> None:
    assert (await web.authorize(request=web.signed(exp=None, iat=None))).status_code == 302
    await web.visitor.browser.open("/authorize", client_id=web.client_id, request=web.signed())
    world.clock.move(600)
    await web.visitor.browser.submit({"email": "ada@example.com"})
    await web.visitor.browser.submit({"password": "correct horse"})
    assert "code" in web.visitor.browser.parameters()


Change = dict[str, Any]
WRONG: dict[str, Change] = {
    "expired": {"exp": 1},
    "expiry is no number": {"exp": "soon"},
    "not yet": {"nbf": 4_000_000_000},
    "made in the future": {"iat": 4_000_000_000},
    "another issuer": {"aud": "https://globex.example/"},
    "issuers without this one": {"aud": ["https://globex.example/", "x"]},
    "audience is an object": {"aud": {"x": 1}},
    "made by somebody else": {"iss": "somebody"},
    "maker is a list": {"iss": ["somebody"]},
    "no client": {"client_id": None},
    "another client": {"client_id": "somebody"},
    "a request inside": {"request": "e30.e30.e30"},
    "a reference inside": {"request_uri": PAR_PREFIX + "x"},
    "state is a number": {"state": 1},
    "scope is a list": {"scope": ["openid"]},
    "max_age is true": {"max_age": True},
    "nonce is an object": {"nonce": {}},
    "resources are numbers": {"resource": [1]},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
async def test_an_object_that_is_not_good_is_refused(web: Requester, changes: Change) -> None:
    assert is_page(await web.authorize(request=web.signed(**changes)), "invalid_request_object")
    assert await count(web.place, "authorization_requests") == 0


Forge = Callable[[Requester], str]
FORGED: dict[str, Forge] = {
    "unsigned": lambda web: unsigned(web.claims()),
    "unsigned, with a signature": lambda web: unsigned(web.claims(), "none", "e30"),
    "None": lambda web: unsigned(web.claims(), "None"),
    "a stranger's": lambda web: web.signed(key=STRANGER),
    "a stranger's by the name of the client's key": lambda web: web.signed(
        key=SigningKey.from_der(web.key.kid, "ES256", STRANGER.to_der())
    ),
    "another algorithm": lambda web: web.signed(
        key=SigningKey.from_der(web.key.kid, "RS256", KEYS["RS256"].to_der())
    ),
    "changed": lambda web: ".".join(
        (web.signed().split(".")[0], unsigned(web.claims()).split(".")[1], "e30")
    ),
    "symmetric": lambda web: unsigned(web.claims(), "HS256", "e30"),
    "expiry is null": lambda web: jwt.sign({**web.claims(), "exp": None}, web.key, typ="JWT"),
    "another type": lambda web: web.signed(typ="at+jwt"),
    "an assertion's type": lambda web: web.signed(typ="client-authentication+jwt"),
    "encrypted": lambda web: "e30.e30.e30.e30.e30",
    "nothing": lambda web: "x",
    "dots": lambda web: "." * 10_000,
    "too long": lambda web: web.signed(state="x" * 20_000),
    "nested": lambda web: web.signed(claims={"a": "x"}) + "x",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_what_the_client_did_not_sign_is_refused(web: Requester, forge: Forge) -> None:
    forged = forge(web)
    assert is_page(await web.authorize(request=forged), "invalid_request_object")
    pushed = await web.push(request=forged)
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_request_object")
    for table in ("authorization_requests", "pushed_requests"):
        assert await count(web.place, table) == 0


async def test_what_is_wrong_is_told_to_the_client_where_its_address_stands_outside(web: Requester) -> None:
    answer = answer_of(await web.authorize(request="x.y.z", redirect_uri=CALLBACK, state="outside"))
    assert (answer["error"], answer["state"]) == ("invalid_request_object", "outside")
    wrong = await web.authorize(request="x.y.z", redirect_uri="https://evil.example/")
    assert is_page(wrong, "invalid_request_object")
    inside = answer_of(await web.authorize(request=web.signed(scope='"')))
    assert (inside["error"], inside["state"]) == ("invalid_scope", web.visitor.parameters()["state"])


async def test_the_address_inside_wins_and_one_outside_alone_is_refused(web: Requester) -> None:
    other = CALLBACK + "/other"
    await web.place.run(f'UPDATE clients SET callbacks = \'["{CALLBACK}", "{other}"]\'')
    inside = await web.authorize(request=web.signed(redirect_uri=other, prompt="none"), redirect_uri=CALLBACK)
    assert inside.headers["location"].startswith(other + "?")
    outside = await web.authorize(request=web.signed(redirect_uri=None), redirect_uri=CALLBACK)
    assert answer_of(outside)["error"] == "invalid_request_object"
    assert is_page(await web.authorize(request=web.signed(redirect_uri="https://evil.example/")))
    assert is_page(await web.authorize(request=web.signed(redirect_uri=None)))
    assert await count(web.place, "authorization_requests") == 0


async def test_an_object_of_another_client_or_tenant_is_refused(world: World) -> None:
    same = "the-same-client-id"
    here = await make_requester(world, client_id=same)
    there = await make_requester(world, world.globex, client_id=same, key=KEYS["EdDSA"])
    other = await make_requester(world, key=STRANGER)
    assert is_page(
        await here.authorize(request=other.signed(client_id=same, iss=same)), "invalid_request_object"
    )
    assert is_page(await here.authorize(request=other.signed()), "invalid_request_object")
    theirs = there.signed(aud=here.place.tenant.issuer)
    assert is_page(await here.authorize(request=theirs), "invalid_request_object")
    await add_key(world.globex, same, here.key)
    await world.globex.run("UPDATE tenant SET config_version = config_version + 1")
    assert is_page(await there.authorize(request=here.signed()), "invalid_request_object")
    assert (await there.authorize(request=here.signed(aud=there.place.tenant.issuer))).status_code == 302


async def test_a_client_without_keys_signs_nothing_and_has_nothing_fetched(world: World) -> None:
    bare = await make_requester(world, has_key=False)
    assert is_page(await bare.authorize(request=bare.signed()), "invalid_request_object")
    assert is_page(
        await bare.authorize(request_uri="https://app.example.com/r.jwt"), "invalid_request_object"
    )


async def test_a_key_that_is_over_signs_nothing(world: World, web: Requester) -> None:
    await web.place.run("UPDATE client_keys SET expires_at = :then", then=web.place.ms + 10_000)
    await web.place.run("UPDATE tenant SET config_version = config_version + 1")
    assert (await web.authorize(request=web.signed())).status_code == 302
    world.clock.move(11)
    assert is_page(await web.authorize(request=web.signed()), "invalid_request_object")


async def test_where_keys_are_named_for_it_no_other_key_signs_a_request(world: World, web: Requester) -> None:
    named, other = KEYS["EdDSA"], web.key
    await add_key(world.acme, web.client_id, named, id="cred_named")
    for credentials, good in (
        ("[]", {named, other}),
        ('[{"id": "cred_named"}]', {named}),
        ('[{"id": "x"}]', set()),
    ):
        chosen = f'{{"required": true, "credentials": {credentials}}}'
        await world.acme.run("UPDATE clients SET signed_request_object = :chosen", chosen=chosen)
        await world.acme.run("UPDATE tenant SET config_version = config_version + 1")
        for key in (named, other):
            response = await web.authorize(request=web.signed(key=key))
            assert response.status_code == (302 if key in good else 400)


async def test_a_client_that_must_sign_is_refused_what_is_not_signed(world: World) -> None:
    await world.acme.make_user()
    strict = await make_requester(world, confidential=True, signed_request_object={"required": True})
    assert answer_of(await strict.visitor.authorize())["error"] == "invalid_request"
    refused = await strict.push()
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert is_page(await strict.authorize(request=unsigned(strict.claims())), "invalid_request_object")
    assert "code" in await strict.log_in(request=strict.signed())
    assert "code" in await strict.log_in(request_uri=await strict.pushed(request=strict.signed()))


async def test_two_objects_or_an_object_and_a_reference_are_refused(web: Requester) -> None:
    signed = web.signed()
    pairs = [("client_id", web.client_id), ("request", signed), ("request", signed)]
    assert is_page(await web.visitor.http.get("/authorize", params=[*pairs, ("redirect_uri", "x")]))
    answer = await web.visitor.http.get("/authorize", params=[*pairs, *web.visitor.parameters().items()][1:])
    assert answer_of(answer)["error"] == "invalid_request"
    both = await web.authorize(
        request=signed, request_uri="https://app.example.com/r.jwt", redirect_uri=CALLBACK
    )
    assert answer_of(both)["error"] == "invalid_request"


ODD: list[Any] = [
    None, True, 0, -1, 10**40, 1.5, "", " ", "\0", "a\r\nb", "x" * 9000, "\u202e\ufeff", [], [None], ["", ""],
    [[[]]], {}, {"": ""}, {"id_token": {"acr": {"essential": True, "values": [[]]}}},
    {"id_token": {"sub": {"value": []}}},
    {"userinfo": {"a": {"value": 10**30}}}, '{"id_token": 1}', "[" * 2000,
]  # fmt: skip


@pytest.mark.parametrize(
    "name", [*sorted(KNOWN), "iss", "aud", "exp", "nbf", "iat", "sub", "jti", "pushed", "signed"]
)
async def test_no_value_of_a_member_is_a_server_error(web: Requester, name: str) -> None:
    for value in ODD:
        claims = {**web.claims(prompt="none"), name: value}
        response = await web.authorize(request=encoded_and_signed(claims, web.key))
        assert response.status_code in (302, 400, 403), (name, value, response.text)
        pushed = await web.push(request=encoded_and_signed(claims, web.key))
        assert pushed.status_code in (201, 400), (name, value, pushed.text)
        assert "server_error" not in response.headers.get("location", "") + pushed.text


def encoded_and_signed(claims: dict[str, Any], key: SigningKey) -> str:
    """By a JSON encoder that writes numbers of any size."""
    parts = [unsigned({"alg": key.alg, "kid": key.kid}), unsigned(claims)]
    text = ".".join(part.split(".")[1] for part in parts)
    signature = JWSRegistry.algorithms[key.alg].sign(text.encode(), key.jose)
    return f"{text}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


# --- In a pushed request ---------------------------------------------------------------------------------------------


async def test_a_signed_request_may_be_pushed_and_then_it_alone_counts(web: Requester) -> None:
    request_uri = await web.pushed(request=web.signed(state="inside"), state="outside", response_type="token")
    assert (await web.log_in(request_uri=request_uri))["state"] == "inside"


async def test_a_signed_request_is_pushed_by_the_client_it_names(world: World, web: Requester) -> None:
    other = await make_requester(world, key=STRANGER)
    for signed in (other.signed(), other.signed(client_id=web.client_id)):
        refused = await web.push(request=signed)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request_object")
    assert (await web.push(request=web.signed(scope='"'))).json()["error"] == "invalid_scope"
    assert (await web.push(request=web.signed(redirect_uri="https://evil.example/"))).status_code == 400
    assert await count(web.place, "pushed_requests") == 0
