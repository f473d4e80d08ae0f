"""What a tool works with: who acts, in which organization, the tenant's database, its log, the installation's hooks."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from core.errors import InvalidRequest, InvalidToken
from core.tenants import Tenant
from tenant_runtime.agents.callers import Agent, standing
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.oauth.wire import Call
from tenant_runtime.organizations.acting import Acting
from tenant_runtime.organizations.fields import checked
from tenant_runtime.organizations.hooks import Action
from tenant_runtime.organizations.membership import MemberOrganization, NotAMember, resolve_organization
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.policies.logins import LoggedIn
from tenant_runtime.organizations.wire.calls import rehearse
from tenant_runtime.organizations.wire.errors import ApiError, refusal

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ToolCall:
    call: Call
    agent: Agent
    configuration: Configuration

    @property
    def tenant(self) -> Tenant:
        return self.call.tenant

    @property
    def services(self) -> Services:
        return self.call.services

    @property
    def now(self) -> int:
        return self.call.now_ms

    @property
    def options(self) -> OrganizationOptions:
        return self.configuration.documents.value(OPTIONS)

    @property
    def acting(self) -> Acting:
        return Acting(self.agent.user_id, self.options, self.now)

    async def organization(self, named: str | None) -> str:
        """The organization to act in: the one that is named, else that of the token. A token that is for one
        organization opens no other. What the organization asks of log-ins holds for whoever acts for somebody, too;
        that it is not theirs is for the unit to say."""
        own = self.agent.organization_id
        if own is not None and named not in (None, own):
            raise other_organization()
        wanted = named or own
        if wanted is None:
            raise refusal(400, "NO_ACTIVE_ORGANIZATION")
        with suppress(InvalidRequest, NotAMember):
            await self.read(self.resolved, wanted)
        return wanted

    def resolved(self, connection: Connection, organization_id: str) -> MemberOrganization:
        """In which the person may act, having logged in as they did."""
        agent = self.agent
        return resolve_organization(
            connection,
            organization_id,
            user_id=agent.user_id,
            rules=replace(self.configuration.organization_rules, names_allowed=False),
            login=LoggedIn(session_id=agent.session_id, family_id=agent.family_id),
            now=self.now,
        )

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.tenant.database.read(unit, *args, **kwargs)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.tenant.database.write(self._acting(unit), *args, **kwargs)

    async def rehearse(self, unit: Callable[[Connection], Any]) -> None:
        await rehearse(self.tenant.database, self._acting(unit))

    def _acting(
        self, unit: Callable[Concatenate[Connection, P], T]
    ) -> Callable[Concatenate[Connection, P], T]:
        """The token is looked at again in the unit: a body may take its time to come."""

        def act(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if standing(connection, self.agent.presented) is None:
                raise InvalidToken
            return unit(connection, *args, **kwargs)

        return act

    def no_fields(self, entity: str) -> dict[str, Any]:
        """Tools take none of those that the tenant added. Where it requires one, its own pages have to make that."""
        return checked(self.options.fields(entity), {})

    def event(self, type: str, description: str, *, organization_id: str | None = None, **more: Any) -> Event:
        """Names the client as well as the person: a log that did not would say that the person did it."""
        call, agent = self.call, self.agent
        return Event(
            type=type,
            created_at=self.now,
            description=description,
            client_id=agent.client_id,
            client_name=agent.client_name,
            user_id=agent.user_id,
            user_name=agent.email,
            organization_id=organization_id,
            ip=call.ip,
            user_agent=call.user_agent,
            request_id=call.request_id,
            details={"by": agent.user_id, **more},
        )

    async def before(
        self,
        action: Action,
        values: Mapping[str, Any],
        *,
        rehearsal: Callable[[Connection], Any] | None = None,
        **about: Any,
    ) -> dict[str, Any]:
        """As `ApiCall.before`: nobody is asked about what is not allowed at all."""
        hooks = self.services.organization_hooks
        if not hooks.has_before(action):
            return dict(values)
        if rehearsal is not None:
            await self.rehearse(rehearsal)
        return await hooks.before(action, values, self._about(about))

    async def after(self, action: Action, **about: Any) -> None:
        await self.services.organization_hooks.after(action, self._about(about))

    def _about(self, about: Mapping[str, Any]) -> dict[str, Any]:
        agent = self.agent
        return {"tenant": self.tenant.id, "user_id": agent.user_id, "client_id": agent.client_id, **about}


def other_organization() -> ApiError:
    return refusal(
        403,
        "TOKEN_IS_FOR_ANOTHER_ORGANIZATION",
        "The access token is for another organization: use the tool switch-organization",
    )
