"""A namespace of a libSQL server (sqld) per tenant, on one server or several (regions).

Each has a key pair of its own, made when the place is chosen: the namespace holds the public half, the registry the
private one, sealed, and clients mint tokens from it. So nothing that lets one into a tenant's database lets anybody
into another's, and the server's own key need not exist here.
"""

import secrets
from dataclasses import replace
from pathlib import Path

from core.database import DatabaseRef
from core.database.refs import Remote
from core.database.tokens import DatabaseKey
from core.errors import Conflict, DatabaseElsewhere, DatabaseMissing, DatabaseUnavailable, InvalidInput
from core.failpoints import failpoint
from provisioning.backends import Place, dumps, hrana
from provisioning.backends.configuration import LibsqlServer, Servers
from provisioning.backends.namespaces import Namespaces
from provisioning.backends.scripts import identity, opened_copy, opened_image, portions
from provisioning.backends.slug import Slug, fresh_name
from provisioning.backends.template import OwnRows, Template

DURABLE = {"durability_mode": "strong"}


class LibsqlBackend:
    name = "libsql"
    is_local = False

    def __init__(self, servers: Servers[LibsqlServer]) -> None:
        self._servers = servers
        self._namespaces = {
            server.url: Namespaces(server)
            for server in (servers.default, *servers.regions.values())
            if server
        }

    def place(self, tenant_id: str, generation: int, region: str | None) -> Place:
        self._servers.at(region)
        name = fresh_name(tenant_id, generation)
        return Place(f"{region}/{name}" if region else str(name), DatabaseKey().to_pem().encode())

    def ref(self, place: Place, *, owner: str, incarnation: str, generation: int) -> DatabaseRef:
        region, _, name = place.location.rpartition("/")
        try:
            server = self._servers.at(region or None)
        except InvalidInput as error:
            raise DatabaseElsewhere from error  # the region was taken out of the backends file
        remote = Remote(url=server.url, name=str(Slug(name)), secret=(place.credentials or b"").decode())
        return DatabaseRef(
            kind="libsql", remote=remote, owner=owner, incarnation=incarnation, generation=generation
        )

    def exists(self, ref: DatabaseRef) -> bool:
        """A namespace without our key, or with nothing in it, is a draft; with another's key it is another's."""
        config = self._server(ref).config(_name(ref))
        if config is None or config["jwt_key"] is None:
            return False
        return config["jwt_key"] != _public_key(ref) or bool(hrana.look(ref).tables)

    def create(self, ref: DatabaseRef, template: Template, own_rows: OwnRows) -> None:
        image = template.image(ref.owner, ref.incarnation, own_rows)
        self._take(ref)
        with opened_image(image) as driver:
            hrana.fill(ref, portions(driver), (ref.owner, ref.incarnation))

    def restore(self, ref: DatabaseRef, source: Path) -> None:
        if not source.exists():
            raise DatabaseMissing
        with opened_copy(source) as driver:
            whose = identity(driver, ref)
            self._take(ref)
            hrana.fill(ref, portions(driver), whose)

    def delete(self, ref: DatabaseRef) -> None:
        self._server(ref).delete(_name(ref))

    def set_aside(self, ref: DatabaseRef) -> None:
        """A fork under another name, which keeps the key and answers nobody; then the original goes."""
        server, name = self._server(ref), _name(ref)
        if server.config(name) is None:
            return
        aside = Slug(f"aside-{name[:45].strip('-')}-{secrets.token_hex(5)}")
        server.fork(name, aside)
        failpoint("backend.set_aside.forked")
        blocked = {"block_reads": True, "block_writes": True, "block_reason": f"set aside: was {name}"}
        server.configure(aside, blocked)
        server.delete(name)

    def snapshot(self, ref: DatabaseRef, target: Path) -> None:
        dumps.snapshot(ref, target)

    def renewed(self, place: Place, ref: DatabaseRef) -> Place:
        key = DatabaseKey()
        self._server(ref).configure(_name(ref), {"jwt_key": key.public})
        return replace(place, credentials=key.to_pem().encode())

    def _take(self, ref: DatabaseRef) -> None:
        """The namespace is there and its key is ours."""
        server, name = self._server(ref), _name(ref)
        ours = {"jwt_key": _public_key(ref), **DURABLE}
        if not server.create(name, ours):
            config = server.config(name)
            if config is None:
                raise DatabaseUnavailable
            if config["jwt_key"] is None:
                self._adopt(ref, ours)
            elif config["jwt_key"] != ours["jwt_key"]:
                raise Conflict("A database lies where the new one would go.", code="database_exists")
        failpoint("backend.create.namespace")

    def _adopt(self, ref: DatabaseRef, ours: dict[str, str]) -> None:
        """The server died between making it and noting what it was told; or it is a stranger's, and stays as it is."""
        server, name = self._server(ref), _name(ref)
        server.configure(name, ours)
        if hrana.look(ref).tables:
            server.configure(name, {"jwt_key": None})
            raise Conflict("A database lies where the new one would go.", code="database_exists")

    def _server(self, ref: DatabaseRef) -> Namespaces:
        return self._namespaces[ref.server.url]


def _name(ref: DatabaseRef) -> Slug:
    return Slug(ref.server.name)


def _public_key(ref: DatabaseRef) -> str:
    return DatabaseKey.from_pem(ref.server.secret).public
