"""Who may ask for codes by mail, and how they prove who they are when they do."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from entrypoints.demo_content import Demo
from tests.holder import Holder
from tests.mailbox import OTP, Mailed, mailed
from tests.protocol.assertions import JWT_BEARER, signed
from tests.protocol.phone import ADA, Phone

pytestmark = pytest.mark.anyio


@pytest.fixture
async def mail(golden: tuple[Path, Demo], tmp_path: Path) -> AsyncIterator[Mailed]:
    async with mailed(golden, tmp_path) as made:
        yield made


async def test_a_confidential_client_proves_itself(mail: Mailed) -> None:
    made = await mail.client(app_type="regular_web", token_endpoint_auth_method="client_secret_post")
    phone = Phone(mail, made)
    assert (await phone.start(client_secret=None)).status_code == 401
    assert (await phone.start(client_secret="wrong")).status_code == 401
    assert await mail.settle() == []
    assert (await phone.redeem(await phone.code())).status_code == 200


async def test_only_a_first_party_client_that_is_registered_for_codes_may_ask_for_them(mail: Mailed) -> None:
    for members in ({"grant_types": ["authorization_code"]}, {"is_first_party": False}):
        phone = Phone(mail, await mail.client(**members))
        for answer in (await phone.start(), await phone.redeem("123456")):
            assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert await mail.settle() == []


async def test_a_browser_of_a_registered_origin_may_ask_and_no_other(mail: Mailed) -> None:
    await mail.client(
        app_type="spa", web_origins=["https://spa.example"], callbacks=["https://spa.example/cb"]
    )
    url = f"{mail.tenant().issuer}passwordless/start"
    for origin, allowed in (("https://spa.example", "https://spa.example"), ("https://evil.example", None)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = await mail.http.options(url, headers=asked)
        assert answer.headers.get("access-control-allow-origin") == allowed


def statement(phone: Phone, secret: str, jti: str) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": phone.client["client_id"], "sub": phone.client["client_id"], "aud": phone.issuer, "jti": jti,
        "iat": now, "exp": now + 60,
    }  # fmt: skip
    text = signed({"alg": "HS256"}, claims, secret.encode())
    return {"client_assertion_type": JWT_BEARER, "client_assertion": text}


async def test_a_signed_statement_starts_it_once_and_redeems_once(mail: Mailed) -> None:
    made = await mail.client(app_type="regular_web", token_endpoint_auth_method="client_secret_jwt")
    secret = made.pop("client_secret")
    phone = Phone(mail, made)
    first, second = statement(phone, secret, "one"), statement(phone, secret, "two")
    assert (await phone.start()).status_code == 401
    assert (await phone.start(**statement(phone, "wrong", "three"))).status_code == 401
    assert (await phone.start(**first)).status_code == 200
    again = await phone.start(**first)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    (letter,) = await mail.settle()
    code = next(word for word in letter.text.split() if len(word) == 6 and word.isdigit())
    assert (await phone.redeem(code)).status_code == 401
    used = await phone.redeem(code, **first)
    assert (used.status_code, used.json()["error"]) == (401, "invalid_client")
    assert (await phone.redeem(code, **second)).status_code == 200


async def test_a_client_of_another_tenant_is_nobody_here(mail: Mailed) -> None:
    phone = Phone(mail, await mail.client("globex"))
    answer = await phone.start()
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert await mail.settle() == []


async def test_a_client_that_is_gone_or_lost_the_grant_redeems_nothing(mail: Mailed) -> None:
    manager = await mail.installation.manager("acme")
    for change in ("grant", "client"):
        phone = Phone(mail, await mail.client())
        code = await phone.code(f"{change}@example.org")
        path = f"/clients/{phone.client['client_id']}"
        if change == "grant":
            await manager.patch(path, {"grant_types": ["authorization_code"]})
        else:
            await manager.delete(path)
        answer = await phone.redeem(code, f"{change}@example.org")
        assert answer.json()["error"] == {"grant": "unauthorized_client", "client": "invalid_client"}[change]


async def test_tokens_for_a_code_are_bound_to_the_key_of_the_proof(mail: Mailed) -> None:
    phone = Phone(mail, await mail.client(require_proof_of_possession=True))
    code, holder = await phone.code(), Holder(mail.installation.clock.now)
    url = f"{phone.issuer}oauth/token"
    without = await phone.redeem(code)
    assert (without.status_code, without.json()["error"]) == (400, "invalid_dpop_proof")
    form = {"grant_type": OTP, **phone.credentials, "username": ADA, "otp": code, "realm": "email"}
    answer = await holder.send(
        mail.http,
        "POST",
        url,
        data=form | {"scope": "openid offline_access", "audience": mail.tenant().api_audience},
    )
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP"), answer.text
    refresh = {
        "grant_type": "refresh_token",
        "refresh_token": answer.json()["refresh_token"],
        **phone.credentials,
    }
    assert (await mail.http.post(url, data=refresh)).status_code == 400
    assert (await holder.send(mail.http, "POST", url, data=refresh)).status_code == 200
