"""What the examples know of the demo that `make run` serves: one of its tenants, and how to reach it.

A real application has its issuer, its client id and a secret from its own settings, and needs no transport of its own:
only names below `.localhost` are unknown to many resolvers.
"""

import os
from pathlib import Path

import httpx
import msgspec

from entrypoints.demo_content import Demo, DemoClient, DemoTenant
from entrypoints.network import LoopbackTransport
from keystead_sdk import TokenVerifier
from keystead_sdk.litestar_sign_in import SignInPlugin
from keystead_sdk.sign_in import SignIn

DATA = Path(os.environ.get("DATA", "data"))


def tenant() -> DemoTenant:
    """The first one: acme."""
    return msgspec.json.decode((DATA / "demo.json").read_bytes(), type=Demo).tenants[0]


def http() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=LoopbackTransport(), timeout=10)


def sign_in(tenant: DemoTenant, client: DemoClient, application: str) -> SignInPlugin:
    reached = http()
    begins = SignIn(
        issuer=tenant.issuer,
        client_id=client.client_id,
        client_secret=client.client_secret or "",
        application=application,
        audience=tenant.api_audience,
        client=reached,
    )
    return SignInPlugin(
        begins, TokenVerifier(issuer=tenant.issuer, audience=tenant.api_audience, client=reached)
    )
