"""Calls that Python code makes instead of a request."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
from sqlalchemy import Connection, select

from core.clock import now_ms
from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration, load_configuration
from tenant_runtime.dependencies import Services
from tenant_runtime.login.cookies import Browser
from tenant_runtime.management import documents
from tenant_runtime.models import User
from tenant_runtime.organizations.hooks import Action
from tenant_runtime.organizations.invitations.letters import letter_of
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.wire.calls import ApiCall, Body, decoded
from tenant_runtime.organizations.wire.errors import ApiError, refusal
from tenant_runtime.organizations.wire.sessions import ApiSession, load_api_session

P = ParamSpec("P")
T = TypeVar("T")
SendInvitation = Callable[[Mapping[str, Any]], Awaitable[None]]
NOBODY = "Nobody acts: `by` names no user who is there and not blocked, or `session` no session that stands"
_u = User.__table__.c
_USER = select(_u.email, _u.email_verified, _u.name, _u.picture, _u.created_at, _u.updated_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Where the code acts, and what it says over what the tenant says."""

    tenant: Tenant
    services: Services
    teams: bool
    dynamic_access_control: bool
    invitation_expires_in: timedelta | None
    send_invitation: SendInvitation | None

    def said(self, options: OrganizationOptions) -> OrganizationOptions:
        replace, hours = msgspec.structs.replace, options.invitation_expires_in
        if self.invitation_expires_in is not None:
            hours = self.invitation_expires_in / timedelta(hours=1)
        return replace(
            options,
            teams=replace(options.teams, enabled=self.teams),
            dynamic_access_control=replace(
                options.dynamic_access_control, enabled=self.dynamic_access_control
            ),
            invitation_expires_in=hours,
        )

    async def send(self, invitation_id: str) -> None:
        """By the code's own function, if there is one. What that raises is for the caller; the invitation stands."""
        if self.send_invitation is None:
            return
        letter = await letter_of(self.tenant, invitation_id, now_ms(self.services.clock))
        if letter is not None:
            await self.send_invitation(letter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who acts: a user, or a session with what it is in the middle of; and the values, by the wire's names."""

    user_id: str | None
    session_token: str | None
    values: Mapping[str, Any]


class ProcessCall(ApiCall):
    """Each of its units is one of its own."""

    __slots__ = ("asked", "house")

    def __init__(self, house: House, asked: Asked) -> None:
        self.house = house
        self.asked = asked
        self.tenant = house.tenant
        self.services = house.services
        self.now = now_ms(house.services.clock)
        self._session: ApiSession | None = None
        self._acts_in: str | None = None
        self._configuration: Configuration | None = None

    async def session(self, otherwise: ApiError | None = None) -> ApiSession:
        """On the wire some endpoints answer nobody without a word."""
        return await super().session(_nobody())

    async def session_or_none(self) -> ApiSession | None:
        if self._session is None:
            self._session = await self.read(_session, self.asked, self.tenant.issuer, self.now)
        return self._session

    def _acting(
        self, unit: Callable[Concatenate[Connection, P], T]
    ) -> Callable[Concatenate[Connection, P], T]:
        """A user who is named has no session that could end: they may be blocked while a hook is asked."""
        if self._session is None or self._session.id:
            return super()._acting(unit)

        def act(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if _session(connection, self.asked, self.tenant.issuer, self.now) is None:
                raise _nobody()
            return unit(connection, *args, **kwargs)

        return act

    async def content(self) -> bytes:
        return msgspec.json.encode(self.asked.values)

    async def body(self, type: type[Body]) -> Body:
        options = await self.options()
        self._check_names(type, {name for fields in options.additional_fields.values() for name in fields})
        return decoded(await self.content(), type)

    def query(self, type: type[Body]) -> Body:
        self._check_names(type, set())
        return decoded(msgspec.json.encode(self.asked.values), type, where="query")

    def repeated(self, name: str) -> list[str]:
        value = self.asked.values.get(name, [])
        return list(map(str, value)) if isinstance(value, list | tuple) else [str(value)]

    @property
    def browser(self) -> Browser:
        return Browser(self.tenant.issuer.startswith("https://"), None, None)

    @property
    def ip(self) -> str:
        return ""

    @property
    def user_agent(self) -> str | None:
        return None

    @property
    def request_id(self) -> str:
        return new_id("inp")

    @property
    def languages(self) -> str:
        return ""

    @property
    def sends_letters(self) -> bool:
        return self.house.send_invitation is None

    async def options(self) -> OrganizationOptions:
        return self.house.said(await super().options())

    async def after(self, action: Action, **about: Any) -> None:
        await super().after(action, **about)
        if action == "invite_member":
            await self.house.send(about["invitation"]["id"])

    def _check_names(self, type: type[msgspec.Struct], added: set[str]) -> None:
        """The wire drops what it does not know; here, what is misspelt is a mistake of whoever wrote it."""
        unknown = self.asked.values.keys() - set(type.__struct_encode_fields__) - added
        if unknown:
            raise TypeError(f"There is no argument {', '.join(sorted(unknown))}.")


class WithinCall(ProcessCall):
    """In the caller's own unit of work, so without anything that waits: no hook is asked, and nothing leaves before the
    caller's commit."""

    __slots__ = ("_connection", "_options")

    def __init__(self, house: House, asked: Asked, connection: Connection, now: int) -> None:
        super().__init__(house, asked)
        self._connection = connection
        self._options: OrganizationOptions | None = None
        self.now = now

    async def options(self) -> OrganizationOptions:
        """As the transaction sees them; a whole configuration would be read for nothing."""
        if self._options is None:
            self._options = self.house.said(documents.read(self._connection, OPTIONS).value(OPTIONS))
        return self._options

    async def configuration(self) -> Configuration:
        if self._configuration is None:
            self._configuration = load_configuration(self._connection, self.tenant.data_key)
        return self._configuration

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return unit(self._connection, *args, **kwargs)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return unit(self._connection, *args, **kwargs)

    async def before(
        self,
        action: Action,
        values: Mapping[str, Any],
        *,
        rehearsal: Callable[[Connection], Any] | None = None,
        **about: Any,
    ) -> dict[str, Any]:
        return dict(values)

    async def after(self, action: Action, **about: Any) -> None:
        return None

    def deliver(self) -> None:
        return None


def _nobody() -> ApiError:
    return refusal(401, "UNAUTHORIZED", NOBODY)


def _session(connection: Connection, asked: Asked, issuer: str, now: int) -> ApiSession | None:
    if asked.session_token is not None:
        return load_api_session(connection, asked.session_token, issuer, now)
    if asked.user_id is None:
        return None
    row = connection.execute(_USER.where(_u.user_id == asked.user_id, _u.blocked.is_(False))).one_or_none()
    if row is None:
        return None
    return ApiSession(
        id="",
        token="",
        user_id=asked.user_id,
        email=row.email,
        email_verified=row.email_verified,
        name=row.name,
        picture=row.picture,
        user_created_at=row.created_at,
        user_updated_at=row.updated_at,
        connection_id=None,
        active_organization_id=None,
        active_team_id=None,
        remembers=False,
        authenticated_at=now,
        created_at=now,
        updated_at=now,
        seen_at=now,
        expires_at=now,
        idle_expires_at=now,
        ip=None,
        user_agent=None,
    )
