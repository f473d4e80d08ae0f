"""Process settings: read from the environment once, by an entry point, and passed on as an argument.

Every field is a variable `KEYSTEAD_<FIELD>`. An unknown or malformed one stops the start with a sentence: a
setting that is misspelt must not be a setting that is silently absent. `docs/settings.md` lists them all.
"""

# ruff: noqa: RUF009  (`_setting` is `dataclasses.field` with a document and a parser)

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from core import settings_values as values
from core.settings_values import Secret, SettingsError

__all__ = ["PREFIX", "TEMPLATE_FIELDS", "Secret", "Settings", "SettingsError"]

PREFIX = "KEYSTEAD_"

TEMPLATE_FIELDS = values.TEMPLATE_FIELDS

OTHER_VARIABLES = frozenset({"KEYSTEAD_OPERATOR_EMAIL", "KEYSTEAD_OPERATOR_PASSWORD"})
"""Read by commands (`keystead init`), not by the server; known here so that they are not refused."""

RESERVED_LABELS = frozenset(
    {
        "www",
        "api",
        "admin",
        "auth",
        "login",
        "manage",
        "static",
        "status",
        "mail",
        "settings",
        "organizations",
    }
)

INHERITED_KEYS = frozenset(
    {
        "session_lifetime",
        "idle_session_lifetime",
        "branding",
        "enabled_locales",
        "flags",
        "attack_protection",
        "emails",
        "email_templates",
        "prompts",
        "error_page",
        "support_email",
        "support_url",
        "help_url",
    }
)
"""`specs/tenancy.md` section 6: lifetimes, branding, locales, flags, attack protection, mail, texts, error page,
support."""


