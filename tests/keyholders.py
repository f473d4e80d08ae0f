"""Whoever holds something to do with signing keys: the operator who rotates, the API that verifies, the thief."""

import base64
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from core.crypto.keys import SigningKey
from entrypoints.demo_content import DemoTenant
from entrypoints.network import client_credentials
from tenant_runtime.configuration import configuration
from tests.installation import Installation
from tests.relying_party import payload

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]


@dataclass
class Keyholder:
    """Of one tenant. A fresh token each time, as the clock may have gone far."""

    http: httpx.AsyncClient
    tenant: DemoTenant
    is_granted: bool = False

    async def token(self, audience: str | None = None) -> str:
        client = self.tenant.clients["m2m"]
        wanted = audience or self.tenant.management_audience
        return await client_credentials(
            self.http, self.tenant.issuer, client.client_id, client.client_secret or "", wanted
        )

    async def api_token(self) -> str:
        """In the machine's own name, for the tenant's API."""
        if not self.is_granted:
            body = {"client_id": self.tenant.clients["m2m"].client_id, "audience": self.tenant.api_audience}
            made = await self.call("POST", "/client-grants", {**body, "scope": ["read:invoices"]})
            assert made.status_code in (201, 409), made.text
            self.is_granted = True
        return await self.token(self.tenant.api_audience)

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or await self.token()}", **options.pop("headers", {})}
        url = f"{self.tenant.issuer}api/v2{path}"
        return await self.http.request(method, url, json=body, headers=headers, **options)

    async def rotate(self, **body: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/keys/signing/rotate", body or None)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def revoke(self, kid: str) -> None:
        answer = await self.call("PUT", f"/keys/signing/{kid}/revoke")
        assert answer.status_code == 200, answer.text

    async def keys(self) -> dict[str, dict[str, Any]]:
        """As the Management API shows them, by kid."""
        answer = await self.call("GET", "/keys/signing")
        assert answer.status_code == 200, answer.text
        return {key["kid"]: key for key in answer.json()}

    async def published(self) -> dict[str, dict[str, Any]]:
        answer = await self.http.get(f"{self.tenant.issuer}.well-known/jwks.json")
        assert answer.status_code == 200, answer.text
        return {key["kid"]: key for key in answer.json()["keys"]}

    async def verifies(self, token: str) -> bool:
        """As a stranger's library would: with the key set as it is now. The time is not asked."""
        keys = KeySet.import_key_set({"keys": list((await self.published()).values())})
        try:
            jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            return False
        return True

    async def set_algorithm(self, algorithm: str, **values: Any) -> None:
        """Of the tenant's API."""
        servers = (await self.call("GET", "/resource-servers")).json()
        id = next(server["id"] for server in servers if server["identifier"] == self.tenant.api_audience)
        changed = await self.call("PATCH", f"/resource-servers/{id}", {"signing_alg": algorithm, **values})
        assert changed.status_code == 200, changed.text


def keyholder(installation: Installation, tenant_id: str = "acme") -> Keyholder:
    return Keyholder(installation.http, installation.tenant(tenant_id))


async def stolen_key(
    installation: Installation, tenant_id: str = "acme", algorithm: str = "RS256"
) -> SigningKey:
    """What somebody has who got hold of the key that signs now."""
    tenant = await installation.running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    return (await configuration(tenant)).keys.signing[algorithm]


def kid_of(token: str) -> str:
    head = token.split(".")[0]
    return str(msgspec.json.decode(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def ends_at(token: str) -> int:
    return int(payload(token)["exp"])
