"""auth0-python's passwordless and database calls."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from auth0.authentication import Database, GetToken, Passwordless
from auth0.authentication.exceptions import Auth0Error

from core.mail import letters_in
from entrypoints.network import Api
from tests.clients.conftest import Served
from tests.mailbox import OTP
from tests.relying_party import payload

pytestmark = pytest.mark.anyio

DATABASE = "Username-Password-Authentication"


def domain(served: Served) -> str:
    return served.tenant.issuer.removeprefix("https://").rstrip("/")


async def new_client(api: Api, method: str) -> dict[str, Any]:
    made: dict[str, Any] = await api.post(
        "/clients",
        {"name": "Phone", "token_endpoint_auth_method": method, "grant_types": [OTP, "refresh_token"]},
    )
    return made


async def letter_to(served: Served, address: str, about: str = "") -> str:
    """The newest that has this in it."""
    for _ in range(200):
        bodies = [
            letter.get_body(("plain",)) for letter in letters_in(served.mail) if letter["to"] == address
        ]
        texts = [str(body.get_content()) for body in bodies if body is not None]
        if found := [text for text in texts if about in text]:
            return found[-1]
        await asyncio.sleep(0.05)
    raise AssertionError(f"no letter to {address}")


@pytest.mark.parametrize("method", ["none", "client_secret_post"])
async def test_a_code_by_mail_signs_in(served: Served, method: str) -> None:
    address = f"by-code-{method}@example.org"
    async with served.http() as http:
        client = await new_client(await served.manager(http), method)
    credentials = (domain(served), client["client_id"], client.get("client_secret"))
    started = await asyncio.to_thread(Passwordless(*credentials).email, address, "code", {"scope": "openid"})
    assert started["email"] == address
    code = re.search(r"\b[0-9]{6}\b", await letter_to(served, address))
    assert code is not None
    get_token = GetToken(*credentials)
    with pytest.raises(Auth0Error) as refused:
        await asyncio.to_thread(get_token.passwordless_login, address, "x", "email", "openid", "")
    assert (refused.value.error_code, refused.value.message) == (
        "invalid_grant",
        "Wrong email or verification code.",
    )
    tokens = await asyncio.to_thread(
        get_token.passwordless_login, address, code[0], "email", "openid email", served.tenant.api_audience
    )
    assert payload(tokens["id_token"])["amr"] == ["otp"]
    assert payload(tokens["access_token"])["sub"].startswith("email|")


async def test_links_are_refused_in_words(served: Served) -> None:
    async with served.http() as http:
        client = await new_client(await served.manager(http), "none")
    passwordless = Passwordless(domain(served), client["client_id"])
    with pytest.raises(Auth0Error, match="Links are not sent") as refused:
        await asyncio.to_thread(passwordless.email, "somebody@example.org")
    assert refused.value.status_code == httpx.codes.BAD_REQUEST


async def test_an_account_is_made_and_its_password_forgotten(served: Served) -> None:
    database = Database(domain(served), served.tenant.clients["spa"].client_id)
    account = ("signed-up@example.org", "seven unrelated words", DATABASE)
    made = await asyncio.to_thread(
        lambda: database.signup(*account, username="signed-up", user_metadata={"plan": "silver"}, name="S Up")
    )
    assert (made["email"], made["email_verified"], made["user_metadata"]) == (
        "signed-up@example.org",
        False,
        {"plan": "silver"},
    )
    for again, code in ((account, "invalid_signup"), ((account[0], "short", DATABASE), "invalid_password")):
        with pytest.raises(Auth0Error) as refused:
            await asyncio.to_thread(database.signup, *again)
        assert refused.value.error_code == code
    said = await asyncio.to_thread(database.change_password, account[0], DATABASE)
    assert said == "We've just sent you an email to reset your password."
    assert await letter_to(served, account[0], f"{served.tenant.issuer}u/reset-password?ticket=")
