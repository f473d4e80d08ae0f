"""A write that needs no body is carried out and recorded, whatever comes as one (`specs/bad-inputs.md` 136)."""

import pytest

from tests.installation import Installation
from tests.keyholders import keyholder

pytestmark = pytest.mark.anyio

BODIES = {
    "too deep": b"[" * 10_000,
    "deep": b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
    "a surrogate": b'{"a":"\\ud800"}',
    "no UTF-8": b"\xff\xfe",
    "half": b'{"a"',
}


@pytest.mark.parametrize("name", BODIES)
async def test_it_harms_nothing(shared: Installation, name: str) -> None:
    operator = keyholder(shared)
    made = await operator.call("POST", "/client-registration-tokens", {})
    path = f"/client-registration-tokens/{made.json()['id']}"
    headers = {"Authorization": f"Bearer {await operator.token()}", "Content-Type": "application/json"}
    url = f"{operator.tenant.issuer}api/v2{path}"
    answer = await operator.http.request("DELETE", url, content=BODIES[name], headers=headers)
    assert (answer.status_code, answer.text) == (204, "")
    assert made.json()["id"] not in (await operator.call("GET", "/client-registration-tokens")).text
    await shared.running.services.audit.flush()
    recorded = [
        event["details"]["request"]
        for event in (await operator.call("GET", "/logs", params={"per_page": 100})).json()
        if "request" in event.get("details", {})
    ]
    assert {"method": "DELETE", "path": f"/api/v2{path}"} in [
        {name: request[name] for name in ("method", "path")} for request in recorded
    ]
