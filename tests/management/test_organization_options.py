"""`/tenants/organizations`: what a tenant says of all its organizations, and nothing that could not be acted by."""

import re
from typing import Any

import msgspec
import pytest

from core.settings import INHERITED_KEYS
from entrypoints.network import ApiError
from tenant_runtime.organizations.options import OrganizationOptions
from tests.conftest import serving, settings_for
from tests.installation import Installation

pytestmark = pytest.mark.anyio
PATH = "/tenants/organizations"


async def test_members_are_said_one_by_one_and_go_back_to_what_is_inherited(shared: Installation) -> None:
    api = await shared.manager("acme")
    defaults = msgspec.json.decode(msgspec.json.encode(OrganizationOptions()))
    assert await api.get(PATH) == defaults
    await api.patch(PATH, {"teams": {"maximum_teams": 3}, "membership_limit": 7})
    said = await api.patch(PATH, {"teams": {"default_team": False}})
    assert said == {
        **defaults,
        "membership_limit": 7,
        "teams": {**defaults["teams"], "maximum_teams": 3, "default_team": False},
    }
    provenance = (await api.get(PATH, include_provenance="true"))["provenance"]
    assert (provenance["teams"], provenance["roles"]) == ("tenant", "default")
    assert await api.patch(PATH, {"teams": None, "membership_limit": None}) == defaults


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"roles": {"owner": {"rocket": ["fly"]}}}, "roles.owner.rocket"),
        ({"roles": {"owner": {"team": ["fly"]}}}, "roles.owner.team"),
        ({"roles": {"a,b": {"team": ["create"]}}}, "a name that is none"),
        ({"statements": {"rocket": []}}, "length >= 1"),
        ({"default_tenant_roles": ["nobody's"]}, "no role of this tenant: nobody's"),
        ({"additional_fields": {"member": {"role": {}}}}, "would hide: role"),
        ({"additional_fields": {"member": {"x": {"type": "date"}}}}, "Invalid enum value"),
        ({"additional_fields": {"house": {}}}, "Invalid enum value"),
        ({"claim_aliases": {"sub": "org_id"}}, "Invalid enum value"),
        ({"membership_limit": -1}, ">= 0"),
        ({"invitation_expires_in": 0}, "> 0"),
        ({"teams": {"colour": "red"}}, "colour"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_what_could_not_be_acted_by_is_refused(
    shared: Installation, body: dict[str, Any], sentence: str
) -> None:
    api = await shared.manager("acme")
    with pytest.raises(ApiError, match=re.escape(sentence)) as refused:
        await api.patch(PATH, body)
    assert " 400" in str(refused.value)


async def test_a_resource_goes_with_the_roles_that_permit_it(shared: Installation) -> None:
    api = await shared.manager("acme")
    statements = {"project": ["share"]}
    await api.patch(PATH, {"statements": statements, "roles": {" Billing ": statements}})
    assert (await api.get(PATH))["roles"] == {"billing": statements}
    with pytest.raises(ApiError, match=r"roles.billing.project"):
        await api.patch(PATH, {"statements": None})
    await api.patch(PATH, {"statements": None, "roles": None})


async def test_they_are_inherited_where_the_installation_says_so_and_only_there(
    installation: Installation,
) -> None:
    await (await installation.operator()).patch(PATH, {"membership_limit": 5})
    assert "organizations" not in INHERITED_KEYS
    assert (await (await installation.manager("acme")).get(PATH))["membership_limit"] == 100


async def test_where_the_installation_says_so_they_are_tenant_one_s(golden: Any, data_dir: Any) -> None:
    settings = settings_for(data_dir, inherited_keys=INHERITED_KEYS | {"organizations"})
    async with serving(settings, golden[1]) as installation:
        await (await installation.operator()).patch(PATH, {"membership_limit": 5})
        shown = await (await installation.manager("acme")).get(PATH, include_provenance="true")
        assert (shown["membership_limit"], shown["provenance"]["membership_limit"]) == (5, "control_plane")
