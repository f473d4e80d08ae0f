"""Members: listed, given other roles, removed, gone; the last owner stays; what is permitted to whom."""

from tests.clients.organization_api.steps import Scene, Step, at_once, joined, organization, people, step

NO_OWNER = (400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER")
ONLY_OWNER = (400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER")
NOT_UPDATED = (403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER")
UNKNOWN = (400, "MEMBER_NOT_FOUND")
NOT_HERE = (403, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION")
NOT_HANDED_OVER = (403, "YOU_ARE_NOT_ALLOWED_TO_TRANSFER_THE_OWNERSHIP")
TRANSFER = "0.12: the reference has no transfer of ownership"
NO_ACTIVE = (400, "NO_ACTIVE_ORGANIZATION")


def listed(by: str, fails: tuple[int, str] | None = None, differs: str = "", **query: object) -> Step:
    return organization(by, "listMembers", query=query, fails=fails, differs=differs)


MEMBERS = Scene(
    "members",
    people("ada", "ben", "cleo", "dan", "xena"),
    (
        organization("ada", "create", keep="org", name="Crew", slug="members-crew"),
        organization("xena", "create", keep="other", name="Other", slug="members-other"),
        *joined("members", "ben", "ada", "$org.id", "admin"),
        *joined("members", "cleo", "ben", "$org.id"),
        *joined("members", "dan", "ben", "$org.id", "guest"),
        listed("ada"),
        listed("cleo", organizationSlug="members-crew"),
        listed("ada", limit=1, sortBy="createdAt", sortDirection="asc"),
        listed("ada", limit=2, offset=1, sortBy="createdAt", sortDirection="desc"),
        listed("ada", filterField="role", filterValue="admin"),
        listed("ada", filterField="role", filterOperator="ne", filterValue="admin"),
        listed("ada", filterField="role", filterOperator="contains", filterValue="m"),
        listed("ada", filterField="role", filterOperator="starts_with", filterValue="ow"),
        listed("ada", filterField="userId", filterValue="$cleo.id"),
        listed("ada", sortBy="shoeSize", fails=(400, "VALIDATION_ERROR"), differs="0.6: an unknown field is refused"),
        listed("ada", filterField="shoeSize", filterValue="1", fails=(400, "VALIDATION_ERROR"),
               differs="0.6: an unknown field is refused"),
        listed("ada", filterField="role", filterOperator="in", filterValue="admin", fails=(400, "VALIDATION_ERROR"),
               differs="0.6: `in` asks for several values"),
        listed("xena", organizationId="$org.id", fails=NOT_HERE),
        listed("xena", organizationSlug="no-such", fails=(400, "ORGANIZATION_NOT_FOUND")),
        organization("ben", "getActiveMemberRole", query={"userId": "$ada.id"}),
        organization("dan", "getActiveMemberRole", query={"userId": "$xena.id"}, fails=NOT_HERE),
        organization("xena", "getActiveMemberRole", query={"organizationId": "$org.id"}, fails=NOT_HERE),
        organization("cleo", "updateMemberRole", memberId="$dan_in.member.id", role="member", fails=NOT_UPDATED),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role="member"),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role=["admin", "member"]),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role="member, admin",
                     differs="roles have one order"),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role="admin,member"),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role="owner", fails=NOT_UPDATED),
        organization("ben", "updateMemberRole", memberId="$org.members.0.id", role="member", fails=NOT_UPDATED),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role="wizard",
                     fails=(400, "ROLE_NOT_FOUND")),
        organization("ben", "updateMemberRole", memberId="$dan_in.member.id", role="", fails=(400, None)),
        organization("ben", "updateMemberRole", memberId="no-such", role="member", fails=UNKNOWN),
        organization("ben", "updateMemberRole", memberId="$other.members.0.id", role="member", fails=NOT_UPDATED),
        organization("xena", "updateMemberRole", memberId="$dan_in.member.id", role="owner", fails=NOT_UPDATED),
        organization("xena", "updateMemberRole", memberId="$dan_in.member.id", role="owner", organizationId="$org.id",
                     fails=UNKNOWN),
        organization("ada", "updateMemberRole", memberId="$org.members.0.id", role="member", fails=NO_OWNER),
        organization("ada", "leave", organizationId="$org.id", fails=ONLY_OWNER),
        organization("ada", "removeMember", memberIdOrEmail="$org.members.0.id", fails=ONLY_OWNER),
        organization("ben", "removeMember", memberIdOrEmail="$org.members.0.id", fails=ONLY_OWNER),
        organization("cleo", "removeMember", memberIdOrEmail="$dan_in.member.id",
                     fails=(401, "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER")),
        organization("ben", "removeMember", memberIdOrEmail="$other.members.0.id", organizationId="$org.id",
                     fails=UNKNOWN,
                     differs="it would say who owns an organization elsewhere"),
        organization("xena", "removeMember", memberIdOrEmail="$dan_in.member.id", organizationId="$org.id",
                     fails=UNKNOWN),
        organization("ben", "removeMember", memberIdOrEmail="nobody@members.example", fails=UNKNOWN),
        organization("ben", "removeMember", memberIdOrEmail="DAN@members.example"),
        organization("ben", "removeMember", memberIdOrEmail="$dan_in.member.id", fails=UNKNOWN),
        organization("cleo", "leave", organizationId="$org.id"),
        organization("cleo", "leave", organizationId="$org.id", fails=UNKNOWN),
        step("cleo", "getSession"),
        step("dan", "getSession", differs="0.1: who is removed is in the organization in no session"),
        organization("dan", "getActiveMember", fails=NO_ACTIVE, differs="0.1: gone from all sessions"),
        listed("ada"),
    ),
)  # fmt: skip

