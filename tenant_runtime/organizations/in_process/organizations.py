"""The functions by their names, in both forms."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Protocol

import msgspec
from litestar import Response
from sqlalchemy import Connection

from core.clock import now_ms
from core.tenants import Tenant
from tenant_runtime.dependencies import Services
from tenant_runtime.organizations.as_tenants import lifecycle_for
from tenant_runtime.organizations.domains import endpoints as domains
from tenant_runtime.organizations.in_process.calls import (
    Asked,
    House,
    ProcessCall,
    SendInvitation,
    WithinCall,
)
from tenant_runtime.organizations.invitations import endpoints as invitations
from tenant_runtime.organizations.joining import endpoints as joining
from tenant_runtime.organizations.lifecycle import endpoints as lifecycle
from tenant_runtime.organizations.people import adding
from tenant_runtime.organizations.people import endpoints as people
from tenant_runtime.organizations.policies import endpoints as policies
from tenant_runtime.organizations.roles import endpoints as roles
from tenant_runtime.organizations.teams import endpoints as teams
from tenant_runtime.organizations.wire.calls import ApiCall
from tenant_runtime.schema import require_organization_api

Handler = Callable[[ApiCall], Coroutine[Any, Any, Any]]
Lifetime = timedelta | float


_MAKE_TENANTS: frozenset[Handler] = frozenset(
    handler.fn
    for handler in (lifecycle.create_organization, lifecycle.check_slug, lifecycle.delete_organization)
)
"""Where organizations are tenants, these wait for what makes them."""


class _Caller(Protocol):
    def _call(self, handler: Handler, asked: Asked) -> Any: ...


def _function(handler: Any) -> Callable[..., Any]:
    """`by` is the id of the user who acts; `session` is the token of a session of theirs, whose active organization
    and team then count. The others are those of the path's body or query, in Python's spelling."""
    function: Handler = getattr(handler, "fn", handler)

    def call(self: _Caller, *, by: str | None = None, session: str | None = None, **values: Any) -> Any:
        asked = Asked(user_id=by, session_token=session, values=_on_the_wire(values))
        return self._call(function, asked)

    return call


class _Functions:
    create_organization = _function(lifecycle.create_organization)
    check_slug = _function(lifecycle.check_slug)
    list_organizations = _function(lifecycle.list_organizations)
    get_organization = _function(lifecycle.get_organization)
    get_full_organization = _function(lifecycle.get_full_organization)
    set_active_organization = _function(lifecycle.set_active_organization)
    update_organization = _function(lifecycle.update_organization)
    delete_organization = _function(lifecycle.delete_organization)

    add_member = _function(adding.add_member)
    list_members = _function(people.list_members)
    update_member_role = _function(people.update_member_role)
    transfer_ownership = _function(people.transfer_ownership)
    remove_member = _function(people.remove_member)
    leave_organization = _function(people.leave_organization)
    get_active_member = _function(people.get_active_member)
    get_active_member_role = _function(people.get_active_member_role)
    has_permission = _function(people.has_permission)

    invite_member = _function(invitations.invite_member)
    invite_members = _function(invitations.invite_members)
    accept_invitation = _function(invitations.accept_invitation)
    reject_invitation = _function(invitations.reject_invitation)
    cancel_invitation = _function(invitations.cancel_invitation)
    get_invitation = _function(invitations.get_invitation)
    list_invitations = _function(invitations.list_invitations)
    list_user_invitations = _function(invitations.list_user_invitations)

    create_team = _function(teams.create_team)
    update_team = _function(teams.update_team)
    remove_team = _function(teams.remove_team)
    list_teams = _function(teams.list_teams)
    set_active_team = _function(teams.set_active_team)
    list_user_teams = _function(teams.list_user_teams)
    list_team_members = _function(teams.list_team_members)
    add_team_member = _function(teams.add_team_member)
    remove_team_member = _function(teams.remove_team_member)

    create_role = _function(roles.create_role)
    update_role = _function(roles.update_role)
    delete_role = _function(roles.delete_role)
    list_roles = _function(roles.list_roles)
    get_role = _function(roles.get_role)

    add_domain = _function(domains.add_domain)
    list_domains = _function(domains.list_domains)
    update_domain = _function(domains.update_domain)
    remove_domain = _function(domains.remove_domain)

    list_joinable_organizations = _function(joining.list_joinable_organizations)
    request_to_join = _function(joining.request_to_join)
    cancel_join_request = _function(joining.cancel_join_request)
    list_join_requests = _function(joining.list_join_requests)
    approve_join_request = _function(joining.approve_join_request)
    reject_join_request = _function(joining.reject_join_request)
    join = _function(joining.join)

    get_settings = _function(policies.get_settings)
    update_settings = _function(policies.update_settings)


class Organizations(_Functions):
    """Of one tenant. Each function is awaited and answers what the client would read; a refusal is an `ApiError`.

    `teams` and `dynamic_access_control`: whether there are any, whatever the tenant says. `invitation_expires_in`: for
    how long invitations are good, in seconds or as a timedelta; without it, as the tenant says. `send_invitation` is
    awaited with each invitation in place of the letter that Keystead would send.
    """

    verify_domain = _function(domains.verify_domain)  # asks the DNS, which no transaction waits for

    def __init__(
        self,
        tenant: Tenant,
        services: Services,
        *,
        teams: bool = True,
        dynamic_access_control: bool = True,
        invitation_expires_in: Lifetime | None = None,
        send_invitation: SendInvitation | None = None,
    ) -> None:
        self._house = House(
            tenant=tenant,
            services=services,
            teams=teams,
            dynamic_access_control=dynamic_access_control,
            invitation_expires_in=_lifetime(invitation_expires_in),
            send_invitation=send_invitation,
        )

    def within(self, connection: Connection) -> "Within":
        """For a unit of the caller's own (`tenant.database.write`): what is done is done with its commit, or not."""
        return Within(self._house, connection)

    async def deliver(self, *invitation_ids: str) -> None:
        """After the commit of a unit that invited: its letters go out."""
        for invitation_id in invitation_ids:
            await self._house.send(invitation_id)
        self._house.services.deliveries.soon(self._house.tenant)

    def _call(self, handler: Handler, asked: Asked) -> Awaitable[Any]:
        return _answered(handler, ProcessCall(self._house, asked))