def _setting(
    doc: str, parse: Callable[[str], Any], default: Any = None, *, factory: Callable[[], Any] | None = None
) -> Any:
    metadata = {"doc": doc, "parse": parse}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one process runs. What belongs to a tenant is a row in its database; what is shared is
    catalogue."""

    data_dir: Path = _setting("folder of all databases and of the sealing key", values.path, Path("data"))
    public_url: str = _setting(
        "origin of the control plane; plain http on loopback and `*.localhost` only",
        values.text,
        "http://localhost:8000",
    )
    base_domain: str = _setting("a tenant's host is `<id>.<base domain>`", values.text, "localhost")
    listen_host: str = _setting("address to listen on", values.text, "127.0.0.1")
    listen_port: int = _setting("port to listen on", values.port, 8000)
    metrics_port: int | None = _setting(
        "port of the metrics listener on the same address; absent, none is opened", values.port
    )
    control_plane_tenant: str = _setting("id of tenant one", values.tenant_id, "control_plane")
    reserved_labels: frozenset[str] = _setting(
        "labels no tenant may have, separated by commas; the control plane's own is always one of them",
        values.lower_words,
        RESERVED_LABELS,
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        "networks of proxies whose `X-Forwarded-*` headers count, separated by commas", values.networks, ()
    )
    sync_resource_servers: bool = _setting("share the control plane's resource servers", values.boolean, True)
    sync_roles: bool = _setting("share the control plane's roles and their permissions", values.boolean, True)
    sync_connections: bool = _setting(
        "share the control plane's connections to identity providers", values.boolean, True
    )
    inherited_keys: frozenset[str] = _setting(
        "tenant settings that are inherited from the control plane, separated by commas",
        values.words,
        INHERITED_KEYS,
    )
    excluded_keys: frozenset[str] = _setting(
        "tenant settings that are never inherited, separated by commas; wins", values.words, frozenset()
    )
    settings_templates: Mapping[str, str] = _setting(
        "JSON object of inherited settings that are rendered for each tenant: "
        '`{"support_url": "https://{id}.example.com/help"}`',
        values.templates,
        factory=dict,
    )
    registry_url: Secret | None = _setting(
        "`postgresql://user:password@host/database` of the registry, for several nodes; absent, it is a file in the"
        " data folder; `?sslmode=verify-full` unless the host is of a private network",
        values.registry_url,
    )
    node: str = _setting(
        "name of this machine among several: the files in its data folder belong to it", values.node, "node"
    )
    backends_file: Path | None = _setting(
        "TOML file of the servers that tenant databases may live on; relative to the data folder", values.path
    )
    default_backend: str = _setting("database backend of new tenants", values.backend, "sqlite")
    tenant_signup: bool = _setting("people may create tenants for themselves", values.boolean, False)
    tenants_per_user: int = _setting(
        "tenants that one person may have created for themselves and not deleted; operators who may create tenants have"
        " no limit",
        values.positive_int,
        5,
    )
    organizations_are_tenants: bool | None = _setting(
        "every organization made on the control plane is a tenant; absent, as `KEYSTEAD_TENANT_SIGNUP`",
        values.boolean,
    )
    deletion_grace_days: float = _setting(
        "days between the deletion of a tenant and the destruction of its data", values.not_negative, 7.0
    )
    backup_every_hours: float = _setting(
        "hours between two backups of a tenant, spread over all of them; 0: none are taken by themselves",
        values.not_negative,
        0.0,
    )
    backup_folder: Path = _setting(
        "folder of backups, best on another disk; several nodes share it; relative to the data folder",
        values.path,
        Path("backups"),
    )
    backup_keep_daily: int = _setting(
        "days of which the last backup is kept, beside everything of the last 24 hours", values.natural, 7
    )
    backup_keep_weekly: int = _setting("weeks of which the last backup is kept", values.natural, 4)
    replaced_grace_hours: float = _setting(
        "hours for which a database is kept after a restore or a move has replaced it",
        values.not_negative,
        24.0,
    )
    max_log_retention_days: int = _setting(
        "days for which a tenant may keep the events of its log", values.positive_int, 365
    )
    migrate: Literal["background", "command"] | None = _setting(
        "who brings tenants to a new release's schema: `background`, the servers after a start, or `command`, which is"
        " `keystead migrate`; absent, `background` unless the registry is on PostgreSQL",
        values.migrate,
    )
    snapshot_days: float = _setting(
        "days for which a tenant's database is kept as it was before its migration", values.not_negative, 7.0
    )
    synchronous: Literal["FULL", "NORMAL"] = _setting(
        "SQLite's durability: `FULL`, or `NORMAL` (a power cut may lose the last transactions)",
        values.synchronous,
        "FULL",
    )
    max_open_tenants: int = _setting("open databases of one process at most", values.positive_int, 300)
    idle_close_seconds: float = _setting("an unused database is closed after this", values.positive, 300.0)
    write_deadline_seconds: float = _setting(
        "a write that could not begin after this is refused", values.positive, 5.0
    )
    sealing_key: Secret | None = _setting(
        "base64 of the 32 bytes that seal secrets at rest", values.sealing_key
    )
    sealing_key_file: Path = _setting(
        "file that holds the sealing key when the variable does not; relative to the data folder",
        values.path,
        Path("sealing.key"),
    )
    password_memory_kib: int = _setting("Argon2id memory", values.memory_kib, 19456)
    password_iterations: int = _setting("Argon2id iterations", values.positive_int, 2)
    password_queue_limit: int = _setting(
        "password checks of one tenant that may wait; beyond, 429 is answered", values.natural, 64
    )
    rates: Mapping[str, float] = _setting(
        "requests a second that one process answers to one tenant, by kind of endpoint: `token=1000,management=200`;"
        " the others as `docs/limits.md` lists them",
        values.rates,
        factory=dict,
    )
    tenant_concurrency: int = _setting(
        "requests of one tenant that one process works on at the same time; beyond, 429 is answered",
        values.positive_int,
        256,
    )
    breached_passwords_file: Path | None = _setting(
        "passwords known from leaks: a file of SHA-1 hashes in order, one a line, as the public lists have them;"
        " relative to the data folder",
        values.path,
    )
    default_member_roles: tuple[str, ...] = _setting(
        "roles of a new member of a tenant organization, separated by commas", values.names, ()
    )
    patience_seconds: float = _setting(
        "seconds for which a request waits for what is being done for its tenant (a migration, a change of the control"
        " plane) or for a registry that does not answer; then it is served as the tenant is, or refused",
        values.positive,
        0.25,
    )
    converge_seconds: float = _setting("time limit of a creation or of `wait=sync`", values.positive, 10.0)
    drain_seconds: float = _setting(
        "after SIGTERM, seconds for which `/ready` answers 503 and everything else goes on, so that a load balancer"
        " leaves this process out before it stops listening",
        values.not_negative,
        0.0,
    )
    workers: int = _setting("processes", values.positive_int, 1)
    outbound_allowed: frozenset[str] = _setting(
        "`host:port` inside, or without TLS, that may be called all the same (key sets, logout receivers, ...),"
        " separated by commas; anything else must be https at a public address",
        values.hosts_with_ports,
        frozenset(),
    )
    dns_servers: tuple[tuple[str, int], ...] = _setting(
        "name servers that are asked for the proofs of custom domains, addresses with or without a port, separated by"
        " commas; absent, the machine's own",
        values.name_servers,
        (),
    )
    smtp_url: Secret | None = _setting(
        "mail server: `smtp://user:password@host:587` (STARTTLS is required, except on loopback), `smtps://` (TLS at"
        " once) or `smtp+plain://` (no TLS, so no password either); without it no mail is sent",
        values.smtp_url,
    )
    mail_from: str | None = _setting(
        "address that mails come from, alone or with a name: `Example <login@example.com>`", values.mail_from
    )
    mail_folder: Path | None = _setting(
        "folder that mails are written to as `.eml` files instead of being sent, to try things out; relative to the"
        " data folder",
        values.path,
    )
    outbound_authorities: Path | None = _setting(
        "PEM file of certificate authorities that such calls trust instead of the public ones", values.path
    )
    log_level: str = _setting("debug, info, warning or error", values.log_level, "info")
    spare_keys: int = _setting("RSA keys kept ready", values.natural, 8)
    key_publication_hours: float = _setting(
        "hours for which a new signing key is published before it signs, after a rotation",
        values.not_negative,
        24.0,
    )
    failpoints: str = _setting(
        "places where the process shall die, raise or wait: tests only", values.failpoints, ""
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Self:
        known = {PREFIX + item.name.upper(): item for item in fields(cls)}
        given: dict[str, Any] = {}
        for name in environ:
            if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
                continue
            if name not in known:
                raise SettingsError(_unknown(name, [*known, *OTHER_VARIABLES]))
            given[known[name].name] = values.parsed(name, environ[name], known[name].metadata["parse"])
        return cls(**{**given, **overrides})

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "data_dir", self.data_dir.absolute())
        put(self, "sealing_key_file", self.data_dir / self.sealing_key_file)
        put(self, "backup_folder", self.data_dir / self.backup_folder)
        if self.mail_folder is not None:
            put(self, "mail_folder", self.data_dir / self.mail_folder)
        if self.breached_passwords_file is not None:
            put(self, "breached_passwords_file", self.data_dir / self.breached_passwords_file)
        if self.backends_file is not None:
            put(self, "backends_file", self.data_dir / self.backends_file)
        put(self, "public_url", values.origin("KEYSTEAD_PUBLIC_URL", self.public_url))
        put(self, "base_domain", values.domain("KEYSTEAD_BASE_DOMAIN", self.base_domain))
        if self.scheme == "http" and not (
            is_loopback(self.control_plane_host) and is_loopback(self.base_domain)
        ):
            raise SettingsError(
                "Plain http is for loopback addresses and *.localhost only: set KEYSTEAD_PUBLIC_URL to an"
                " https origin, or KEYSTEAD_BASE_DOMAIN to localhost."
            )
        self._check_mail()

    def _check_mail(self) -> None:
        if self.smtp_url is None:
            return
        if self.mail_folder is not None:
            raise SettingsError("KEYSTEAD_SMTP_URL and KEYSTEAD_MAIL_FOLDER exclude each other: set one.")
        if self.mail_from is None:
            raise SettingsError(
                "KEYSTEAD_SMTP_URL needs KEYSTEAD_MAIL_FROM: an address that mails come from."
            )
        split = urlsplit(self.smtp_url.reveal())
        if split.scheme == "smtp+plain" and split.password and not is_loopback(split.hostname or ""):
            raise SettingsError(
                "KEYSTEAD_SMTP_URL would send a password without TLS: use smtp:// or smtps://."
            )

    @property
    def scheme(self) -> str:
        return _parts(self.public_url)[0]

    @property
    def control_plane_host(self) -> str:
        """Lower-case, without port: what a request's canonical host is compared with."""
        return _parts(self.public_url)[1]

    @property
    def port(self) -> int | None:
        """As it stands in public addresses; None when it is the scheme's own."""
        return _parts(self.public_url)[2]

    @property
    def makes_tenants_of_organizations(self) -> bool:
        """Whether whoever makes an organization on the control plane makes a tenant."""
        chosen = self.organizations_are_tenants
        return self.tenant_signup if chosen is None else chosen

    @property
    def control_plane_issuer(self) -> str:
        return f"{self.public_url}/"

    def tenant_host(self, tenant_id: str) -> str:
        return f"{tenant_id}.{self.base_domain}"

    def tenant_origin(self, tenant_id: str) -> str:
        suffix = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.tenant_host(tenant_id)}{suffix}"

    def tenant_issuer(self, tenant_id: str) -> str:
        return f"{self.tenant_origin(tenant_id)}/"

    def is_reserved(self, label: str) -> bool:
        """Whether no tenant may have this id: it is listed, or it is where the control plane lives."""
        folded = label.lower().rstrip(".")
        return folded in self.reserved_labels or folded in self._own_labels()

    def _own_labels(self) -> set[str]:
        own = {self.control_plane_tenant.lower(), self.control_plane_tenant.lower().replace("_", "-")}
        label, _, rest = self.control_plane_host.partition(".")
        return own | {label} if rest == self.base_domain else own


def is_loopback(host: str) -> bool:
    """RFC 6761 section 6.3: `localhost` and what is under it never leave the machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(64)
def _parts(origin: str) -> tuple[str, str, int | None]:
    split = urlsplit(origin)
    return split.scheme, split.hostname or "", split.port


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"{name} is not a setting; did you mean {close[0]}?"
