"""Setting up: the registry, tenant one, its clients and roles, the first operator (`specs/tenancy.md` section 1).

Safe to repeat, also after `kill -9` anywhere: what is there is left alone, what is missing is made, and what was
made is said. One process at a time; a second waits.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import migrations
from controlplane.registry.installation import InstallationRow
from controlplane.registry.tenants import RegisteredTenant, change_tenant, insert_tenant, tenant_one
from core.clock import Clock, SystemClock, now_ms
from core.crypto.passwords import PasswordHasher
from core.crypto.sealing import load_installation_key
from core.failpoints import failpoint
from core.ids import digest, new_id, new_secret, new_user_id
from core.settings import Settings, SettingsError
from core.tenants import NewTenant
from provisioning.control_plane_rows import (
    Operator,
    control_plane_clients,
    has_operator,
    prepare_control_plane,
    put_control_plane_rows,
    put_operator,
    put_setup_ticket,
)
from provisioning.converge import (
    alone,
    data_key_of,
    ensure_database,
    first_rows_of,
    note_place,
)
from provisioning.lifecycle import new_tenant
from provisioning.migrating.schema import ensure_schema
from provisioning.platform import Platform, open_platform
from provisioning.registry_place import alone_with_registry, file_ref, make_registry, registry_exists

SETUP_LINK_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """What was made, in words (nothing, when all was there), and what a caller may have to show."""

    made: tuple[str, ...]
    console_client_id: str | None = None
    machine_client_id: str | None = None
    machine_client_secret: str | None = None
    operator_email: str | None = None
    operator_password: str | None = None  # only when it was made here: shown once
    setup_url: str | None = None  # only while there is no operator


async def initialise(
    settings: Settings,
    clock: Clock | None = None,
    *,
    one_node: bool = False,
    operator_email: str | None = None,
    operator_password: str | None = None,
    console_callbacks: tuple[str, ...] = (),
    console_logout_urls: tuple[str, ...] = (),
    kind: str = "standard",
) -> Initialised:
    clock = clock or SystemClock()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with _only_one(settings):
        made = await asyncio.to_thread(_registry, settings, clock, kind)
        platform = await open_platform(settings, clock)
        try:
            made += await _tenant_one(platform, one_node=one_node)
            made += await _control_plane(platform, console_callbacks, console_logout_urls)
            result = await _operator(platform, operator_email, operator_password)
            return await _clients(platform, replace(result, made=(*made, *result.made)))
        finally:
            await platform.close()


@asynccontextmanager
async def _only_one(settings: Settings) -> AsyncGenerator[None, None]:
    """On this machine, and on all that share the registry."""
    lock = os.open(settings.data_dir / "init.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, alone_with_registry(settings))
            yield
    finally:
        os.close(lock)


def _registry(settings: Settings, clock: Clock, kind: str) -> list[str]:
    """The sealing key may be made only where there is no data yet."""
    if registry_exists(settings):
        return []
    if (settings.data_dir / "tenants").exists() or file_ref(settings).file.exists():
        raise SettingsError(
            f"{settings.data_dir} is of an installation, but there is no registry: restore it, or take the one that is"
            " here to its server with `keystead registry move`."
        )
    key = load_installation_key(settings, create=True)
    failpoint("initialise.key.after")
    row = InstallationRow(
        id=new_id("ins"),
        incarnation=new_id("inc"),
        kind=kind,
        control_plane_tenant=settings.control_plane_tenant,
        key_check=key.check_value(),
        created_at=now_ms(clock),
    )
    make_registry(settings, row)
    failpoint("initialise.registry.after")
    return ["registry"]


async def _tenant_one(platform: Platform, *, one_node: bool) -> list[str]:
    """Steps 1 to 3 of converge; it becomes active, and so visible to the directory, when they are done."""
    parts = platform.parts
    tenant = await parts.registry.read(tenant_one)
    if tenant is not None and tenant.state == "active":
        return []
    if tenant is None:
        tenant = await _insert_tenant_one(platform, one_node=one_node)
    failpoint("initialise.tenant.before")
    ref = parts.ref(tenant)
    issuer = parts.settings.control_plane_issuer
    first = await first_rows_of(parts, tenant, issuer, is_control_plane=True)
    made = await asyncio.to_thread(ensure_database, parts, tenant, ref, first, None)
    if made is not None and made.place is not None:
        ref = parts.ref(await note_place(parts, tenant, made.place))
    failpoint("initialise.database.after")
    await asyncio.to_thread(ensure_schema, parts, ref)
    now = parts.now()
    await parts.registry.write(
        change_tenant,
        tenant.id,
        now,
        state="active",
        activated_at=now,
        schema_version=migrations.head("tenant"),
    )
    return [f"tenant {tenant.id}"]


async def _insert_tenant_one(platform: Platform, *, one_node: bool) -> RegisteredTenant:
    parts, id = platform.parts, platform.settings.control_plane_tenant
    backend = parts.backend(parts.settings.default_backend)
    if parts.node_of(backend) is not None and not one_node:
        raise SettingsError(
            "Tenant one would be a file of this machine, which the other nodes of a shared registry cannot reach: set"
            " KEYSTEAD_DEFAULT_BACKEND to a backend behind a server, or run `keystead init --one-node`."
        )
    new = NewTenant(id=id, display_name="Control Plane", add_creator=False)
    plain = new_tenant(
        parts,
        new,
        backend,
        now=parts.now(),
        organization=False,
        is_control_plane=True,
    )
    await parts.registry.write(insert_tenant, plain)
    return plain


async def _control_plane(
    platform: Platform, callbacks: tuple[str, ...], logout_urls: tuple[str, ...]
) -> list[str]:
    parts = platform.parts
    tenant = await parts.registry.read(tenant_one)
    assert tenant is not None
    prepared = prepare_control_plane(
        data_key_of(parts, tenant),
        audience=f"{platform.settings.control_plane_issuer}api/v2/",
        origin=platform.settings.public_url,
        now=parts.now(),
        callbacks=callbacks,
        logout_urls=logout_urls,
        signup_enabled=platform.settings.tenant_signup,
    )
    made: list[str] = await alone(parts, parts.ref(tenant), put_control_plane_rows, prepared)
    return made


async def _operator(platform: Platform, email: str | None, password: str | None) -> Initialised:
    parts = platform.parts
    one = await parts.tenant_one()
    if await one.read(has_operator):
        return Initialised(made=(), operator_email=email)
    if email is None:
        return await _setup_link(platform)
    chosen = password or new_secret(15)
    hasher = PasswordHasher.from_settings(platform.settings)
    try:
        operator = Operator(email=email, password_hash=await hasher.hash(chosen))
    finally:
        hasher.close()
    await one.write(put_operator, new_user_id("auth0"), operator, now=parts.now())
    return Initialised(
        made=(f"operator {email}",),
        operator_email=email,
        operator_password=None if password else chosen,
    )


async def _setup_link(platform: Platform) -> Initialised:
    """Nobody was named as operator: a link does it. Each is good once and for a day; a new one ends those before."""
    secret, now = new_secret(), platform.parts.now()
    one = await platform.parts.tenant_one()
    await one.write(put_setup_ticket, digest(secret), now=now, expires_at=now + SETUP_LINK_MS)
    return Initialised(
        made=("set-up link",), setup_url=f"{platform.settings.public_url}/u/setup?state={secret}"
    )


async def _clients(platform: Platform, result: Initialised) -> Initialised:
    parts = platform.parts
    tenant = await parts.registry.read(tenant_one)
    assert tenant is not None
    clients = await (await parts.tenant_one()).read(control_plane_clients)
    secret: str | None = None
    if clients.machine_secret is not None:
        id, sealed = clients.machine_secret
        secret = data_key_of(parts, tenant).open(sealed, "client_secrets", "sealed", id).decode()
    return replace(
        result,
        console_client_id=clients.console,
        machine_client_id=clients.machine,
        machine_client_secret=secret,
    )
