"""An application that asks its user for the code of a letter."""

from typing import Any

import httpx

from tests.mailbox import OTP, Mailed, code_in

ADA = "ada.new@example.org"


class Phone:
    def __init__(self, mail: Mailed, client: dict[str, Any], tenant_id: str = "acme") -> None:
        self.mail, self.client, self.tenant_id = mail, client, tenant_id
        self.issuer = mail.tenant(tenant_id).issuer

    @property
    def credentials(self) -> dict[str, str]:
        return {name: self.client[name] for name in ("client_id", "client_secret") if name in self.client}

    async def start(self, email: str = ADA, **changes: Any) -> httpx.Response:
        body = {**self.credentials, "connection": "email", "email": email, "send": "code"} | changes
        sent = {name: value for name, value in body.items() if value is not None}
        return await self.mail.http.post(f"{self.issuer}passwordless/start", json=sent)

    async def code(self, email: str = ADA) -> str:
        before = len(self.mail.server.received)
        answer = await self.start(email)
        assert answer.status_code == 200, answer.text
        letters = await self.mail.settle(self.tenant_id)
        assert len(letters) == before + 1
        return code_in(letters[-1])

    async def redeem(self, code: str, email: str = ADA, **changes: str | None) -> httpx.Response:
        form = {
            "grant_type": OTP, **self.credentials, "username": email, "otp": code, "realm": "email",
            "scope": "openid profile email offline_access",
        } | changes  # fmt: skip
        sent = {name: value for name, value in form.items() if value is not None}
        return await self.mail.http.post(f"{self.issuer}oauth/token", json=sent)


def assert_wrong(answer: httpx.Response) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.json() == {
        "error": "invalid_grant", "error_description": "Wrong email or verification code.",
    }  # fmt: skip


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"