class Within(_Functions):
    """The same functions, inside of a transaction: they answer at once, and ask no hook."""

    def __init__(self, house: House, connection: Connection) -> None:
        self._house = house
        self._connection = connection
        self._now = now_ms(house.services.clock)

    def _call(self, handler: Handler, asked: Asked) -> Any:
        """What is refused leaves nothing behind, also where the caller goes on."""
        house = self._house
        if handler in _MAKE_TENANTS and lifecycle_for(house.tenant, house.services) is not None:
            raise RuntimeError(
                "Organizations that are tenants are made and deleted outside of a transaction."
            )
        with self._connection.begin_nested():
            call = WithinCall(house, asked, self._connection, self._now)
            return _at_once(_answered(handler, call))


async def _answered(handler: Handler, call: ApiCall) -> Any:
    """Without the cookies that a browser would be given."""
    await call.read(require_organization_api)
    answer = await handler(call)
    if not isinstance(answer, Response):
        return answer
    content = answer.content
    return msgspec.json.decode(content) if isinstance(content, bytes) else content


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of what never waits: nothing may inside of a transaction, and a call of this kind does not."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    raise RuntimeError("This waits for something outside of the transaction.")


def _on_the_wire(values: Mapping[str, Any]) -> dict[str, Any]:
    """Names as the wire has them, also those inside of `data`. What stands in other members is the caller's own."""
    named = {_camel(name): value for name, value in values.items()}
    if isinstance(named.get("data"), Mapping):
        named["data"] = {_camel(name): value for name, value in named["data"].items()}
    return named


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _lifetime(value: Lifetime | None) -> timedelta | None:
    return timedelta(seconds=value) if isinstance(value, int | float) else value
