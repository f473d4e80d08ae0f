"""The ASGI application: one process of Keystead, from the edge to both planes.

`create_app` is also what runs inside somebody else's process: the resolver of labels, the transformation of
inherited settings and the database back ends are arguments, or entry points of the groups `keystead.resolvers`,
`keystead.settings` and `keystead.backends`. Everything is opened by the application's lifespan and closed with it.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import structlog

from controlplane.app import platform_app
from controlplane.custom_domains import RegistryCustomDomains
from controlplane.directory import LabelResolver
from controlplane.services import PlatformServices
from core.clock import Clock, SystemClock, now_ms
from core.crypto.passwords import PasswordHasher
from core.dns import NameServers
from core.errors import IdentityError, Unavailable
from core.http.allowances import Allowances
from core.http.edge import AsgiApp, Edge, Receive, Scope, Send
from core.mail import open_mailer
from core.outbound import Outbound
from core.settings import Settings, SettingsError
from entrypoints import database_metrics
from entrypoints.certificates import CertificateAsk
from entrypoints.control_plane_keys import ControlPlaneKeys
from entrypoints.installed import installed_hooks, only_entry_point
from entrypoints.metrics import Metrics
from entrypoints.platform_proofs import PlatformProofs
from entrypoints.process import Vitals, process_app
from entrypoints.refusals import refuse
from entrypoints.routing import Routes
from keystead_sdk.dpop import ProofOfPossession
from keystead_sdk.verifier import TokenVerifier
from provisioning.backends import Backend
from provisioning.backups.orders import RegistryErasures
from provisioning.platform import Platform, open_platform
from provisioning.waiting_deliveries import WaitingDeliveries
from sync.catalogue import SettingsTransform
from tenant_runtime import erasures
from tenant_runtime.admission import Admission
from tenant_runtime.app import tenant_app
from tenant_runtime.attack_protection.leaked_passwords import LeakedPasswords
from tenant_runtime.audit import AuditLog, Event
from tenant_runtime.deliveries import Deliveries
from tenant_runtime.dependencies import Services
from tenant_runtime.jobs.queue import KIND as JOB
from tenant_runtime.jobs.running import AT_ONCE as JOBS_AT_ONCE
from tenant_runtime.jobs.running import job_sender
from tenant_runtime.mail.mailers import Mailers
from tenant_runtime.mail.queue import KIND as EMAIL
from tenant_runtime.mail.sending import mail_sender
from tenant_runtime.oauth import backchannel_logout
from tenant_runtime.oauth.endpoints import documents
from tenant_runtime.operators import TenantOneOperators
from tenant_runtime.organizations.domains.rechecking import Rechecks
from tenant_runtime.organizations.hooks import InstalledHooks
from tenant_runtime.organizations.invitations.letters import KIND as INVITATION
from tenant_runtime.organizations.invitations.letters import invitation_sender
from tenant_runtime.organizations.wire.cross_origin import CrossOrigin
from tenant_runtime.streams import Streams
from tenant_runtime.streams.changes import KIND as EVENT
from tenant_runtime.streams.sending import event_sender

log = structlog.get_logger("keystead.process")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What the lifespan opened."""

    platform: Platform
    services: Services
    edge: Edge
    vitals: Vitals


