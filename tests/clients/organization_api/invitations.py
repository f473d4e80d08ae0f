"""Invitations: made, answered, cancelled, over; to whom they are shown, and who may accept them."""

from tests.clients.organization_api.steps import Scene, at_once, joined, organization, people, step

UNKNOWN = (400, "INVITATION_NOT_FOUND")
NOT_YOURS = (403, "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION")
NOT_INVITING = (403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION")
NOT_THIS_ROLE = (403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USER_WITH_THIS_ROLE")
AT = "@invitations.example"

INVITATIONS = Scene(
    "invitations",
    people("ada", "ben", "cleo", "dan", "xena", strangers=("uma",)),
    (
        organization("ben", "inviteMember", email="x" + AT, role="member", fails=(400, "ORGANIZATION_NOT_FOUND")),
        organization("ada", "create", keep="org", name="Inn", slug="invitations-inn"),
        organization("xena", "create", keep="other", name="Other", slug="invitations-other"),
        organization("ada", "inviteMember", email="no address", role="member", fails=(400, "INVALID_EMAIL")),
        organization("ada", "inviteMember", email="ben" + AT, role="wizard", fails=(400, None)),
        organization("ada", "inviteMember", email="ben" + AT, role=[], fails=(400, "ROLE_NOT_FOUND")),
        organization("ada", "inviteMember", email="ada" + AT, role="member",
                     fails=(400, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")),
        organization("ada", "inviteMember", keep="ben_invited", email="BEN" + AT, role="admin"),
        organization("ada", "inviteMember", email="ben" + AT, role="member",
                     fails=(400, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION")),
        organization("ada", "inviteMember", email="ben" + AT, role="member", resend=True),
        organization("ada", "listInvitations"),
        organization("ben", "listUserInvitations"),
        organization("ben", "getInvitation", query={"id": "$ben_invited.id"}),
        organization("cleo", "getInvitation", query={"id": "$ben_invited.id"}, fails=NOT_YOURS),
        organization("ben", "getInvitation", query={"id": "no-such"}, fails=UNKNOWN),
        organization("cleo", "acceptInvitation", invitationId="$ben_invited.id", fails=NOT_YOURS),
        organization("cleo", "rejectInvitation", invitationId="$ben_invited.id", fails=NOT_YOURS),
        organization("xena", "cancelInvitation", invitationId="$ben_invited.id", fails=(400, "MEMBER_NOT_FOUND")),
        organization("ben", "acceptInvitation", keep="ben_in", invitationId="$ben_invited.id"),
        organization("ben", "acceptInvitation", invitationId="$ben_invited.id", fails=UNKNOWN),
        organization("ben", "rejectInvitation", invitationId="$ben_invited.id", fails=UNKNOWN),
        step("ben", "getSession"),
        organization("ben", "inviteMember", email="dan" + AT, role="owner", fails=NOT_THIS_ROLE),
        organization("ben", "inviteMember", email="dan" + AT, role=" owner ", fails=NOT_THIS_ROLE),
        organization("ada", "inviteMember", keep="dan_invited", email="dan" + AT, role="owner"),
        organization("ben", "inviteMember", email="dan" + AT, role="member", resend=True, fails=NOT_THIS_ROLE),
        organization("ben", "listInvitations"),
        organization("ada", "listInvitations"),
        organization("ada", "cancelInvitation", invitationId="$dan_invited.id"),
        organization("dan", "acceptInvitation", invitationId="$dan_invited.id", fails=UNKNOWN),
        *joined("invitations", "cleo", "ben", "$org.id"),
        organization("cleo", "inviteMember", email="dan" + AT, role="member", fails=NOT_INVITING),
        organization("cleo", "listInvitations", fails=(403, "YOU_ARE_NOT_ALLOWED_TO_LIST_INVITATIONS")),
        organization("xena", "inviteMember", email="y" + AT, role="member", organizationId="$org.id",
                     fails=(400, "MEMBER_NOT_FOUND")),
        organization("xena", "listInvitations", query={"organizationId": "$org.id"}, fails=(403, None)),
        organization("dan", "listInvitations", fails=(400, None)),
        organization("ben", "inviteMember", keep="dan_again", email="dan" + AT, role=["admin", "member"]),
        organization("cleo", "cancelInvitation", invitationId="$dan_again.id",
                     fails=(403, "YOU_ARE_NOT_ALLOWED_TO_CANCEL_THIS_INVITATION")),
        organization("dan", "rejectInvitation", invitationId="$dan_again.id"),
        organization("dan", "rejectInvitation", invitationId="$dan_again.id", fails=UNKNOWN),
        organization("dan", "list"),
        organization("ben", "inviteMember", keep="uma_invited", email="uma" + AT, role="member"),
        organization("uma", "acceptInvitation", invitationId="$uma_invited.id",
                     fails=(403, "EMAIL_VERIFICATION_REQUIRED_BEFORE_ACCEPTING_OR_REJECTING_INVITATION")),
        organization("uma", "rejectInvitation", invitationId="$uma_invited.id",
                     fails=(403, "EMAIL_VERIFICATION_REQUIRED_BEFORE_ACCEPTING_OR_REJECTING_INVITATION")),
        organization("uma", "getInvitation", query={"id": "$uma_invited.id"},
                     fails=(403, "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION")),
        organization("uma", "listUserInvitations", fails=(403, "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION")),
        organization("uma", "listUserInvitations", query={"email": "dan" + AT}, fails=(400, None)),
        organization("ada", "cancelInvitation", invitationId="$ben_invited.id", fails=UNKNOWN,
                     differs="0.5: only a pending invitation can be cancelled"),
    ),
)  # fmt: skip

ONCE = Scene(
    "once",
    people("ada", "ben"),
    (
        organization("ada", "create", keep="org", name="Once", slug="once-only"),
        organization("ada", "inviteMember", keep="invited", email="ben@once.example", role="member"),
        at_once(
            organization("ben", "acceptInvitation", invitationId="$invited.id"),
            organization("ben", "acceptInvitation", invitationId="$invited.id", fails=UNKNOWN),
            organization("ben", "acceptInvitation", invitationId="$invited.id", fails=UNKNOWN),
        ),
        organization("ada", "listMembers"),
    ),
)

EXPIRED = Scene(
    "expired",
    people("ada", "ben"),
    (
        organization("ada", "create", keep="org", name="Late", slug="expired-late"),
        organization("ada", "inviteMember", keep="invited", email="ben@expired.example", role="member"),
        step("ada", "wait", seconds=0.4),
        organization("ben", "acceptInvitation", invitationId="$invited.id", fails=UNKNOWN),
        organization("ben", "getInvitation", query={"id": "$invited.id"}, fails=UNKNOWN),
        organization("ben", "listUserInvitations"),
        organization("ada", "inviteMember", keep="second", email="ben@expired.example", role="member"),
        organization("ben", "rejectInvitation", invitationId="$second.id"),
        organization("ada", "listMembers"),
    ),
    options={"invitation_expires_in": 0.3 / 3600},
)
"""Hours: what is made is over before it is answered, by the clock of the server."""

REPLACED = Scene(
    "replaced",
    people("ada", "ben"),
    (
        organization("ada", "create", keep="org", name="Again", slug="replaced-again"),
        organization("ada", "inviteMember", keep="first", email="ben@replaced.example", role="member"),
        organization("ada", "inviteMember", keep="second", email="ben@replaced.example", role="admin"),
        organization("ben", "acceptInvitation", invitationId="$first.id", fails=UNKNOWN),
        organization("ben", "acceptInvitation", invitationId="$second.id"),
    ),
    options={"cancel_pending_invitations_on_re_invite": True},
)
