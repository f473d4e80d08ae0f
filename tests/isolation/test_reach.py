"""Who may act on what: every cell, over HTTP, with real tokens (`specs/tenancy.md` section 4).

A row is a caller and a way to name a tenant; its five numbers are the answers to read, write, delete, list
organizations, list tenants. 401: the token means nothing here. 403: it is known, and does not reach this.
"""

import secrets

import pytest

from tests.isolation.conftest import CONTROL_PLANE, A, B, Neighbours
from tests.operators import Caller
from tests.relying_party import payload

pytestmark = pytest.mark.anyio

SELECTIONS = {
    "no header": (CONTROL_PLANE, None),
    "header A": (CONTROL_PLANE, A),
    "header B": (CONTROL_PLANE, B),
    "header control plane": (CONTROL_PLANE, CONTROL_PLANE),
    "host A": (A, None),
    "host B": (B, None),
}
OPERATIONS = ("read", "write", "delete", "organizations", "tenants")

ALLOWED = (200, 201, 204, 200)
FORBIDDEN, UNKNOWN = (403, 403, 403, 403), (401, 401, 401, 401)

TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    ("person", "no header"): (*ALLOWED, 200),
    ("person", "header A"): (*FORBIDDEN, 403),
    ("person", "header B"): (*FORBIDDEN, 403),
    ("person", "header control plane"): (*ALLOWED, 200),
    ("person", "host A"): (*FORBIDDEN, 403),
    ("person", "host B"): (*FORBIDDEN, 403),
    ("person with organization A", "no header"): (*FORBIDDEN, 403),
    ("person with organization A", "header A"): (*ALLOWED, 403),
    ("person with organization A", "header B"): (*FORBIDDEN, 403),
    ("person with organization A", "header control plane"): (*FORBIDDEN, 403),
    ("person with organization A", "host A"): (*ALLOWED, 403),
    ("person with organization A", "host B"): (*FORBIDDEN, 403),
    ("A's user", "no header"): (*UNKNOWN, 401),
    ("A's user", "header A"): (*ALLOWED, 401),
    ("A's user", "header B"): (*UNKNOWN, 401),
    ("A's user", "header control plane"): (*UNKNOWN, 401),
    ("A's user", "host A"): (*ALLOWED, 403),
    ("A's user", "host B"): (*UNKNOWN, 401),
    ("A's machine", "no header"): (*UNKNOWN, 401),
    ("A's machine", "header A"): (*ALLOWED, 401),
    ("A's machine", "header B"): (*UNKNOWN, 401),
    ("A's machine", "header control plane"): (*UNKNOWN, 401),
    ("A's machine", "host A"): (*ALLOWED, 403),
    ("A's machine", "host B"): (*UNKNOWN, 401),
    ("platform machine", "no header"): (*ALLOWED, 200),
    ("platform machine", "header A"): (*ALLOWED, 403),
    ("platform machine", "header B"): (*ALLOWED, 403),
    ("platform machine", "header control plane"): (*ALLOWED, 200),
    ("platform machine", "host A"): (*ALLOWED, 403),
    ("platform machine", "host B"): (*ALLOWED, 403),
}
CELLS = [
    (*row, operation, status)
    for row, statuses in TABLE.items()
    for operation, status in zip(OPERATIONS, statuses, strict=True)
]


def test_the_table_has_every_cell() -> None:
    assert len(CELLS) == 5 * 6 * 5


@pytest.mark.parametrize(("who", "selection", "operation", "expected"), CELLS)
async def test_reach(neighbours: Neighbours, who: str, selection: str, operation: str, expected: int) -> None:
    host, selected = SELECTIONS[selection]
    target = selected or host
    call = _Cell(neighbours, neighbours.callers[who], host, selected)
    name = f"cell {secrets.token_hex(6)}"
    match operation:
        case "read":
            answer = await call("GET", "/roles")
        case "organizations":
            answer = await call("GET", "/organizations")
        case "tenants":
            answer = await call("GET", "/tenants")
        case "write":
            answer = await call("POST", "/roles", {"name": name})
            assert await _role_named(neighbours, target, name) == (expected == 201)
        case _:
            role = await neighbours.made(target, "/roles", {"name": name})
            answer = await call("DELETE", f"/roles/{role['id']}")
            assert await _role_named(neighbours, target, name) == (expected != 204)
    assert answer.status_code == expected, answer.text
    if expected == 403:
        reasons = (
            ("insufficient_reach", "insufficient_scope")
            if operation == "tenants"
            else ("insufficient_reach",)
        )
        assert answer.json()["errorCode"] in reasons, answer.text
    if expected == 401:
        assert answer.json()["errorCode"] == "invalid_token"


class _Cell:
    def __init__(self, neighbours: Neighbours, caller: Caller, host: str, selected: str | None) -> None:
        self._base = f"{neighbours.issuer(host)}api/v2"
        self._caller = caller
        self._headers = {"tenant-id": selected} if selected is not None else {}

    async def __call__(self, method: str, path: str, body: object = None):  # type: ignore[no-untyped-def]
        return await self._caller.call(method, self._base + path, body, headers=self._headers)


