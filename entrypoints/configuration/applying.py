"""Makes the tenant as a plan says: in the order of the kinds, and what goes goes last, in the opposite one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from entrypoints.configuration.comparing import is_same_set
from entrypoints.configuration.doors import Answer, Door
from entrypoints.configuration.failures import Failed
from entrypoints.configuration.kinds import Collection, Documents, Part
from entrypoints.configuration.plan import Change
from entrypoints.configuration.state import State, read_part

Say = Callable[[str], None]


async def apply(door: Door, changes: Sequence[Change], state: State, done: Say) -> None:
    """`done` hears of each at once, so that an end in the middle is known."""
    made = _Work(door, state)
    gone = [change for change in changes if change.action == "delete"]
    for change in [*(change for change in changes if change.action in ("create", "change")), *reversed(gone)]:
        await made.do(change)
        done(f"{_PAST[change.action]} {change.kind.name}: {change.label}")


_PAST = {"create": "created", "change": "changed", "delete": "deleted"}


class _Work:
    def __init__(self, door: Door, state: State) -> None:
        self._door = door
        self._state = state

    async def do(self, change: Change) -> None:
        kind = change.kind
        if isinstance(kind, Documents):
            method, path = kind.route(change.part)
            method = "POST" if change.action == "create" else method
            await self._send(change, method, path, change.members)
        elif change.action == "delete":
            await self._send(change, "DELETE", f"{kind.path}/{change.id}")
        else:
            await self._do_entry(kind, change)

    async def _do_entry(self, kind: Collection, change: Change) -> None:
        parts = {part.member: part for part in kind.parts}
        members = {name: value for name, value in change.members.items() if name not in parts}
        body = {name: self._ids(kind, name, value) for name, value in members.items()}
        id = change.id
        if change.action == "create":
            body = {name: value for name, value in body.items() if value is not None}
            answer = await self._send(change, "POST", kind.path, body)
            id = str(answer.body.get(kind.id, change.label))
            self._state.ids.setdefault(kind.name, {})[str(members.get("name", change.label))] = id
        elif body:
            await self._send(change, "PATCH", f"{kind.path}/{id}", body)
        for name, part in parts.items():
            if name in change.members:
                await self._write_part(change, kind, id, part)

    def _ids(self, kind: Collection, member: str, value: Any) -> Any:
        of = kind.names.get(member)
        return value if of is None else self._id(of, str(value))

    def _id(self, of: str, name: str) -> str:
        kinds = ("connections", "databases") if of == "connections" else (of,)
        found = (self._state.ids.get(kind, {}).get(name) for kind in kinds)
        return next(filter(None, found), name)

    async def _write_part(self, change: Change, kind: Collection, id: str, part: Part) -> None:
        path = f"{kind.path}/{id}/{part.path}"
        wanted = change.members[part.member] or []
        present = await read_part(self._door, kind, id, part, self._state)
        if present is None:
            raise Failed(f"{kind.name}: {change.label}: `{part.member}` is not here to be written")
        if is_same_set(wanted, present):
            return
        await _WRITERS[part.how](self, change, path, wanted, present)

    async def permissions(self, change: Change, path: str, wanted: list[Any], present: list[Any]) -> None:
        for method, items in (
            ("POST", [item for item in wanted if item not in present]),
            ("DELETE", [item for item in present if item not in wanted]),
        ):
            if items:
                await self._send(change, method, path, {"permissions": items})

    async def clients(self, change: Change, path: str, wanted: list[Any], present: list[Any]) -> None:
        statuses = [
            {"client_id": self._id("clients", name), "status": name in wanted}
            for name in sorted({*wanted, *present})
            if (name in wanted) != (name in present)
        ]
        for start in range(0, len(statuses), 50):
            await self._send(change, "PATCH", path, statuses[start : start + 50])

    async def connections(self, change: Change, path: str, wanted: list[Any], present: list[Any]) -> None:
        before = {item["name"]: item for item in present}
        after = {item["name"]: item for item in wanted}
        for name, item in after.items():
            said = {member: value for member, value in item.items() if member != "name"}
            id = self._id("connections", name)
            if name not in before:
                await self._send(change, "POST", path, {"connection_id": id, **said})
            elif any(before[name].get(member) != value for member, value in said.items()):
                await self._send(change, "PATCH", f"{path}/{id}", said)
        for name in before.keys() - after.keys():
            await self._send(change, "DELETE", f"{path}/{self._id('connections', name)}")

    async def grants(self, change: Change, path: str, wanted: list[Any], present: list[Any]) -> None:
        """All grants of a client that is named, as Auth0's tool has it."""
        for name in sorted({item["client_id"] for item in wanted} - {item["client_id"] for item in present}):
            found = await self._door.ask("GET", "/client-grants", client_id=self._id("clients", name))
            for grant in found.body if found.is_good else ():
                await self._send(change, "POST", path, {"grant_id": grant["id"]})
        kept = {self._id("clients", item["client_id"]) for item in wanted}
        for grant in (await self._door.ask("GET", path)).body or ():
            if grant["client_id"] not in kept:
                await self._send(change, "DELETE", f"{path}/{grant['id']}")

    async def domains(self, change: Change, path: str, wanted: list[Any], present: list[Any]) -> None:
        known = {item["domain"] for item in present}
        named = {item["domain"]: item for item in wanted}
        for domain, item in named.items():
            if domain not in known:
                await self._send(change, "POST", path, item)
        rows = await self._door.ask("GET", path, take=100)
        for row in (rows.body or {}).get("domains", []):
            said = {name: value for name, value in named.get(row["domain"], {}).items() if name != "domain"}
            if row["domain"] not in named:
                await self._send(change, "DELETE", f"{path}/{row['id']}")
            elif any(row.get(name) != value for name, value in said.items()):
                await self._send(change, "PATCH", f"{path}/{row['id']}", said)

    async def _send(self, change: Change, method: str, path: str, body: Any = None) -> Answer:
        answer = await self._door.ask(method, path, body)
        if not answer.is_good:
            raise Failed(
                f"{change.kind.name}: {change.label}: {method} {path} answered {answer.status}: {answer.message}"
            )
        return answer


_WRITERS: Mapping[str, Any] = {
    "permissions": _Work.permissions,
    "clients": _Work.clients,
    "connections": _Work.connections,
    "domains": _Work.domains,
    "grants": _Work.grants,
}
