"""What is asked of a token exchange (RFC 8693), and the clients that ask."""

from typing import Any

import httpx
from sqlalchemy import Connection, update

from tenant_runtime import models
from tests.protocol.issuer import (
    API,
    CODE_GRANTS,
    OPEN_API,
    Issuer,
    add_client,
)

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
STOCK_API = "https://stock.example.com/"
BOTH = "openid read:invoices write:invoices"


async def with_clients(*issuers: Issuer) -> None:
    """`app` is what people use, `orders` is the API at `API`, `open` the one at `OPEN_API`; they may go on."""
    for issuer in issuers:
        await issuer.add(models.ResourceServer, id="stock", identifier=STOCK_API, name="stock", token_lifetime=86_400,
                         token_lifetime_for_web=600)  # fmt: skip
        for place, value in enumerate(("read:invoices", "write:invoices")):
            await issuer.add(
                models.Scope, resource_server_id="stock", value=value, position=place, is_platform=False
            )
        grants = [*CODE_GRANTS, "client_credentials", EXCHANGE]
        for client_id, api in (("app", None), ("orders", API), ("open", OPEN_API), ("stock", STOCK_API)):
            await add_client(issuer, client_id, grant_types=grants, resource_server_identifier=api)
        await add_client(issuer, "spa2", grant_types=grants, token_endpoint_auth_method="none")
        for client_id, audience, scope in (
            ("app", OPEN_API, ["read:invoices"]),
            ("orders", OPEN_API, ["read:invoices"]),
            ("open", STOCK_API, ["read:invoices", "write:invoices"]),
            ("stock", API, ["read:invoices"]),
            ("orders", issuer.tenant.management_audience, ["read:users"]),
        ):
            await issuer.add(models.ClientGrant, id=f"cgr_{client_id}_{len(audience)}", client_id=client_id,
                             audience=audience, scope=scope, allow_any_organization=False)  # fmt: skip


async def exchange(issuer: Issuer, token: str, client_id: str = "app", **form: str) -> httpx.Response:
    given = {"subject_token": token, "subject_token_type": ACCESS_TOKEN} | form
    return await issuer.token(client_id, grant_type=EXCHANGE, **{k: v for k, v in given.items() if v})


async def exchanged(issuer: Issuer, token: str, client_id: str = "app", **form: str) -> dict[str, Any]:
    answer = await exchange(issuer, token, client_id, **form)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def token_of(issuer: Issuer, client_id: str = "app", **code: Any) -> str:
    values = {"audience": API, "scope": BOTH} | code
    return str((await issuer.tokens(client_id, **values))["access_token"])


def error_of(answer: httpx.Response) -> str:
    assert answer.status_code in (400, 401, 403), answer.text
    assert "access_token" not in answer.json()
    return str(answer.json()["error"])


def set_client(connection: Connection, client_id: str, values: dict[str, Any]) -> None:
    table = models.Client.__table__
    connection.execute(update(table).where(table.c.client_id == client_id).values(**values))
