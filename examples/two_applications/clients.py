"""The two clients, made in the tenant at the first start by its Management API, and kept beside the demo's."""

import os

import msgspec

from entrypoints.demo_content import DemoClient, DemoTenant
from entrypoints.network import Api, client_credentials
from examples import demo

PORTS = {"shop": 9873, "books": 9874}
KEPT = demo.DATA / "two_applications.json"


def address_of(name: str) -> str:
    """A host each, because cookies do not tell ports apart."""
    return f"http://{name}.acme.localhost:{PORTS[name]}/"


async def make_clients(tenant: DemoTenant) -> dict[str, DemoClient]:
    if KEPT.exists():
        return msgspec.json.decode(KEPT.read_bytes(), type=dict[str, DemoClient])
    machine = tenant.clients["m2m"]
    async with demo.http() as http:
        secret, audience = machine.client_secret or "", tenant.management_audience
        token = await client_credentials(http, tenant.issuer, machine.client_id, secret, audience)
        api = Api(http, f"{tenant.issuer}api/v2", token)
        clients = {name: await _make_client(api, name) for name in PORTS}
    with os.fdopen(os.open(KEPT, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(clients))
    return clients


async def _make_client(api: Api, name: str) -> DemoClient:
    address = address_of(name)
    made = await api.post(
        "/clients",
        {
            "name": name.title(),
            "app_type": "regular_web",
            "is_first_party": True,
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code"],
            "callbacks": [f"{address}callback"],
            "allowed_logout_urls": [address],
            "jwt_configuration": {"scope_claims": True},  # the ID token says the name
            "oidc_logout": {
                "backchannel_logout_urls": [f"http://127.0.0.1:{PORTS[name]}/backchannel-logout"]
            },
        },
    )
    return DemoClient(made["client_id"], made["client_secret"])
