"""The backends file: the servers that tenant databases may live on, a TOML table for each kind of them.

    [libsql]                      [turso]                     [postgresql]
    url, admin_url                organization, group         url
    admin_key | admin_key_file    token | token_file
                                  api_url

`[libsql.regions.eu]` and its like are further places of the same kind, by the name that a tenant's `region` has. A
file with a key that nobody knows stops the start with a sentence, as a setting does that is misspelt.
"""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from core.errors import InvalidInput
from core.settings import Secret, SettingsError
from core.settings_values import is_inside, is_private_line

TURSO_API = "https://api.turso.tech"

S = TypeVar("S")
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LibsqlServer:
    url: str
    admin_url: str
    admin_key: Secret


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """`url` is of a role that may create databases and roles."""

    url: Secret


@dataclass(frozen=True, slots=True)
class Servers(Generic[S]):
    """One for tenants without a region, if there is one, and those that have a name."""

    default: S | None
    regions: Mapping[str, S] = field(default_factory=dict)

    def at(self, region: str | None) -> S:
        server = self.default if region is None else self.regions.get(region)
        if server is None:
            raise InvalidInput(_no_region(region, self.regions), code="invalid_region")
        return server


@dataclass(frozen=True, slots=True)
class TursoAccount:
    organization: str
    token: Secret
    groups: Servers[str]
    api_url: str = TURSO_API


@dataclass(frozen=True, slots=True)
class BackendsFile:
    libsql: Servers[LibsqlServer] | None = None
    turso: TursoAccount | None = None
    postgresql: Servers[PostgresqlServer] | None = None


def read_backends(path: Path | None) -> BackendsFile:
    """Files that it names lie beside it, unless they say where."""
    if path is None:
        return BackendsFile()
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is not a TOML file: {error}.") from None
    return _Reading(path).file(content)


class _Reading:
    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self, content: Table) -> BackendsFile:
        self._refuse_unknown(content, ("libsql", "turso", "postgresql"), "")
        return BackendsFile(
            libsql=self._servers(
                content, "libsql", self._libsql, ("url", "admin_url", *_either("admin_key"))
            ),
            turso=self._turso(self._table(content, "turso")) if "turso" in content else None,
            postgresql=self._servers(content, "postgresql", self._postgresql, ("url",)),
        )

    def _servers(
        self, content: Table, name: str, read: Callable[[Table, str], S], keys: tuple[str, ...]
    ) -> Servers[S] | None:
        if name not in content:
            return None
        table = self._table(content, name)
        self._refuse_unknown(table, (*keys, "regions"), name)
        own = {key: value for key, value in table.items() if key != "regions"}
        regions = {}
        for region, values in self._regions(table, name).items():
            self._refuse_unknown(values, keys, f"{name}.regions.{region}")
            regions[region] = read(values, f"{name}.regions.{region}")
        if not own and not regions:
            raise self._error(name, "holds nothing")
        return Servers(read(own, name) if own else None, regions)

    def _libsql(self, table: Table, name: str) -> LibsqlServer:
        return LibsqlServer(
            url=self._address(table, "url", name),
            admin_url=self._address(table, "admin_url", name),
            admin_key=self._secret(table, "admin_key", name),
        )

    def _postgresql(self, table: Table, name: str) -> PostgresqlServer:
        url = self._text(table, "url", name)
        split = urlsplit(url)
        if split.scheme not in ("postgresql", "postgres") or not split.hostname:
            raise self._error(name, "needs a url such as postgresql://user:password@host/postgres")
        if not is_private_line(url):
            raise self._error(
                name, "needs ?sslmode=verify-full in url: this host is not of a private network"
            )
        return PostgresqlServer(Secret(url))

    def _turso(self, table: Table) -> TursoAccount:
        name = "turso"
        self._refuse_unknown(table, ("organization", "group", "api_url", "regions", *_either("token")), name)
        groups = {}
        for region, values in self._regions(table, name).items():
            self._refuse_unknown(values, ("group",), f"{name}.regions.{region}")
            groups[region] = self._text(values, "group", f"{name}.regions.{region}")
        group = self._text(table, "group", name) if "group" in table else None
        if group is None and not groups:
            raise self._error(name, "needs a group, or regions with one")
        return TursoAccount(
            organization=self._text(table, "organization", name),
            token=self._secret(table, "token", name),
            groups=Servers(group, groups),
            api_url=self._address(table, "api_url", name) if "api_url" in table else TURSO_API,
        )

    # ---- values ------------------------------------------------------------------------------------------------------

    def _table(self, content: Table, key: str) -> Table:
        found = content.get(key, {})
        if not isinstance(found, dict):
            raise self._error(key, "must be a table")
        return found

    def _regions(self, table: Table, name: str) -> Mapping[str, Table]:
        regions = self._table(table, "regions")
        return {region: self._table(regions, region) for region in regions}

    def _text(self, table: Table, key: str, name: str) -> str:
        found = table.get(key)
        if not isinstance(found, str) or not found:
            raise self._error(name, f"needs a text for {key}")
        return found

    def _address(self, table: Table, key: str, name: str) -> str:
        """What goes there holds a token: without TLS it goes no further than the operator's own network."""
        found = self._text(table, key, name)
        try:
            split = urlsplit(found)
            is_good = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
        except ValueError:
            is_good = False
        if not is_good or split.username is not None or split.query or split.fragment:
            raise self._error(name, f"needs an http or https address for {key}")
        if split.scheme == "http" and not is_inside(split.hostname or ""):
            raise self._error(name, f"needs https for {key}: this host is not of a private network")
        return found.rstrip("/")

    def _secret(self, table: Table, key: str, name: str) -> Secret:
        if (key in table) == (f"{key}_file" in table):
            raise self._error(name, f"needs either {key} or {key}_file")
        if key in table:
            return Secret(self._text(table, key, name))
        path = self._path.parent / self._text(table, f"{key}_file", name)
        try:
            found = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise self._error(name, f"names a {key}_file that cannot be read: {path}") from None
        if not found:
            raise self._error(name, f"names a {key}_file that is empty: {path}")
        return Secret(found)

    def _refuse_unknown(self, table: Table, known: tuple[str, ...], name: str) -> None:
        for key in table:
            if key in known:
                continue
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            place = f"[{name}]" if name else "the file"
            raise SettingsError(f"{self._path}: {key} is not known in {place}; did you mean {close}?")

    def _error(self, name: str, words: str) -> SettingsError:
        return SettingsError(f"{self._path}: [{name}] {words}.")


def _either(key: str) -> tuple[str, str]:
    return key, f"{key}_file"


def _no_region(region: str | None, regions: Mapping[str, object]) -> str:
    names = ", ".join(sorted(regions)) or "none"
    if region is None:
        return f"This backend needs a region; it has: {names}."
    return f"This backend has no such region; it has: {names}."
