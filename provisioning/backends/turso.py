"""A database of Turso's platform per tenant, in a group by region.

The platform says under which host a database is reached and mints what lets one in, so both are known only when it
was made: the place is `name` before and `name@host` with a token after. A database is protected against deletion
while a tenant points to it; a moment of the past is a new database that branches off from the old one.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx

from core.clock import to_iso
from core.database import DatabaseRef
from core.database.refs import Remote
from core.errors import Conflict, DatabaseMissing, DatabaseUnavailable
from core.failpoints import failpoint
from core.settings import is_loopback
from provisioning.backends import Place, dumps, hrana
from provisioning.backends.configuration import TursoAccount
from provisioning.backends.scripts import identity, opened_copy, opened_image, portions
from provisioning.backends.slug import Slug, fresh_name
from provisioning.backends.sqlite_header import content_for_upload, refuse_unfit
from provisioning.backends.template import OwnRows, Template
from provisioning.backends.turso_api import TursoApi, TursoDatabase

READY_SECONDS = 30.0
READY_PAUSE = 0.25
UPLOAD_SECONDS = 600.0
UPLOAD = {"type": "database_upload"}

T = TypeVar("T")


class TursoBackend:
    name = "turso"
    is_local = False

    def __init__(self, account: TursoAccount) -> None:
        self._account = account
        self._api = TursoApi(account)

    def place(self, tenant_id: str, generation: int, region: str | None) -> Place:
        self._account.groups.at(region)
        name = fresh_name(tenant_id, generation)
        return Place(f"{region}/{name}" if region else str(name))

    def ref(self, place: Place, *, owner: str, incarnation: str, generation: int) -> DatabaseRef:
        name, _, host = place.location.partition("@")
        remote = Remote(
            url=_address(host) if host else "",
            name=name,
            secret=(place.credentials or b"").decode(),
            is_alone=True,
        )
        return DatabaseRef(
            kind="libsql", remote=remote, owner=owner, incarnation=incarnation, generation=generation
        )

    def exists(self, ref: DatabaseRef) -> bool:
        """One whose host nobody has noted was never finished."""
        if not ref.server.url or self._api.find(_name(ref)) is None:
            return False
        return bool(hrana.look(ref).tables)

    def create(self, ref: DatabaseRef, template: Template, own_rows: OwnRows) -> Place:
        image = template.image(ref.owner, ref.incarnation, own_rows)
        place = self._entered(ref, self._made(ref))
        with opened_image(image) as driver:
            script = list(portions(driver))
        target = self._at(ref, place)
        _when_ready(lambda: hrana.fill(target, script, (ref.owner, ref.incarnation)))
        self._api.configure(_name(ref), delete_protection=True)
        return place

    def restore(self, ref: DatabaseRef, source: Path) -> Place:
        """Uploaded whole: a transaction of the platform's is over after seconds, however much it has to write."""
        if not source.exists():
            raise DatabaseMissing
        refuse_unfit(source)
        with opened_copy(source) as driver:
            whose = identity(driver, ref)
        place = self._restored_before(ref, whose)
        if place is None:
            found = self._api.create(_name(ref), self._group(ref), UPLOAD)
            if found is None:
                raise DatabaseUnavailable
            failpoint("backend.restore.created")
            place = self._entered(ref, found)
            _when_ready(lambda: _upload(self._at(ref, place), source))
            self._await_content(self._at(ref, place), whose)
        self._api.configure(_name(ref), delete_protection=True)
        return place

    def delete(self, ref: DatabaseRef) -> None:
        if self._api.configure(_name(ref), delete_protection=False):
            failpoint("backend.delete.unprotected")
            self._api.delete(_name(ref))

    def set_aside(self, ref: DatabaseRef) -> None:
        """A branch under another name, which answers nobody; then the original goes."""
        name = _name(ref)
        if self._api.find(name) is None:
            return
        aside = Slug(f"aside-{name[:45].strip('-')}-{secrets.token_hex(5)}")
        self._branched(ref, aside)
        failpoint("backend.set_aside.branched")
        self._api.configure(aside, block_reads=True, block_writes=True, delete_protection=True)
        self.delete(ref)

    def snapshot(self, ref: DatabaseRef, target: Path) -> None:
        if not ref.server.url or self._api.find(_name(ref)) is None:
            raise DatabaseMissing
        dumps.snapshot(ref, target)

    def snapshot_as_of(self, ref: DatabaseRef, moment: int, target: Path) -> None:
        """By way of a branch; the platform may lack the last seconds before that moment."""
        past = Slug(f"past-{_name(ref)[:46].strip('-')}-{secrets.token_hex(5)}")
        found = self._branched(ref, past, moment)
        failpoint("backend.snapshot_as_of.branched")
        try:
            branch = self._at(ref, self._entered(ref, found))
            _when_ready(lambda: hrana.look(branch))
            dumps.snapshot(branch, target)
        finally:
            self._api.delete(past)

    def renewed(self, place: Place, ref: DatabaseRef) -> Place:
        """Every token that was ever minted for it is void from now on."""
        self._api.revoke_tokens(_name(ref))
        return replace(place, credentials=self._api.mint_token(_name(ref)).encode())

    def names(self) -> list[str]:
        groups = {self._account.groups.default, *self._account.groups.regions.values()}
        return [name for group in groups if group is not None for name in self._api.names(group)]

    # --- inside ----------------------------------------------------------------------------------------------

    def _made(self, ref: DatabaseRef) -> TursoDatabase:
        made = self._api.create(_name(ref), self._group(ref)) or self._api.find(_name(ref))
        if made is None:
            raise DatabaseUnavailable
        failpoint("backend.create.database")
        return made

    def _branched(self, ref: DatabaseRef, name: Slug, at: int | None = None) -> TursoDatabase:
        seed = {"type": "database", "name": str(_name(ref))}
        if at is not None:
            seed["timestamp"] = to_iso(at)
        made = self._api.create(name, self._group(ref), seed)
        if made is None:
            raise Conflict("A database lies where the copy would go.", code="database_exists")
        return made

    def _restored_before(self, ref: DatabaseRef, whose: tuple[str, str]) -> Place | None:
        """What a crash left under this name: the whole, or something that waits for its upload and is thrown away."""
        found = self._api.find(_name(ref))
        if found is None:
            return None
        place = self._entered(ref, found)
        try:
            content = hrana.look(self._at(ref, place))
        except DatabaseUnavailable:
            content = hrana.Content(frozenset(), None)
        if content.identity == whose:
            return place
        if content.tables:
            raise Conflict("A database lies where the new one would go.", code="database_exists")
        self.delete(ref)
        return None

    def _entered(self, ref: DatabaseRef, found: TursoDatabase) -> Place:
        token = self._api.mint_token(found.name)
        failpoint("backend.create.token")
        return Place(f"{ref.server.name}@{found.hostname}", token.encode())

    def _at(self, ref: DatabaseRef, place: Place) -> DatabaseRef:
        return self.ref(place, owner=ref.owner, incarnation=ref.incarnation, generation=ref.generation)

    def _group(self, ref: DatabaseRef) -> str:
        region, _, _ = ref.server.name.rpartition("/")
        return self._account.groups.at(region or None)

    @staticmethod
    def _await_content(ref: DatabaseRef, whose: tuple[str, str]) -> None:
        content = _when_ready(lambda: hrana.look(ref))
        if content.identity != whose:
            raise DatabaseUnavailable


def _name(ref: DatabaseRef) -> Slug:
    return Slug(ref.server.name.rpartition("/")[2])


def _address(host: str) -> str:
    scheme = "http" if is_loopback(host.partition(":")[0]) else "https"
    return f"{scheme}://{host}"


def _when_ready(work: Callable[[], T]) -> T:
    """A new database is announced before it answers."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            return work()
        except DatabaseUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(READY_PAUSE)


def _upload(ref: DatabaseRef, source: Path) -> None:
    headers = {
        "Authorization": f"Bearer {ref.server.secret}",
        "Content-Length": str(source.stat().st_size),
    }
    chunks = content_for_upload(source)
    try:
        answer = httpx.post(
            f"{ref.server.url}/v1/upload",
            headers=headers,
            content=chunks,
            timeout=UPLOAD_SECONDS,
            verify=dumps.public_authorities(),
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise DatabaseUnavailable from error
    if answer.status_code != 200:
        raise DatabaseUnavailable from RuntimeError(f"an upload was answered {answer.status_code}")
