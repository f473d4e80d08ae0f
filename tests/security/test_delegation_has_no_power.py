"""A token that somebody uses in another's name opens neither of the APIs that have power over tenants."""

import base64
import json
from typing import Any

import pytest

from core.crypto import jwt
from tenant_runtime.configuration import configuration
from tests.installation import Installation

pytestmark = pytest.mark.anyio


def claims_of(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return claims


async def test_the_platform_api_refuses_a_delegated_token(installation: Installation) -> None:
    """Signed by tenant one itself, for no exchange gives one."""
    directory, plane = installation.running.platform.directory, installation.demo.control_plane
    one = await directory.by_id(installation.app.settings.control_plane_tenant)
    key = (await configuration(one)).keys.signing["RS256"]
    machine = plane.clients["m2m"]
    form = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": machine.client_secret,
        "audience": plane.management_audience,
    }
    answer = await installation.http.post(f"{plane.issuer}oauth/token", data=form)
    claims = claims_of(answer.json()["access_token"])
    statuses = []
    for act in ({}, {"act": {"sub": "orders@clients"}}):
        token = jwt.sign(claims | act, key, typ="at+jwt")
        for path in ("tenants", "roles"):
            headers = {"Authorization": f"Bearer {token}"}
            statuses.append(
                (await installation.http.get(f"{plane.issuer}api/v2/{path}", headers=headers)).status_code
            )
    assert statuses == [200, 200, 401, 401]