class Keystead:
    """The application. Answers 503 until its lifespan has begun."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        resolver: LabelResolver | None,
        settings_transform: SettingsTransform | None,
        backends: Mapping[str, Backend] | None,
        organization_hooks: Iterable[Any] | None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.running: Running | None = None
        self._clock = clock
        self._resolver = resolver
        self._transform = settings_transform
        self._backends = backends
        self._hooks = organization_hooks

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] != "http":
            raise RuntimeError("only HTTP is served")
        elif self.running is None:
            await refuse(scope, Unavailable("Starting."))(scope, receive, send)
        else:
            await self.running.edge(scope, receive, send)

    def leave(self) -> None:
        """The process is about to end: `/ready` says so, everything else goes on."""
        if self.running is not None:
            self.running.vitals.leave()

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[Running, None]:
        """Open everything, run, close everything; for embedding and tests."""
        async with AsyncExitStack() as stack:
            platform = await open_platform(
                self.settings,
                self._clock,
                label_resolver=self._resolver,
                settings_transform=self._transform,
                backends=self._backends,
            )
            stack.push_async_callback(platform.close)
            outbound = await stack.enter_async_context(self._outbound())
            running = self._assemble(platform, outbound)
            stack.callback(running.services.passwords.close)
            stack.callback(running.services.leaked_passwords.close)
            stack.push_async_callback(running.services.audit.close)
            stack.push_async_callback(running.services.mail.close)
            stack.push_async_callback(running.services.deliveries.close)
            if running.services.streams is not None:
                stack.push_async_callback(running.services.streams.close)
                platform.databases.on_write = running.services.streams.touched
            stack.push_async_callback(running.services.jobs.close)
            rechecks = Rechecks(running.services.names, self._clock, platform.directory.by_id)
            stack.push_async_callback(rechecks.close)
            waiting = WaitingDeliveries(platform.parts, partial(_resume, running.services), rechecks.soon)
            stack.push_async_callback(waiting.close)
            platform.start()
            waiting.start()
            self.running = running
            try:
                yield running
            finally:
                self.running = None

    def _outbound(self) -> Outbound:
        authorities = self.settings.outbound_authorities
        try:
            return Outbound(
                self.settings.outbound_allowed, authorities=str(authorities) if authorities else None
            )
        except OSError as error:
            raise SettingsError(f"KEYSTEAD_OUTBOUND_AUTHORITIES cannot be read: {error.strerror}.") from error

    def _assemble(self, platform: Platform, outbound: Outbound) -> Running:
        names = NameServers(self.settings.dns_servers)
        keys, vitals = ControlPlaneKeys(platform.directory), Vitals(platform)
        operators = TenantOneOperators(platform.directory)
        deliveries = Deliveries(
            self._clock, {}, find=platform.directory.by_id, observe=self.metrics.observe_delivery
        )
        services = Services(
            settings=self.settings,
            clock=self._clock,
            passwords=PasswordHasher.from_settings(self.settings),
            keys=platform.keystock,
            audit=AuditLog(self._clock, self.settings.max_log_retention_days),
            outbound=outbound,
            allowances=Allowances(self.settings.rates),
            leaked_passwords=LeakedPasswords(self.settings.breached_passwords_file),
            deliveries=deliveries,
            streams=Streams(
                self._clock, outbound, deliveries, platform.directory.by_id, self.metrics.observe_delivery
            ),
            jobs=Deliveries(
                self._clock,
                {},
                find=platform.directory.by_id,
                observe=self.metrics.observe_delivery,
                at_once=JOBS_AT_ONCE,
            ),
            mail=Mailers(outbound, self._clock, open_mailer(self.settings, self._clock)),
            control_plane_keys=keys.public_keys,
            operators=operators,
            lifecycle=platform.lifecycle,
            custom_domains=RegistryCustomDomains(platform.registry, self.settings, names, outbound),
            names=names,
            on_control_plane_write=platform.worker.wake,
            organization_hooks=InstalledHooks(installed_hooks() if self._hooks is None else self._hooks),
        )
        services.deliveries.register(
            backchannel_logout.KIND, partial(backchannel_logout.send_logout_token, services)
        )
        services.deliveries.register(
            erasures.KIND, erasures.erasure_sender(RegistryErasures(platform.registry))
        )
        services.deliveries.register(EVENT, event_sender(outbound, self._clock))
        by_mail = mail_sender(services.mail, self._clock)
        services.deliveries.register(EMAIL, by_mail)
        services.deliveries.register(
            INVITATION, invitation_sender(services.organization_hooks, by_mail, self._clock)
        )
        services.jobs.register(JOB, job_sender(self._clock, services.deliveries.soon))
        routes = Routes(
            settings=self.settings,
            directory=platform.directory,
            schema_gate=platform.schema_gate,
            gate=platform.gate,
            tenants=_with(services, CrossOrigin(Admission(services, cast("AsgiApp", tenant_app())))),
            platform=_with(
                self._platform_services(platform, services, operators, keys, vitals), platform_app()
            ),
            documents=documents(self._clock),
            certificates=CertificateAsk(platform.directory, self.settings.trusted_proxies),
            process=process_app(vitals.health, vitals.check_ready, refuse),
            refuse=refuse,
        )

        def observe(method: str, status: int, seconds: float, tenant_id: str | None) -> None:
            self.metrics.observe(method, status, seconds)
            vitals.note(status, tenant_id)

        edge = Edge(
            route=routes,
            refuse=refuse,
            observe=observe,
            trusted_proxies=self.settings.trusted_proxies,
        )
        self.metrics.watch(
            "keystead_open_databases",
            "Databases open in this process",
            lambda: float(platform.databases.open_count),
        )
        self.metrics.include("databases", partial(database_metrics.families, platform.databases.kinds))
        self.metrics.watch(
            "keystead_failed_migrations",
            "Tenants whose migration to this release's schema failed",
            lambda: float(platform.migrations.failing),
        )
        self.metrics.watch(
            "keystead_failing_backups",
            "Tenants whose last backup failed, as this process last saw",
            lambda: float(platform.backup_schedule.failing),
        )
        self.metrics.watch(
            "keystead_failing_operations",
            "Operations on tenants that failed and are tried again, or were given up within the hour",
            lambda: float(platform.worker.failing),
        )
        return Running(platform=platform, services=services, edge=edge, vitals=vitals)

    def _platform_services(
        self,
        platform: Platform,
        services: Services,
        operators: TenantOneOperators,
        keys: ControlPlaneKeys,
        vitals: Vitals,
    ) -> PlatformServices:
        issuer = self.settings.control_plane_issuer
        recorder, proofs = _Recorder(platform, services.audit), PlatformProofs(platform.directory)
        return PlatformServices(
            settings=self.settings,
            clock=self._clock,
            registry=platform.registry,
            key=platform.key,
            lifecycle=platform.lifecycle,
            migrations=platform.migrations,
            backups=platform.backups,
            moves=platform.moves,
            operators=operators,
            allowances=services.allowances,
            verifier=TokenVerifier(
                issuer=issuer,
                audience=f"{issuer}api/v2/",
                keys=keys,
                clock=self._clock.now,
                leeway=60,
                dpop=ProofOfPossession(origins=[issuer], replays=proofs, nonces=proofs),
            ),
            wanted=vitals.wanted,
            record=recorder.record,
        )

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            if self.running is None and isinstance(error, SettingsError | IdentityError):
                log.error("start_refused", reason=str(error))
            else:
                log.exception("lifespan_failed")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    resolver: LabelResolver | None = None,
    settings_transform: SettingsTransform | None = None,
    backends: Mapping[str, Backend] | None = None,
    organization_hooks: Iterable[Any] | None = None,
) -> Keystead:
    """The application for one process.

    `resolver` turns a label under the base domain into a tenant's id (async; None: no tenant). `settings_transform`
    changes inherited settings before a tenant gets them. `backends` are database back ends by name.
    `organization_hooks` are asked and told of what happens to organizations. Whatever is not given is looked for among
    the installed entry points; two of one group are refused at the start, unless it is a group of many.
    """
    return Keystead(
        settings,
        clock=clock or SystemClock(),
        resolver=resolver or only_entry_point("keystead.resolvers"),
        settings_transform=settings_transform or only_entry_point("keystead.settings"),
        backends=backends,
        organization_hooks=organization_hooks,
    )


def _with(services: Any, routes: Any) -> AsgiApp:
    """An application whose handlers find `services` on the request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["services"] = services
        await routes(scope, receive, send)

    return app


class _Recorder:
    """Platform writes as events in tenant one's log."""

    def __init__(self, platform: Platform, audit: AuditLog) -> None:
        self._platform = platform
        self._audit = audit

    async def record(self, description: str, actor: str, details: dict[str, Any], request_id: str) -> None:
        one = await self._platform.directory.control_plane()
        self._audit.add(
            one,
            Event(
                type="sapi",
                created_at=now_ms(self._platform.clock),
                description=description,
                user_id=actor,
                request_id=request_id,
                details=details,
            ),
        )


async def _resume(services: Services, tenant_id: str) -> None:
    await services.deliveries.resume(tenant_id)
    await services.jobs.resume(tenant_id)
    if services.streams is not None:
        services.streams.soon(tenant_id)