HANDOVER = Scene(
    "handover",
    people("ada", "ben"),
    (
        organization("ada", "create", keep="org", name="Baton", slug="handover-baton"),
        *joined("handover", "ben", "ada", "$org.id"),
        organization(
            "ben", "transferOwnership", memberId="$ben_in.member.id", fails=NOT_HANDED_OVER, differs=TRANSFER
        ),
        organization("ada", "transferOwnership", memberId="$ben_in.member.id", differs=TRANSFER),
        listed("ben", sortBy="createdAt", differs=TRANSFER),
    ),
)

OWNERS = Scene(
    "owners",
    people("ada", "ben", "cleo"),
    (
        organization("ada", "create", keep="org", name="Pair", slug="owners-pair"),
        *joined("owners", "ben", "ada", "$org.id", "owner"),
        *joined("owners", "cleo", "ada", "$org.id", "admin"),
        organization("ben", "setActive", organizationId="$org.id"),
        at_once(
            organization("ada", "updateMemberRole", memberId="$ben_in.member.id", role="member"),
            organization("ben", "updateMemberRole", memberId="$org.members.0.id", role="member", fails=NOT_UPDATED),
        ),
        listed("cleo", filterField="role", filterValue="owner"),
    ),
)  # fmt: skip

PERMISSIONS = Scene(
    "permissions",
    people("ada", "ben", "cleo", "dan", "xena"),
    (
        organization("ada", "create", keep="org", name="Rights", slug="permissions-rights"),
        *joined("permissions", "ben", "ada", "$org.id", "admin"),
        *joined("permissions", "cleo", "ada", "$org.id"),
        *joined("permissions", "dan", "ada", "$org.id", "guest"),
        *(
            organization(name, "hasPermission", permissions=permissions)
            for name in ("ada", "ben", "cleo", "dan")
            for permissions in (
                {"organization": ["delete"]},
                {"organization": ["update"], "member": ["create", "update", "delete"]},
                {"ac": ["read"]},
            )
        ),
        organization("ada", "hasPermission", permissions={}),
        organization("ada", "hasPermission", permissions={"team": []}),
        organization("ada", "hasPermission", permissions={"rocket": ["fly"]}),
        organization("ada", "hasPermission", permissions={"team": ["fly"]}),
        organization("ada", "hasPermission", permission={"team": ["create"]}),
        organization("ada", "hasPermission", permission={"team": ["create"]}, permissions={"team": ["create"]},
                     fails=(400, "VALIDATION_ERROR")),
        organization("ada", "hasPermission", organizationId="$org.id", fails=(400, "VALIDATION_ERROR")),
        organization("xena", "hasPermission", permissions={"team": ["create"]}, fails=NO_ACTIVE),
        organization("xena", "hasPermission", permissions={"team": ["create"]}, organizationId="$org.id",
                     fails=(401, "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION")),
    ),
)  # fmt: skip
