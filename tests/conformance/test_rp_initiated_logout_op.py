"""The RP-Initiated Logout OP profile: each row of `oidcc-rp-initiated-logout…`, against all tenants at once."""

import base64
import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.conformance.conftest import Module, Suite
from tests.conformance.op import LOGGED_OUT, Op

pytestmark = pytest.mark.anyio

STRANGER = RSAKey.generate_key(2048, auto_kid=True)


async def leave(op: Op, **parameters: str) -> httpx.Response:
    return await op.browser.open(f"{op.metadata['end_session_endpoint']}?{urlencode(parameters)}")


async def assert_logged_out(op: Op) -> None:
    await op.open(prompt="none")
    assert op.landed()["error"] == "login_required"


async def assert_still_logged_in(op: Op) -> None:
    await op.open(prompt="none")
    assert "code" in op.landed()


def sent_to(op: Op) -> dict[str, str]:
    assert op.browser.landed is not None
    assert op.browser.landed.partition("?")[0] == LOGGED_OUT
    return dict(parse_qsl(urlsplit(op.browser.landed).query))


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


async def with_state(op: Op) -> None:
    """`oidcc-rp-initiated-logout`."""
    tokens = await op.tokens()
    await leave(op, id_token_hint=tokens["id_token"], post_logout_redirect_uri=LOGGED_OUT, state="bye")
    assert sent_to(op) == {"state": "bye"}
    await assert_logged_out(op)


async def without_state(op: Op) -> None:
    """`…-no-state`."""
    tokens = await op.tokens()
    await leave(op, id_token_hint=tokens["id_token"], post_logout_redirect_uri=LOGGED_OUT)
    assert sent_to(op) == {}
    await assert_logged_out(op)


async def bad_address(op: Op) -> None:
    """`…-bad-post-logout-redirect-uri`."""
    tokens = await op.tokens()
    answer = await leave(
        op, id_token_hint=tokens["id_token"], post_logout_redirect_uri="https://rp.example.net/nowhere"
    )
    assert (op.browser.landed, answer.status_code) == (None, 400)


async def added_query(op: Op) -> None:
    """`…-query-added-to-post-logout-redirect-uri`."""
    tokens = await op.tokens()
    answer = await leave(
        op, id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{LOGGED_OUT}?foo=bar"
    )
    assert (op.browser.landed, answer.status_code) == (None, 400)


async def unsigned_hint(op: Op) -> None:
    """`…-modified-id-token-hint`: re-made with `alg: none`."""
    tokens = await op.tokens()
    await leave(op, id_token_hint=unsigned(tokens["id_token"]), post_logout_redirect_uri=LOGGED_OUT)
    assert op.browser.landed is None
    await assert_still_logged_in(op)


async def strangers_hint(op: Op) -> None:
    """`…-bad-id-token-hint`: signed by a stranger."""
    tokens = await op.tokens()
    hint = jwt.encode({"alg": "RS256", "kid": STRANGER.kid}, tokens["id_claims"], STRANGER)
    await leave(op, id_token_hint=hint, post_logout_redirect_uri=LOGGED_OUT)
    assert op.browser.landed is None
    await assert_still_logged_in(op)


async def without_hint(op: Op) -> None:
    """`…-no-id-token-hint`: an address that nobody vouches for."""
    await op.tokens()
    await leave(op, post_logout_redirect_uri=LOGGED_OUT)
    assert op.browser.landed is None


async def without_address(op: Op) -> None:
    """`…-no-post-logout-redirect-uri`: logged out, and a page says so."""
    tokens = await op.tokens()
    answer = await leave(op, id_token_hint=tokens["id_token"])
    assert (op.browser.landed, answer.status_code) == (None, 200)
    assert "signed out" in answer.text
    await assert_logged_out(op)


async def only_state(op: Op) -> None:
    """`…-only-state`: nobody vouches for it, so a person is asked (docs/conformance.md); their yes is a logout."""
    await op.tokens()
    answer = await leave(op, state="bye")
    await _answer_yes(op, answer)


async def no_parameters(op: Op) -> None:
    """`…-no-params`: the same."""
    await op.tokens()
    answer = await leave(op)
    await _answer_yes(op, answer)


async def _answer_yes(op: Op, question: httpx.Response) -> None:
    assert (op.browser.landed, question.status_code) == (None, 200)
    await assert_still_logged_in(op)
    op.browser.response = question
    done = await op.browser.submit(button=("decision", "logout"))
    assert "signed out" in done.text
    await assert_logged_out(op)


MODULES = (
    with_state, without_state, bad_address, added_query, unsigned_hint, strangers_hint, without_hint,
    without_address, only_state, no_parameters,
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
async def test_rp_initiated_logout(suite: Suite, module: Module) -> None:
    await suite.run(module)


async def test_a_hint_of_the_other_tenant_is_none(suite: Suite) -> None:
    """Same client id, same page, another issuer: B's hint at A logs nobody out."""
    hints: dict[str, str] = {}

    async def remember(op: Op) -> None:
        hints[op.issuer] = (await op.tokens())["id_token"]

    await suite.run(remember)

    async def use_the_others(op: Op) -> None:
        await op.tokens()
        foreign = next(hint for issuer, hint in hints.items() if issuer != op.issuer)
        await leave(op, id_token_hint=foreign, post_logout_redirect_uri=LOGGED_OUT)
        assert op.browser.landed is None
        await assert_still_logged_in(op)

    await suite.run(use_the_others)