async def _role_named(neighbours: Neighbours, tenant_id: str, name: str) -> bool:
    url = f"{neighbours.issuer(tenant_id)}api/v2/roles"
    found = await neighbours.platform.call("GET", url, name_filter=name)
    return name in [role["name"] for role in found.json()]


async def test_the_tokens_are_what_the_table_calls_them(neighbours: Neighbours) -> None:
    claims = {who: payload(str(caller.token)) for who, caller in neighbours.callers.items()}
    assert "org_id" not in claims["person"]
    assert not any(name.endswith(":tenants") for name in claims["person"]["permissions"])
    assert "create:roles" in claims["person"]["permissions"]
    assert claims["person with organization A"]["org_id"]
    assert "create:roles" in claims["person with organization A"]["permissions"]
    assert claims["A's user"]["iss"] == claims["A's machine"]["iss"] == neighbours.issuer(A)
    assert claims["platform machine"]["iss"] == neighbours.issuer(CONTROL_PLANE)


async def test_on_a_tenants_own_host_the_header_may_only_name_that_tenant(neighbours: Neighbours) -> None:
    url = f"{neighbours.issuer(A)}api/v2/roles"
    for who in ("A's machine", "A's user", "person with organization A", "platform machine"):
        caller = neighbours.callers[who]
        assert (await caller.call("GET", url, headers={"tenant-id": A})).status_code == 200
        for other in (B, CONTROL_PLANE, "nobody", A.upper(), f"{A}, {B}", ""):
            answer = await caller.call("GET", url, headers={"tenant-id": other})
            assert (answer.status_code, answer.json()["errorCode"]) == (403, "insufficient_reach"), other
        assert (await caller.call("GET", url, tenant_id=B)).status_code == 403
        answer = await caller.call("POST", url, {"name": "x", "tenant": B})
        assert answer.status_code == 400


async def test_two_headers_name_nobody(neighbours: Neighbours) -> None:
    for host in (CONTROL_PLANE, A):
        request = neighbours.http.build_request(
            "GET",
            f"{neighbours.issuer(host)}api/v2/roles",
            headers=[
                ("Authorization", f"Bearer {neighbours.platform.token}"), ("tenant-id", A), ("tenant-id", B),
            ],
        )  # fmt: skip
        assert (await neighbours.http.send(request)).status_code in (403, 404)


@pytest.mark.parametrize(
    "header", ["nobody", "", "ACME", "acme ", "../globex", "www", "%61cme", "acme\u00e9".encode()]
)
async def test_a_header_that_names_no_tenant_selects_nothing(
    neighbours: Neighbours, header: str | bytes
) -> None:
    url = f"{neighbours.issuer(CONTROL_PLANE)}api/v2/roles"
    answer = await neighbours.platform.call("GET", url, headers={"tenant-id": header})  # type: ignore[dict-item]
    assert answer.status_code == 404, answer.text


async def test_a_selected_tenant_is_the_one_that_is_written(neighbours: Neighbours) -> None:
    """By header and by host it is one tenant: what is made by one is seen by the other, and by no third."""
    name = f"selected {secrets.token_hex(4)}"
    url = f"{neighbours.issuer(CONTROL_PLANE)}api/v2/roles"
    made = await neighbours.platform.call("POST", url, {"name": name}, headers={"tenant-id": A})
    assert made.status_code == 201
    assert await _role_named(neighbours, A, name)
    assert not await _role_named(neighbours, B, name)
    assert not await _role_named(neighbours, CONTROL_PLANE, name)


async def test_a_person_with_organization_a_is_kept_to_their_permissions_there(
    neighbours: Neighbours,
) -> None:
    bound = neighbours.callers["person with organization A"]
    own, plane = neighbours.issuer(A), neighbours.issuer(CONTROL_PLANE)
    roles = (await bound.call("GET", f"{own}api/v2/roles", per_page=100)).json()
    system = next(role for role in roles if role["is_system"])
    for method, body in (("PATCH", {"name": "mine"}), ("DELETE", None)):
        answer = await bound.call(method, f"{own}api/v2/roles/{system['id']}", body)
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "operation_not_supported")
    for method, path in (
        ("GET", "tenants"), ("POST", "tenants"), ("GET", f"tenants/{B}"), ("DELETE", f"tenants/{A}"),
        ("PATCH", f"tenants/{A}"), ("POST", f"tenants/{A}/suspend"), ("GET", "fleet"), ("GET", "operations"),
    ):  # fmt: skip
        answer = await bound.call(method, f"{plane}api/v2/{path}", {"id": "x1"} if method != "GET" else None)
        assert answer.status_code == 403, (method, path, answer.text)
    assert (await bound.call("GET", f"{plane}api/v2/tenants/{A}")).status_code == 200


async def test_no_key_secret_or_kid_is_shared(neighbours: Neighbours) -> None:
    seen: dict[str, str] = {}
    for tenant_id in (A, B, "initech", CONTROL_PLANE):
        keys = (await neighbours.http.get(f"{neighbours.issuer(tenant_id)}.well-known/jwks.json")).json()[
            "keys"
        ]
        for key in keys:
            for value in (key["kid"], key["n"]):
                assert seen.setdefault(value, tenant_id) == tenant_id
