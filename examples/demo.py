"""What the examples know of the demo that `make run` serves: one of its tenants, and how to reach it.

A real application has its issuer, its client id and a secret from its own settings, and needs no transport of its own:
only names below `.localhost` are unknown to many resolvers.
"""

import os
from pathlib import Path

import httpx
import msgspec

from entrypoints.demo_content import Demo, DemoTenant
from entrypoints.network import LoopbackTransport
from keystead_sdk import DiscoveredKeys, TokenVerifier
from keystead_sdk.fetching import HttpFetch

DATA = Path(os.environ.get("DATA", "data"))
LARGEST_KEY_SET = 256 * 1024


def tenant() -> DemoTenant:
    """The first one: acme."""
    return msgspec.json.decode((DATA / "demo.json").read_bytes(), type=Demo).tenants[0]


def http() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=LoopbackTransport(), timeout=10)


def verifier(of: DemoTenant) -> TokenVerifier:
    keys = DiscoveredKeys(fetch=HttpFetch(LARGEST_KEY_SET, http()))
    return TokenVerifier(issuer=of.issuer, audience=of.api_audience, keys=keys)
