"""An application that embeds Keystead calls the same functions as its clients do, by the same rules."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from core.clock import now_ms
from core.errors import Unavailable
from core.tenants import Tenant
from tenant_runtime.models import Invitation
from tenant_runtime.organizations.domains import endpoints as domains
from tenant_runtime.organizations.in_process import Organizations, Within
from tenant_runtime.organizations.invitations import endpoints as invitations
from tenant_runtime.organizations.joining import endpoints as joining
from tenant_runtime.organizations.lifecycle import endpoints as lifecycle
from tenant_runtime.organizations.people import endpoints as people
from tenant_runtime.organizations.policies import endpoints as policies
from tenant_runtime.organizations.roles import endpoints as roles
from tenant_runtime.organizations.teams import endpoints as teams
from tenant_runtime.organizations.wire import ApiError
from tests.conftest import serving, settings_for
from tests.installation import Installation
from tests.organizations.people import AuthClient, new_address, signed_in
from tests.organizations.places import suspend, telling

pytestmark = pytest.mark.anyio

ROOMS: list[Any] = [lifecycle, people, invitations, teams, roles, domains, joining, policies]


async def tenant_of(installation: Installation) -> Tenant:
    found = await installation.running.platform.directory.by_id("acme")
    assert found is not None
    return found


async def opened(installation: Installation, **options: Any) -> Organizations:
    return Organizations(await tenant_of(installation), installation.running.services, **options)


def slug_of(person: AuthClient) -> str:
    return f"o-{person.email.partition('@')[0]}"


async def organization_by(person: AuthClient, organizations: Organizations) -> str:
    slug = slug_of(person)
    made = await organizations.create_organization(by=person.user_id, name="Ours", slug=slug)
    return str(made["id"])


def test_every_function_of_the_wire_is_there_in_both_forms() -> None:
    served = {handler.fn.__name__ for room in ROOMS for handler in room.handlers}
    mine = {name for name in dir(Organizations) if not name.startswith("_")} - {"within", "deliver"}
    assert mine - {"verify_domain"} == {name for name in dir(Within) if not name.startswith("_")}
    assert mine == served | {"add_member"}


async def test_what_is_done_here_is_what_the_client_sees(shared: Installation) -> None:
    owner, organizations = await signed_in(shared), await opened(shared)
    made = await organizations.create_organization(
        by=owner.user_id, name="Ours", slug=slug_of(owner), metadata={"deep": {"er": [1]}}
    )
    assert made["metadata"] == {"deep": {"er": [1]}}
    assert [member["role"] for member in made["members"]] == ["owner"]
    inside = {"organizationId": made["id"]}
    assert (await owner.post("/organization/set-active", **inside)).status == 200
    seen = (await owner.get("/organization/list-members")).body
    assert seen == await organizations.list_members(by=owner.user_id, organization_id=made["id"])
    team = await organizations.create_team(by=owner.user_id, organization_id=made["id"], name="Tools")
    assert team in (await owner.get("/organization/list-teams")).body
    renamed = await organizations.update_team(
        by=owner.user_id, team_id=team["id"], data={"name": "Works", "organization_id": made["id"]}
    )
    assert renamed["name"] == "Works"
    role = await organizations.create_role(
        by=owner.user_id, organization_id=made["id"], role="Clerk", permission={"team": ["create"]}
    )
    assert (await owner.get("/organization/get-role", roleName="clerk")).body == role["roleData"]
    assert await organizations.has_permission(
        by=owner.user_id, organization_id=made["id"], permissions={"organization": ["delete"]}
    ) == {"error": None, "success": True}


async def test_who_acts_is_asked_as_over_http(shared: Installation) -> None:
    owner, stranger, organizations = await signed_in(shared), await signed_in(shared), await opened(shared)
    organization_id = await organization_by(owner, organizations)
    with pytest.raises(ApiError) as refused:
        await organizations.create_team(by=stranger.user_id, organization_id=organization_id, name="x")
    assert refused.value.code == "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"
    with pytest.raises(ApiError, match="Nobody acts: `by` names no user") as nobody:
        await organizations.create_organization(by="auth0|nobody", name="x", slug="x")
    assert (nobody.value.status, nobody.value.code) == (401, "UNAUTHORIZED")
    with pytest.raises(ApiError) as unsaid:
        await organizations.list_members(organization_id=organization_id)
    assert unsaid.value.status == 401
    with pytest.raises(TypeError, match="organisationId"):
        await organizations.create_team(by=owner.user_id, organisation_id=organization_id, name="x")


async def test_a_suspended_organization_takes_nobody_here_either(shared: Installation) -> None:
    owner, robin, organizations = await signed_in(shared), await signed_in(shared), await opened(shared)
    organization_id = await organization_by(owner, organizations)
    await suspend(shared, organization_id)
    about = {"organization_id": organization_id}
    for refused in (
        organizations.list_members(by=owner.user_id, **about),
        organizations.invite_member(by=owner.user_id, email=new_address(), role="member", **about),
        organizations.delete_organization(by=owner.user_id, **about),
        organizations.add_member(user_id=robin.user_id, role="member", **about),
    ):
        with pytest.raises(ApiError) as why:
            await refused
        assert (why.value.status, why.value.code) == (403, "ORGANIZATION_IS_SUSPENDED")


async def test_a_session_is_what_it_is_in_the_middle_of(shared: Installation) -> None:
    owner, organizations = await signed_in(shared), await opened(shared)
    organization_id = await organization_by(owner, organizations)
    token = (await owner.session() or {})["token"]
    chosen = await organizations.set_active_organization(session=token, organization_id=organization_id)
    assert chosen["id"] == organization_id
    assert (await owner.session() or {})["activeOrganizationId"] == organization_id
    [team] = await organizations.list_teams(session=token)
    assert (await organizations.set_active_team(session=token, team_id=team["id"]))["id"] == team["id"]
    assert await organizations.set_active_team(session=token, team_id=None) is None
    assert (await organizations.get_active_member(session=token))["role"] == "owner"
    await owner.post("/sign-out")
    with pytest.raises(ApiError, match="no session that stands"):
        await organizations.list_teams(session=token)


async def test_somebody_is_added_without_being_asked_and_only_here(shared: Installation) -> None:
    owner, robin, organizations = await signed_in(shared), await signed_in(shared), await opened(shared)
    organization_id = await organization_by(owner, organizations)
    [team] = await organizations.list_teams(by=owner.user_id, organization_id=organization_id)
    new = {"organization_id": organization_id, "user_id": robin.user_id}
    for wrong, code in (
        ({**new, "user_id": "auth0|nobody", "role": "member"}, "USER_NOT_FOUND"),
        ({**new, "role": "emperor"}, "ROLE_NOT_FOUND"),
        ({**new, "role": "member", "team_id": "team_of_others"}, "TEAM_NOT_FOUND"),
        ({**new, "role": "member", "organization_id": "org_none"}, "ORGANIZATION_NOT_FOUND"),
    ):
        with pytest.raises(ApiError) as refused:
            await organizations.add_member(**wrong)
        assert refused.value.code == code
    added = await organizations.add_member(**new, role=["admin", "member"], team_id=team["id"])
    assert (added["userId"], added["role"]) == (robin.user_id, "admin,member")
    assert (await robin.get("/organization/list-user-teams")).body == [team]
    with pytest.raises(ApiError) as again:
        await organizations.add_member(**new, role="member")
    assert again.value.code == "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION"
    over_http = await owner.post("/organization/add-member", **new, role="member")
    assert (over_http.status, over_http.text) == (404, "")
    async with telling(shared, membership_limit=2):
        another = await signed_in(shared)
        with pytest.raises(ApiError) as full:
            await organizations.add_member(**{**new, "user_id": another.user_id}, role="member")
        assert full.value.code == "ORGANIZATION_MEMBERSHIP_LIMIT_REACHED"


async def test_inside_of_a_transaction_all_is_done_with_it_or_nothing(shared: Installation) -> None:
    owner, robin, organizations = await signed_in(shared), await signed_in(shared), await opened(shared)
    tenant, slug = await tenant_of(shared), slug_of(owner)

    def whole(connection: Connection, and_fail: bool) -> str:
        inside = organizations.within(connection)
        made = inside.create_organization(by=owner.user_id, name="Ours", slug=slug)
        inside.add_member(organization_id=made["id"], user_id=robin.user_id, role="admin")
        with pytest.raises(ApiError, match="Team not found"):
            inside.update_team(
                by=robin.user_id, team_id="none", data={"name": "x", "organization_id": made["id"]}
            )
        inside.create_team(by=robin.user_id, organization_id=made["id"], name="Tools")
        listed = inside.list_members(by=owner.user_id, organization_id=made["id"])
        assert listed["total"] == 2
        if and_fail:
            raise LookupError("the application's own reason")
        return str(made["id"])

    with pytest.raises(LookupError):
        await tenant.database.write(whole, True)
    assert slug not in [row["slug"] for row in (await owner.get("/organization/list")).body]
    organization_id = await tenant.database.write(whole, False)
    teams = await organizations.list_teams(by=owner.user_id, organization_id=organization_id)
    assert {team["name"] for team in teams} == {"Ours", "Tools"}


async def test_what_is_refused_inside_leaves_nothing_though_the_transaction_goes_on(
    shared: Installation,
) -> None:
    """Creating makes the organization before it finds that nobody may be a member of it."""
    owner, organizations = await signed_in(shared), await opened(shared)
    tenant, slug = await tenant_of(shared), slug_of(owner)

    def unit(connection: Connection) -> None:
        with pytest.raises(ApiError, match="limit"):
            organizations.within(connection).create_organization(by=owner.user_id, name="x", slug=slug)

    async with telling(shared, membership_limit=0):
        await tenant.database.write(unit)
    assert (await owner.post("/organization/check-slug", slug=slug)).body == {"status": True}


async def test_invitations_are_sent_by_the_application_and_last_as_long_as_it_says(
    shared: Installation,
) -> None:
    sent: list[dict[str, Any]] = []

    async def send(invitation: Any) -> None:
        sent.append(dict(invitation))

    owner = await signed_in(shared)
    organizations = await opened(shared, invitation_expires_in=timedelta(minutes=5), send_invitation=send)
    organization_id = await organization_by(owner, organizations)
    before, address = now_ms(shared.clock), new_address()
    asked = {"by": owner.user_id, "organization_id": organization_id, "email": address, "role": "member"}
    made = await organizations.invite_member(**asked)
    [letter] = sent
    assert (letter["id"], letter["email"], letter["role"]) == (made["id"], address, "member")
    assert letter["organization"]["id"] == organization_id
    assert letter["url"].startswith(shared.tenant("acme").issuer)
    assert made["id"] not in letter["url"]
    row = await (await tenant_of(shared)).database.read(_expiry, made["id"])
    assert 0 <= row - before - 300_000 < 60_000

    def unit(connection: Connection) -> str:
        inside = organizations.within(connection)
        return str(inside.invite_member(**{**asked, "email": new_address()})["id"])

    later = await (await tenant_of(shared)).database.write(unit)
    assert len(sent) == 1
    await organizations.deliver(later)
    assert sent[1]["id"] == later


def _expiry(connection: Connection, invitation_id: str) -> int:
    columns = Invitation.__table__.c
    row = connection.execute(select(columns.expires_at).where(columns.id == invitation_id)).one()
    return int(row.expires_at)


async def test_the_four_options_say_it_over_the_tenant(shared: Installation) -> None:
    owner = await signed_in(shared)
    without = await opened(shared, teams=False, dynamic_access_control=False)
    organization_id = await organization_by(owner, without)
    inside = {"by": owner.user_id, "organization_id": organization_id}
    for function, more in (
        (without.list_teams, {}),
        (without.create_team, {"name": "x"}),
        (without.list_roles, {}),
    ):
        with pytest.raises(ApiError) as refused:
            await function(**inside, **more)
        assert refused.value.status == 404
    with_all = await opened(shared)
    async with telling(shared, teams={"enabled": False}):
        assert await with_all.list_teams(**inside) == []
        assert (await with_all.create_team(**inside, name="x"))["name"] == "x"


async def test_a_tenant_that_waits_for_its_migration_is_told_so(installation: Installation) -> None:
    tenant, organizations = await tenant_of(installation), await opened(installation)
    await tenant.database.write(_back)
    with pytest.raises(Unavailable, match="to be migrated first"):
        await organizations.list_organizations(by="anybody")


def _back(connection: Connection) -> None:
    connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")


async def test_an_organization_that_is_a_tenant_is_not_made_inside_of_a_transaction(
    golden: Any, data_dir: Any
) -> None:
    settings = settings_for(data_dir, organizations_are_tenants=True)
    async with serving(settings, golden[1]) as installation:
        one = await installation.running.platform.directory.control_plane()
        organizations = Organizations(one, installation.running.services)
        operator = await installation.operator()
        [user, *_] = await operator.get("/users", per_page=1)
        asked = {"by": user["user_id"], "name": "Ten", "slug": "ten"}

        def unit(connection: Connection) -> list[str]:
            inside = organizations.within(connection)
            with pytest.raises(RuntimeError, match="outside of a transaction"):
                inside.create_organization(**asked)
            return [row["slug"] for row in inside.list_organizations(by=user["user_id"])]

        assert "ten" not in await one.database.write(unit)
        await organizations.create_organization(**asked)
        assert await operator.get("/tenants/ten")
