"""One call to `/api/auth`: the request, its tenant, its session, and the one way to read and to write.

A handler asks for its session and its body itself, in the order in which they are refused:

    @write_endpoint("/organization/leave")
    async def leave_organization(call: CallOf) -> Any:
        session, body = await call.session(), await call.body(LeaveBody)
        left = await call.write(leave, session.user_id, body.organization_id, call.now)
        return shape(left)

Unknown members of a body are dropped; what does not fit is `VALIDATION_ERROR` (`specs/organization-api.md` A.0).
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from sqlalchemy import Connection

from core.clock import now_ms
from core.database import Database
from core.http.errors import AnyRequest
from core.tenants import Tenant
from tenant_runtime.audit import Event
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services, client_ip_of, request_id_of, services_of, tenant_of
from tenant_runtime.login.cookies import Browser, api_token_of, browser_of
from tenant_runtime.login.language import asked_by
from tenant_runtime.oauth.body import FORM, parse_form
from tenant_runtime.organizations.hooks import Action
from tenant_runtime.organizations.options import OPTIONS, OrganizationOptions
from tenant_runtime.organizations.wire.bodies import media_type_of
from tenant_runtime.organizations.wire.errors import ApiError, refusal
from tenant_runtime.organizations.wire.names import in_words
from tenant_runtime.organizations.wire.sessions import ApiSession, load_api_session, stands

P = ParamSpec("P")
T = TypeVar("T")
Body = TypeVar("Body", bound=msgspec.Struct)
Declare = Callable[[Callable[..., Any]], Any]

_AT = re.compile(r"^(?P<reason>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_LONGEST_AGENT = 500


class _Rehearsed(Exception):
    """The unit would have been done."""


class ApiCall:
    """A plain class: the framework would otherwise look into its fields as if they had come over the wire."""

    __slots__ = ("_acts_in", "_configuration", "_session", "now", "request", "services", "tenant")

    def __init__(self, request: AnyRequest) -> None:
        self.request = request
        self.tenant: Tenant = tenant_of(request)
        self.services: Services = services_of(request)
        self.now = now_ms(self.services.clock)
        self._session: ApiSession | None = None
        self._acts_in: str | None = None
        self._configuration: Configuration | None = None

    # --- Who asks, and what ---------------------------------------------------------------------------------------

    async def session(self, otherwise: ApiError | None = None) -> ApiSession:
        """Raises 401, or what the endpoint answers instead. From now on the call acts for whoever is signed in."""
        found = await self.session_or_none()
        if found is None:
            raise otherwise or _nobody()
        self._acts_in = found.id or None
        return found

    async def session_or_none(self) -> ApiSession | None:
        if self._session is None:
            tenant, headers = self.tenant, self.request.scope["headers"]
            token = api_token_of(headers, tenant.issuer, tenant.data_key)
            if token is not None:
                self._session = await self.read(load_api_session, token, tenant.issuer, self.now)
        return self._session

    async def content(self) -> bytes:
        return await self.request.body()

    async def body(self, type: type[Body]) -> Body:
        """Decoded strictly; none is no empty object."""
        return decoded(await self.content(), type)

    async def form_or_body(self, type: type[Body]) -> Body:
        """As `body`; a form is taken too."""
        if media_type_of(self.request.scope["headers"]) != FORM:
            return await self.body(type)
        try:
            return msgspec.convert(parse_form(await self.request.body()), type, strict=False)
        except msgspec.ValidationError as error:
            raise _invalid(str(error), "body") from None

    def query(self, type: type[Body]) -> Body:
        """The query's parameters by name. One that is known comes once."""
        given = self.request.query_params
        for name in type.__struct_encode_fields__:
            if len(given.getall(name, [])) > 1:
                raise refusal(400, "VALIDATION_ERROR", f"[query.{name}] Expected one value")
        try:
            return msgspec.convert(dict(given.multi_items()), type, strict=False)
        except msgspec.ValidationError as error:
            raise _invalid(str(error), "query") from None

    def repeated(self, name: str) -> list[str]:
        """All values of a parameter of the query."""
        return list(self.request.query_params.getall(name, []))

    @property
    def browser(self) -> Browser:
        return browser_of(self.request.scope["headers"], self.tenant.issuer)

    @property
    def ip(self) -> str:
        return client_ip_of(self.request)

    @property
    def user_agent(self) -> str | None:
        return (self.request.headers.get("user-agent") or "")[:_LONGEST_AGENT] or None

    @property
    def request_id(self) -> str:
        return request_id_of(self.request)

    @property
    def languages(self) -> str:
        """The reader's, for a letter."""
        return asked_by(self.request.headers.get("accept-language", ""))

    # --- What the tenant says -------------------------------------------------------------------------------------

    async def configuration(self) -> Configuration:
        if self._configuration is None:
            self._configuration = await configuration(self.tenant)
        return self._configuration

    async def options(self) -> OrganizationOptions:
        return (await self.configuration()).documents.value(OPTIONS)

    # --- Its database ---------------------------------------------------------------------------------------------

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.tenant.database.read(unit, *args, **kwargs)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.tenant.database.write(self._acting(unit), *args, **kwargs)

    def _acting(
        self, unit: Callable[Concatenate[Connection, P], T]
    ) -> Callable[Concatenate[Connection, P], T]:
        """Whoever acts is asked for again in the unit: a body may take its time to come, and their session end."""
        if (session_id := self._acts_in) is None:
            return unit
        now = now_ms(self.services.clock)

        def act(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if not stands(connection, session_id, now):
                raise _nobody()
            return unit(connection, *args, **kwargs)

        return act

    @property
    def sends_letters(self) -> bool:
        """Whether letters of invitation are put on their way, or sent by who calls."""
        return True

    def deliver(self) -> None:
        """What was put on its way goes out from now on."""
        self.services.deliveries.soon(self.tenant)

    def event(self, type: str, description: str, *, organization_id: str | None = None, **more: Any) -> Event:
        """For the unit that does it (`tenant_runtime.audit.record`)."""
        session = self._session
        return Event(
            type=type,
            created_at=self.now,
            description=description,
            user_id=session.user_id if session is not None else None,
            user_name=session.email if session is not None else None,
            organization_id=organization_id,
            ip=self.ip or None,
            user_agent=self.user_agent,
            request_id=self.request_id,
            details=more,
        )

    # --- Code of the installation's own ---------------------------------------------------------------------------

    async def before(
        self,
        action: Action,
        values: Mapping[str, Any],
        *,
        rehearsal: Callable[[Connection], Any] | None = None,
        **about: Any,
    ) -> dict[str, Any]:
        """The values to go on with. `rehearsal` is the unit as it stands: where a hook is asked, it is run and undone
        first, so that nobody is asked about what is not allowed at all."""
        hooks = self.services.organization_hooks
        if not hooks.has_before(action):
            return dict(values)
        if rehearsal is not None:
            await self.rehearse(rehearsal)
        return await hooks.before(action, values, self._about(about))

    async def rehearse(self, unit: Callable[[Connection], Any]) -> None:
        await rehearse(self.tenant.database, self._acting(unit))

    async def after(self, action: Action, **about: Any) -> None:
        await self.services.organization_hooks.after(action, self._about(about))

    def _about(self, about: Mapping[str, Any]) -> dict[str, Any]:
        user_id = self._session.user_id if self._session is not None else None
        return {"tenant": self.tenant.id, "user_id": user_id, **about}


async def rehearse(database: Database, unit: Callable[[Connection], Any]) -> None:
    """Done and undone: raises what doing it would be refused with."""

    def undone(connection: Connection) -> None:
        unit(connection)
        raise _Rehearsed

    with suppress(_Rehearsed):
        await database.write(undone)


CallOf: TypeAlias = NamedDependency[ApiCall]
"""How a handler asks for it: its only dependency."""


def call_of(request: AnyRequest) -> ApiCall:
    return ApiCall(request)


def read_endpoint(path: str, **options: Any) -> Declare:
    return get(path, include_in_schema=False, **options)


def write_endpoint(path: str, **options: Any) -> Declare:
    return post(path, include_in_schema=False, status_code=200, **options)


def decoded(content: bytes, type: type[Body], *, where: str = "body") -> Body:
    if not content:
        raise refusal(400, "VALIDATION_ERROR", f"[{where}] Expected an object")
    try:
        return msgspec.json.decode(content, type=type)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), where) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise refusal(400, "BAD_REQUEST", "Invalid JSON in request body") from None


def _nobody() -> ApiError:
    return refusal(401, "UNAUTHORIZED", "Unauthorized")


def _invalid(text: str, where: str) -> ApiError:
    """`[body.field] reason` from the decoder's own words."""
    found = _AT.match(text)
    reason, path = (found["reason"], found["path"] or "") if found else (text, "")
    absent = _MISSING.match(reason)
    if absent is not None:
        path, reason = f"{path}.{absent['name']}", "Required"
    at = f"[{where}{path}]" if path else f"[{where}]"
    return refusal(400, "VALIDATION_ERROR", f"{at} {in_words(reason)}")
