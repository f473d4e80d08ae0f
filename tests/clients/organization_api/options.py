"""What a tenant's options add: members of its own in bodies and answers, resources and roles of its own,
no first team."""

from tests.clients.organization_api.steps import PASSWORD, Scene, joined, organization, people, step

FIELDS = Scene(
    "fields",
    people("ada", "ben"),
    (
        organization("ada", "create", keep="org", name="Fields", slug="fields-first", plan="gold", secret="s",
                     rank=7, more=1),
        organization("ada", "create", name="Fields", slug="fields-second", plan=7, fails=(400, "VALIDATION_ERROR")),
        organization("ada", "getOrganization", query={"organizationId": "$org.id"}),
        organization("ada", "update", data={"plan": "silver"}, organizationId="$org.id"),
        organization("ada", "update", data={"plan": ["silver"]}, organizationId="$org.id",
                     fails=(400, "VALIDATION_ERROR")),
        organization("ada", "getFullOrganization", query={"organizationId": "$org.id"}),
        organization("ada", "list"),
        organization("ada", "inviteMember", keep="invited", email="ben@fields.example", role="member", greeting="Hi"),
        organization("ada", "listInvitations"),
        organization("ben", "acceptInvitation", invitationId="$invited.id"),
        organization("ada", "createTeam", keep="team", name="Red", colour="red"),
        organization("ada", "updateTeam", teamId="$team.id", data={"colour": "blue"}),
        organization("ada", "listTeams"),
    ),
    options={
        "additional_fields": {
            "organization": {
                "plan": {"type": "string"},
                "secret": {"type": "string", "returned": False},
                "rank": {"type": "number", "input": False},
            },
            "invitation": {"greeting": {"type": "string"}},
            "team": {"colour": {"type": "string"}},
        }
    },
)  # fmt: skip

PROJECTS = Scene(
    "projects",
    people("ada", "ben", "cleo"),
    (
        organization("ada", "create", keep="org", name="Works", slug="projects-works"),
        *joined("projects", "ben", "ada", "$org.id", "builder"),
        *joined("projects", "cleo", "ada", "$org.id", "admin"),
        organization("ada", "hasPermission", permissions={"project": ["create", "share"]}),
        organization("ben", "hasPermission", permissions={"project": ["create"]}),
        organization("ben", "hasPermission", permissions={"project": ["share"]}),
        organization("cleo", "hasPermission", permissions={"project": ["create"]}),
        organization("ada", "createRole", role="sharer", permission={"project": ["share"]}),
        organization("cleo", "createRole", role="maker", permission={"project": ["create"]},
                     fails=(403, "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_ROLE")),
        organization("ada", "createRole", role="builder", permission={"project": ["share"]},
                     fails=(400, "ROLE_NAME_IS_ALREADY_TAKEN")),
        organization("ada", "deleteRole", roleName="builder", fails=(400, "CANNOT_DELETE_A_PRE_DEFINED_ROLE")),
        organization("ada", "updateMemberRole", memberId="$ben_in.member.id", role="builder,sharer"),
        organization("ben", "hasPermission", permissions={"project": ["share"]}),
        organization("ben", "hasPermission", permissions={"project": ["create", "share"]}),
    ),
    options={
        "statements": {"project": ["create", "share"]},
        "roles": {"owner": {"project": ["create", "share"]}, "builder": {"project": ["create"]}},
    },
)  # fmt: skip

TEAMLESS = Scene(
    "teamless",
    people("ada"),
    (
        organization("ada", "create", keep="org", name="Bare", slug="teamless-bare"),
        step("ada", "getSession"),
        organization("ada", "listTeams"),
        organization("ada", "createTeam", keep="team", name="Only"),
        organization("ada", "removeTeam", teamId="$team.id", organizationId="$org.id"),
        organization("ada", "listTeams"),
    ),
    options={"teams": {"default_team": False, "allow_removing_all_teams": True}},
)

TWICE = Scene(
    "twice",
    people("ada", "ben", "cleo"),
    (
        organization("ada", "create", keep="one", name="One", slug="twice-one"),
        step("laptop", "signIn.email", keep="laptop", email="ada@twice.example", password=PASSWORD),
        step("laptop", "getSession"),
        organization("laptop", "create", keep="two", name="Two", slug="twice-two"),
        organization("ada", "getActiveMember"),
        organization("laptop", "getActiveMember"),
        *joined("twice", "ben", "ada", "$one.id", "admin"),
        organization("ben", "inviteMember", keep="invited", email="cleo@twice.example", role="member"),
        organization("ada", "removeMember", memberIdOrEmail="ben@twice.example"),
        organization("cleo", "getInvitation", query={"id": "$invited.id"}, fails=(400, "INVITATION_NOT_FOUND"),
                     differs="0.1: who is removed leaves no invitation behind"),
        organization("cleo", "acceptInvitation", invitationId="$invited.id", fails=(400, "INVITATION_NOT_FOUND"),
                     differs="0.1: who is removed leaves no invitation behind"),
        organization("laptop", "leave", organizationId="$two.id",
                     fails=(400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER")),
        organization("ada", "delete", organizationId="$two.id"),
        step("laptop", "getSession", differs="0.1: an organization that is gone is active in no session"),
        organization("ada", "getActiveMember"),
    ),
)  # fmt: skip
"""Two sessions of one person are each in an organization of their own."""
