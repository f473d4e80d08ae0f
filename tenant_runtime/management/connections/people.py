"""`DELETE /connections/{id}/users`: the person whom a connection knows by an address."""

from litestar.params import FromPath
from sqlalchemy import Connection, select

from core.errors import InvalidQuery
from core.http.paging import parse_text
from core.tenants import Tenant
from tenant_runtime.login.emails import normal_email
from tenant_runtime.management.access import Actor
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.connections import clients
from tenant_runtime.management.routing import removing
from tenant_runtime.management.users import resource as users
from tenant_runtime.models import Identity

_identity = Identity.__table__.c


@removing("/connections/{id:str}/users", "delete:users")
async def delete_connection_user(call: CallOf, id: FromPath[str]) -> None:
    email = parse_text(call.request.query_params, "email")
    if not email:
        raise InvalidQuery("The parameter 'email' is required.")
    await call.write(_delete, id, normal_email(email), call.actor, call.tenant, call.now)
    call.services.deliveries.soon(call.tenant)


handlers = [delete_connection_user]


def _delete(connection: Connection, id: str, email: str, actor: Actor, tenant: Tenant, now: int) -> Written:
    """Who is not there any more is no error."""
    clients.load(connection, id)
    known = (_identity.connection_id == id, _identity.email == email)
    user_id = connection.execute(select(_identity.user_id).where(*known)).scalar_one_or_none()
    if user_id is None:
        return Written()
    return users.remove(connection, user_id, actor, tenant.data_key, now)
