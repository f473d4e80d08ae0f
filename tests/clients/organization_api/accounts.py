"""Accounts and sessions, and requests that no client sends."""

from tests.clients.organization_api.steps import NOBODY, PASSWORD, Person, Scene, Step, people, step

NEW = {"name": "Nora", "email": "nora@accounts.example", "password": PASSWORD}
OTHER = "another horse battery staple"
BAD_LOGIN = (401, "INVALID_EMAIL_OR_PASSWORD")

ACCOUNTS = Scene(
    "accounts",
    people("ada", "ben"),
    (
        step("nora", "signUp.email", keep="nora", **NEW),
        step("nora", "getSession"),
        step(NOBODY, "signUp.email", **NEW, fails=(422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")),
        step("nameless", "signUp.email", name="", email="nameless@accounts.example", password=PASSWORD),
        step(NOBODY, "signUp.email", name="", email="no address", password=PASSWORD, fails=(400, "VALIDATION_ERROR")),
        step(NOBODY, "signUp.email", name="", email="s@accounts.example", password="short",
             fails=(400, "PASSWORD_TOO_SHORT")),
        step(NOBODY, "signUp.email", name="", email="l@accounts.example", password="l" * 5000,
             fails=(400, "PASSWORD_TOO_LONG")),
        step(NOBODY, "signIn.email", email="no address", password=PASSWORD, fails=(400, "INVALID_EMAIL")),
        step(NOBODY, "signIn.email", email="zoe@accounts.example", password=PASSWORD, fails=BAD_LOGIN),
        step(NOBODY, "signIn.email", email="ada@accounts.example", password="wrong " + PASSWORD, fails=BAD_LOGIN),
        step("second", "signIn.email", keep="second", email="ADA@accounts.example", password=PASSWORD,
             rememberMe=False),
        step("ada", "listSessions"),
        step("ada", "revokeSession", token="no-such"),
        step("ben", "revokeSession", token="$second.token"),
        step("second", "getSession", keep="still"),
        step("ada", "revokeSession", token="$second.token"),
        step("second", "getSession"),
        step("third", "signIn.email", email="ada@accounts.example", password=PASSWORD),
        step("ada", "revokeOtherSessions"),
        step("third", "getSession"),
        step("ada", "updateUser", name="Ada L.", image="https://img.example/ada.png"),
        step("ada", "getSession"),
        step("ada", "updateUser", email="other@accounts.example", fails=(400, "EMAIL_CAN_NOT_BE_UPDATED")),
        step("ada", "updateUser", fails=(404, None)),
        step("ada", "updateSession", activeOrganizationId="no-such", fails=(400, "FIELD_NOT_ALLOWED")),
        step("ada", "changePassword", currentPassword="wrong " + PASSWORD, newPassword=OTHER,
             fails=(400, "INVALID_PASSWORD")),
        step("ada", "changePassword", currentPassword=PASSWORD, newPassword="short",
             fails=(400, "PASSWORD_TOO_SHORT")),
        step("ada", "changePassword", currentPassword=PASSWORD, newPassword=OTHER),
        step("ada", "changePassword", currentPassword=OTHER, newPassword=PASSWORD, revokeOtherSessions=True),
        step("ada", "getSession"),
        step("ada", "listAccounts", differs="an account's id is the one that its connection knows"),
        step("ada", "revokeSessions"),
        step("ada", "getSession"),
        step("ben", "changeEmail", newEmail="other@accounts.example", fails=(400, "CHANGE_EMAIL_DISABLED")),
        step("ben", "deleteUser", password=PASSWORD, fails=(404, None)),
        step("ben", "signOut"),
        step("ben", "getSession"),
        step("ben", "signOut"),
    ),
)  # fmt: skip


def fetch(by: str, method: str, path: str, *, fails: tuple[int, str | None] | None = None, differs: str = "",
          body: str | None = None, **headers: str) -> Step:  # fmt: skip
    sent = {} if body is None else {"body": body}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return step(by, "fetch", fails=fails, differs=differs, method=method, path=path, headers=named, **sent)


AT = "@letters.example"
LETTERS = Scene(
    "letters",
    people("ada", "ben", strangers=("uma",)),
    (
        step(NOBODY, "requestPasswordReset", email="zoe" + AT),
        step(NOBODY, "requestPasswordReset", email="no address", fails=(400, "VALIDATION_ERROR")),
        step(NOBODY, "requestPasswordReset", email="ada" + AT),
        step("ada", "letter", keep="reset", to="ada" + AT),
        step(NOBODY, "resetPassword", newPassword=OTHER, token="no-such", fails=(400, "INVALID_TOKEN")),
        step(NOBODY, "resetPassword", newPassword="short", token="$reset.token", fails=(400, "PASSWORD_TOO_SHORT")),
        step(NOBODY, "resetPassword", newPassword=OTHER, token="$reset.token"),
        step(NOBODY, "resetPassword", newPassword=OTHER, token="$reset.token", fails=(400, "INVALID_TOKEN")),
        step("ada", "getSession", differs="a new password ends the sessions of the old one"),
        step("ada", "signIn.email", email="ada" + AT, password=PASSWORD, fails=BAD_LOGIN),
        step("ada", "signIn.email", email="ada" + AT, password=OTHER),
        step("ada", "verifyPassword", password=PASSWORD, fails=(400, "INVALID_PASSWORD")),
        step("ada", "verifyPassword", password=OTHER),
        step("uma", "sendVerificationEmail", email="ada" + AT, fails=(400, "EMAIL_MISMATCH")),
        step("ada", "sendVerificationEmail", email="ada" + AT, fails=(400, "EMAIL_ALREADY_VERIFIED")),
        step("uma", "sendVerificationEmail", email="uma" + AT),
        step("uma", "letter", keep="proof", to="uma" + AT),
        step(NOBODY, "verifyEmail", query={"token": "no-such"}, fails=(401, "INVALID_TOKEN")),
        step("uma", "verifyEmail", query={"token": "$proof.token"}),
        step("uma", "getSession"),
        step("uma", "changeEmail", newEmail="uma" + AT, fails=(400, None)),
        step("ben", "deleteUser", password="wrong " + PASSWORD, fails=(400, "INVALID_PASSWORD")),
        step("ben", "deleteUser", token="of-no-letter", fails=(404, "INVALID_TOKEN")),
        step("ben", "deleteUser", password=PASSWORD),
        step("ben", "getSession"),
        step("ben", "signIn.email", email="ben" + AT, password=PASSWORD, fails=BAD_LOGIN),
    ),
    options={"allow_email_change": True, "allow_user_deletion": True},
)  # fmt: skip

LOGIN = '{"email":"ada@edges.example","password":"wrong"}'
LEAVE = '{"organizationId":"no-such"}'

EDGES = Scene(
    "edges",
    (Person("ada"),),
    (
        fetch(NOBODY, "GET", "/ok"),
        fetch("ada", "GET", "/no-such", fails=(404, None)),
        fetch("ada", "GET", "/organization/list/", fails=(404, None)),
        fetch("ada", "POST", "/organization/list", body="{}", fails=(404, None)),
        fetch("ada", "GET", "/organization/create", fails=(404, None)),
        fetch("ada", "POST", "/organization/add-member", body="{}", fails=(404, None)),
        fetch("ada", "POST", "/organization/leave", body="leave", content_type="text/plain",
              fails=(415, "UNSUPPORTED_MEDIA_TYPE")),
        fetch("ada", "POST", "/organization/leave", body="{", fails=(400, "BAD_REQUEST")),
        fetch("ada", "POST", "/organization/leave", body="{}", fails=(400, "VALIDATION_ERROR")),
        fetch("ada", "POST", "/organization/leave", body='{"organizationId":7}', fails=(400, "VALIDATION_ERROR")),
        fetch("ada", "POST", "/organization/leave", body=LEAVE, fails=(400, "MEMBER_NOT_FOUND")),
        fetch("ada", "POST", "/organization/leave", body=LEAVE, origin="none", fails=(403, "MISSING_OR_NULL_ORIGIN")),
        fetch("ada", "POST", "/organization/leave", body=LEAVE, origin="null", fails=(403, "MISSING_OR_NULL_ORIGIN")),
        fetch("ada", "POST", "/organization/leave", body=LEAVE, origin="https://evil.example",
              fails=(403, "INVALID_ORIGIN")),
        fetch(NOBODY, "POST", "/sign-in/email", body=LOGIN, origin="https://evil.example",
              fails=(403, "INVALID_ORIGIN")),
        fetch(NOBODY, "GET", "/reset-password/no-such?callbackURL=%2Fdone", fails=(302, None)),
        fetch("ada", "POST", "/get-session", body="{}", fails=(405, "METHOD_NOT_ALLOWED_DEFER_SESSION_REQUIRED")),
    ),
)  # fmt: skip

STORES = Scene(
    "stores",
    people("ada", "ben"),
    (
        step("ada", "watch", store="session"),
        step("ada", "watch", store="activeOrganization"),
        step("ada", "watch", store="listOrganizations"),
        step("ada", "shown", store="session", until={"user": {"name": "ada"}}),
        step("ada", "organization.create", keep="org", name="Shop", slug="stores-shop"),
        step("ada", "shown", store="activeOrganization", until={"name": "Shop"}),
        step("ada", "shown", store="session", until={"session": {"activeOrganizationId": "$org.id"}}),
        step("ada", "shown", store="listOrganizations", until=[{"name": "Shop"}]),
        step("ada", "organization.inviteMember", keep="invited", email="ben@stores.example", role="member"),
        step("ada", "shown", store="activeOrganization", until={"invitations": [{"status": "pending"}]}),
        step("ben", "organization.acceptInvitation", invitationId="$invited.id"),
        step("ada", "organization.update", data={"name": "Store"}),
        step("ada", "shown", store="activeOrganization", until={"name": "Store"}),
        step("ada", "organization.setActive", organizationId=None),
        step("ada", "shown", store="activeOrganization", until=None),
        step("ada", "signOut"),
        step("ada", "shown", store="session", until=None),
    ),
    has_window=True,
)
"""The client's stores ask again by themselves after each call, as in a page."""
