"""What a token says of the caller's organization: role, permissions in it, and what it has bought."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, get

from keystead_sdk import LicenseRequired, Misused, Principal, has_license, require_license
from keystead_sdk.litestar import KeysteadPlugin, require_permission
from keystead_sdk.litestar import require_license as licensed
from keystead_sdk.organization_permissions import SPELLINGS
from keystead_sdk.testing import FakeIssuer
from tenant_runtime.organizations.access import resources
from tenant_runtime.organizations.options import OrganizationOptions
from tests.documents.repository import table_rows

pytestmark = pytest.mark.anyio
ENTITLEMENTS = {"sso": True, "projects": 5, "calls": "unlimited", "none": 0}


@get("/sso", guards=[licensed("sso")])
async def single_sign_on() -> str:
    return "in"


@get("/projects", guards=[licensed("projects", need=6)])
async def projects() -> str:
    return "in"


@get("/members", guards=[require_permission("members.remove")])
async def members() -> str:
    return "in"


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer()


@pytest.fixture
async def client(issuer: FakeIssuer) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([single_sign_on, projects, members], plugins=[KeysteadPlugin(issuer.verifier())])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://api.test") as http:
        yield http


async def principal(issuer: FakeIssuer, **claims: Any) -> Principal:
    return await issuer.verifier().verify(issuer.token(**{"org_id": "org_1", **claims}))


async def test_the_principal_knows_what_the_token_says(issuer: FakeIssuer) -> None:
    found = await principal(
        issuer,
        org_role="admin,member",
        licenses=["pro", "pack"],
        entitlements=ENTITLEMENTS,
        org_permissions=["member.delete"],
    )
    assert found.org_role == "admin,member"
    assert found.licenses == {"pro", "pack"}
    assert dict(found.entitlements) == ENTITLEMENTS
    assert found.org_permissions == {"member.delete"}
    assert hash(found) == hash(await principal(issuer, org_role="admin,member", licenses=["pack", "pro"],
                                               org_permissions=["member.delete"]))  # fmt: skip


@pytest.mark.parametrize(
    ("feature", "need", "expected"),
    [
        ("sso", 1, True),
        ("sso", 1_000_000, True),
        ("projects", 5, True),
        ("projects", 6, False),
        ("calls", 1_000_000, True),
        ("none", 1, False),
        ("unknown", 1, False),
    ],
)
async def test_a_license_is_for_a_feature_and_so_much_of_it(
    issuer: FakeIssuer, feature: str, need: int, expected: bool
) -> None:
    found = await principal(issuer, entitlements=ENTITLEMENTS)
    assert has_license(found, feature, need=need) is expected
    if not expected:
        with pytest.raises(LicenseRequired):
            require_license(found, feature, need=need)


@pytest.mark.parametrize(
    "entitlements",
    [None, [], ["sso"], "sso", True, {}, {"sso": False}, {"sso": None}, {"sso": "yes"}, {"sso": -1}, {"sso": 1.5},
     {"sso": ["unlimited"]}, {"SSO": True}],
    ids=str,
)  # fmt: skip
async def test_what_a_token_does_not_say_clearly_is_not_licensed(
    issuer: FakeIssuer, entitlements: Any
) -> None:
    assert not has_license(await principal(issuer, entitlements=entitlements), "sso")


async def test_without_an_organization_nothing_is_said_of_one(issuer: FakeIssuer) -> None:
    found = await principal(
        issuer,
        org_id=None,
        entitlements=ENTITLEMENTS,
        licenses=["pro"],
        org_role="owner",
        org_permissions=["member.delete"],
    )
    assert (found.org_role, found.licenses, dict(found.entitlements)) == (None, frozenset(), {})
    assert not found.has_permission("members.remove")


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"org_permissions": ["member.delete"]}, 200),
        ({"permissions": ["members.remove"]}, 200),
        ({"permissions": ["member.delete"]}, 403),
        ({"org_permissions": ["member.update", "member.create"]}, 403),
        ({"org_permissions": "member.delete"}, 403),
        ({"org_permissions": {"member.delete": True}}, 403),
        ({"org_role": "owner"}, 403),
        ({}, 403),
    ],
    ids=str,
)
async def test_a_permission_may_be_of_the_organization(
    client: httpx.AsyncClient, issuer: FakeIssuer, claims: dict[str, Any], status: int
) -> None:
    answer = await client.get("/members", headers=issuer.headers(org_id="org_1", **claims))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"] == "insufficient_scope"


async def test_a_route_can_need_a_license(client: httpx.AsyncClient, issuer: FakeIssuer) -> None:
    headers = issuer.headers(org_id="org_1", entitlements=ENTITLEMENTS)
    assert (await client.get("/sso", headers=headers)).status_code == 200
    answer = await client.get("/projects", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "license_required")
    nothing = await client.get("/sso", headers=issuer.headers(org_id="org_1"))
    assert (nothing.status_code, nothing.json()["error"]) == (403, "license_required")
    assert (await client.get("/sso")).status_code == 401


@pytest.mark.parametrize(("feature", "need"), [("", 1), ("sso", 0), ("sso", -1), ("sso", True)])
def test_a_guard_asks_for_something(feature: str, need: int) -> None:
    with pytest.raises(Misused):
        licensed(feature, need=need)


def test_every_spelling_is_of_something_that_an_organization_permits() -> None:
    known = {
        f"{name}.{action}" for name, actions in resources(OrganizationOptions()).items() for action in actions
    }
    assert set(SPELLINGS.values()) <= known
    assert known - set(SPELLINGS.values()) == {"organization.update", "organization.delete"}


def test_the_page_lists_every_spelling_with_what_it_means() -> None:
    listed: dict[str, str] = {}
    for row in table_rows("sdk/README.md"):
        asked, told = ([word.strip("` ") for word in cell.split(",")] for cell in row[:2])
        if len(row) == 2 and asked[0] in SPELLINGS:
            listed |= dict(zip(asked, told, strict=True))
    assert listed == SPELLINGS
