"""One call to the API: the request, its tenant and its actor, and the one way to read and to write.

`write` is what makes a change auditable and repeatable: key of idempotency, the change itself and its log event are
one unit of work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from core.clock import now_ms
from core.database.rules import broken_rule
from core.errors import Conflict, IdentityError, InvalidInput
from core.http.errors import AnyRequest
from core.tenants import Tenant
from tenant_runtime.audit import record
from tenant_runtime.configuration import Configuration, configuration
from tenant_runtime.dependencies import Services, services_of, tenant_of
from tenant_runtime.management import idempotency
from tenant_runtime.management.access import Actor, actor_of, require_standing
from tenant_runtime.management.trail import Trail, trail_of

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a writing unit did. Nothing changed: no event. `answer` is the response's body; `told` are events beside
    the change's own: their type, and what they say of whom."""

    answer: Any = None
    before: Any = None
    after: Any = None
    description: str | None = None
    told: Sequence[tuple[str, Mapping[str, Any]]] = ()

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)


class Call:
    """A plain class: the framework would otherwise look into its fields as if they had come over the wire."""

    __slots__ = ("actor", "now", "request", "services", "tenant")

    def __init__(
        self, request: AnyRequest, tenant: Tenant, services: Services, actor: Actor, now: int
    ) -> None:
        self.request = request
        self.tenant = tenant
        self.services = services
        self.actor = actor
        self.now = now

    async def configuration(self) -> Configuration:
        return await configuration(self.tenant)

    async def read(
        self, unit: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.tenant.database.read(unit, *args, **kwargs)

    async def sent_before(self) -> "SentBefore":
        """For what also writes elsewhere, and must not when the key was used: the answer follows by `write`."""
        claim = idempotency.claim_of(
            self.request, await self.request.body(), self.actor, self.tenant.data_key, self.now
        )
        if claim is None:
            return SentBefore(None, None)
        kept = await self.read(idempotency.find, claim)
        return SentBefore(claim, kept.answer if kept is not None else None)

    async def write(
        self, unit: Callable[Concatenate[Connection, P], Written], *args: P.args, **kwargs: P.kwargs
    ) -> Any:
        """Run a writing unit; answers its answer, or the one that was given to the same key before."""
        return await self.write_of(await self.request.body(), unit, *args, **kwargs)

    async def write_of(
        self,
        body: bytes,
        unit: Callable[Concatenate[Connection, P], Written],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Any:
        """Where the body was read as it came, `body` stands for it: in the key of idempotency, and in the log."""
        claim = idempotency.claim_of(self.request, body, self.actor, self.tenant.data_key, self.now)
        trail = trail_of(self.request, body)
        try:
            answer, changed = await self.tenant.database.write(_perform, claim, trail, unit, args, kwargs)
        except IntegrityError as error:
            raise _refused(error) from error
        if changed and self.tenant.is_control_plane:
            self.services.on_control_plane_write()
        return answer


@dataclass(frozen=True, slots=True)
class SentBefore:
    """What is known of a request's `Idempotency-Key`: the key, if there is one, and what was answered to it."""

    claim: idempotency.Claim | None
    answer: Any


CallOf: TypeAlias = NamedDependency[Call]
"""How a handler asks for it: its only dependency."""


def call_of(request: Request[Any, Any, Any]) -> Call:
    services = services_of(request)
    return Call(request, tenant_of(request), services, actor_of(request), now_ms(services.clock))


def _perform(
    connection: Connection,
    claim: idempotency.Claim | None,
    trail: Trail,
    unit: Callable[..., Written],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, bool]:
    if claim is not None and (kept := idempotency.begin(connection, claim)) is not None:
        return kept.answer, False
    written = unit(connection, *args, **kwargs)
    if written.changed:
        beside = (trail.beside(type, members) for type, members in written.told)
        record(connection, trail.success(written.before, written.after, written.description), *beside)
    if claim is not None:
        idempotency.keep(connection, claim, written.answer)
    return written.answer, written.changed


def _refused(error: IntegrityError) -> IdentityError:
    rule = broken_rule(error)
    if rule == "unique":
        return Conflict("An entity with this name or identifier already exists.")
    if rule == "reference":
        return InvalidInput("The request refers to something that does not exist.")
    return InvalidInput()


class ManagementRequest(Request[Any, Any, Any]):
    """Bodies are decoded once, strictly, into the type that the handler asks for: a number that is written as text
    is no number, a member that is not known is an error."""

    async def json(self) -> Any:
        media = self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if media != "application/json":
            raise InvalidInput(
                "The content type must be application/json.", code="unsupported_media_type", status=415
            )
        wanted = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        content = await self.body()
        await require_standing(self)
        try:
            return msgspec.json.decode(content or b"{}", type=wanted)
        except RecursionError:
            raise InvalidInput("The request is nested too deeply.") from None
