"""`POST /delete-user`: an account goes with everything of its owner's, unless an organization would be left alone."""

from litestar import Response
from sqlalchemy import Connection, delete

from core.tenants import Tenant
from tenant_runtime.audit import Event, record
from tenant_runtime.erasures import tell_of_erasure
from tenant_runtime.login.cookies import cleared_api_cookies
from tenant_runtime.management.endings import end_memberships, tell_of_logins
from tenant_runtime.models import User
from tenant_runtime.oauth.backchannel_logout import Initiator
from tenant_runtime.organizations.accounts.own_password import Shown, show_password, was_right
from tenant_runtime.organizations.accounts.own_sessions import is_fresh
from tenant_runtime.organizations.accounts.shapes import Answer, DeleteUserBody
from tenant_runtime.organizations.people.rows import is_last_owner_anywhere
from tenant_runtime.organizations.wire import CallOf, bare, refusal, write_endpoint

_u = User.__table__.c


@write_endpoint("/delete-user")
async def delete_user(call: CallOf) -> Response[Answer]:
    """By who shows their password, or came in lately."""
    session, body = await call.session(), await call.body(DeleteUserBody)
    if not (await call.options()).allow_user_deletion:
        raise bare(404)
    if body.token:
        raise refusal(404, "INVALID_TOKEN", "Invalid token")
    shown = None
    if body.password is not None:
        shown = await show_password(call, session, body.password)
    elif not is_fresh(session, call.now):
        message = "Session expired. Re-authenticate to perform this action."
        raise refusal(400, "SESSION_EXPIRED", message)
    event = call.event("sdu", "The user deleted their account.")
    await call.write(delete_account, call.tenant, session.user_id, shown, event)
    call.deliver()
    cookies = cleared_api_cookies(is_https=call.browser.is_https)
    return Response({"success": True, "message": "User deleted"}, cookies=cookies)


handlers = [delete_user]


def delete_account(
    connection: Connection, tenant: Tenant, user_id: str, shown: Shown | None, event: Event
) -> None:
    if shown is not None:
        was_right(connection, shown)
    check_not_needed(connection, user_id)
    now, key = event.created_at, tenant.data_key
    tell_of_logins(connection, key, user_id, now, why=Initiator.ACCOUNT_DELETED)
    end_memberships(connection, user_id, now)
    connection.execute(delete(User.__table__).where(_u.user_id == user_id))
    tell_of_erasure(connection, key, user_id, now)
    record(connection, event)


def check_not_needed(connection: Connection, user_id: str) -> None:
    if is_last_owner_anywhere(connection, user_id):
        message = "You cannot leave the organization as the only owner"
        raise refusal(400, "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER", message)
