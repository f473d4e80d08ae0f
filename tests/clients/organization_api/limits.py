"""What a tenant's options refuse."""

from tests.clients.organization_api.steps import Scene, joined, organization, people

FULL = Scene(
    "full",
    people("ada", "ben", "cleo"),
    (
        organization("ada", "create", keep="org", name="Full", slug="full-house"),
        organization("ada", "create", name="More", slug="full-more",
                     fails=(403, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_ORGANIZATIONS")),
        organization("ada", "inviteMember", keep="cleo_invited", email="cleo@full.example", role="member"),
        organization("ada", "inviteMember", email="third@full.example", role="member",
                     fails=(403, "INVITATION_LIMIT_REACHED")),
        organization("ada", "cancelInvitation", invitationId="$cleo_invited.id"),
        *joined("full", "ben", "ada", "$org.id"),
        organization("ada", "inviteMember", email="cleo@full.example", role="member",
                     fails=(403, "ORGANIZATION_MEMBERSHIP_LIMIT_REACHED"),
                            differs="nobody is asked into a full organization"),
        organization("ada", "createTeam", keep="team", name="Second"),
        organization("ada", "createTeam", name="Third", fails=(400, "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_TEAMS")),
        organization("ada", "addTeamMember", teamId="$team.id", userId="$ada.id"),
        organization("ada", "addTeamMember", teamId="$team.id", userId="$ben.id",
                     fails=(403, "TEAM_MEMBER_LIMIT_REACHED")),
        organization("ada", "createRole", role="first", permission={"ac": ["read"]}),
        organization("ada", "createRole", role="second", permission={"ac": ["read"]}, fails=(400, "TOO_MANY_ROLES")),
        organization("ada", "delete", organizationId="$org.id", fails=(404, "ORGANIZATION_DELETION_DISABLED")),
    ),
    options={
        "organization_limit": 1,
        "membership_limit": 2,
        "invitation_limit": 1,
        "disable_organization_deletion": True,
        "teams": {"maximum_teams": 2, "maximum_members_per_team": 1},
        "dynamic_access_control": {"maximum_roles_per_organization": 1},
    },
)  # fmt: skip

CLOSED = Scene(
    "closed",
    people("ada"),
    (
        organization("ada", "create", name="Mine", slug="closed-mine",
                     fails=(403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION")),
    ),
    options={"allow_user_to_create_organization": False},
)  # fmt: skip

WITHOUT = Scene(
    "without",
    people("ada"),
    (
        organization("ada", "create", keep="org", name="Plain", slug="without-plain"),
        organization("ada", "createTeam", name="Red", fails=(404, None)),
        organization("ada", "listTeams", fails=(404, None)),
        organization("ada", "setActiveTeam", teamId=None, fails=(404, None)),
        organization("ada", "createRole", role="seller", permission={"ac": ["read"]}, fails=(404, None)),
        organization("ada", "listRoles", fails=(404, None)),
        organization("ada", "getFullOrganization"),
        organization("ada", "inviteMember", email="ben@without.example", role="member"),
    ),
    options={"teams": {"enabled": False}, "dynamic_access_control": {"enabled": False}},
)
