"""The tenant as it stands, read over its Management API, in the form of its files: names where the API has ids."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from entrypoints.configuration.comparing import is_empty
from entrypoints.configuration.doors import Answer, Door
from entrypoints.configuration.failures import Failed
from entrypoints.configuration.kinds import KINDS, Collection, Documents, Entry, Kind, Part
from tenant_runtime.login.screens import PROMPTS

PAGE = 100
_ABSENT = (403, 404)
_KEPT_APART = frozenset({"client_secret"})


@dataclass(frozen=True, slots=True)
class Present:
    """An entry that stands: as a file would have it, its id, and whether the control plane shares it."""

    entry: Entry
    id: str
    is_system: bool = False


@dataclass(slots=True)
class State:
    entries: dict[str, dict[str, Present]] = field(default_factory=dict)
    """By kind and label. A kind that the tenant does not have, or does not show, is not there."""
    documents: dict[str, dict[str, Entry | None]] = field(default_factory=dict)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    """By kind: of names that stand for one entry only."""
    management: str = ""
    """The identifier of the tenant's own Management API."""
    scopes: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of every API, shared ones included."""
    ambiguous: dict[str, frozenset[str]] = field(default_factory=dict)

    def name_of(self, kind: str, id: str) -> str:
        return next((name for name, known in self.ids.get(kind, {}).items() if known == id), id)


async def read(door: Door, languages: AbstractSet[str] = frozenset()) -> State:
    """`languages`: those that texts are looked for in, beside the tenant's own."""
    state = State(management=f"{door.issuer}api/v2/")
    for kind in KINDS:
        if isinstance(kind, Documents):
            await _read_documents(door, kind, state, languages)
        else:
            await _read_collection(door, kind, state)
    return state


async def _read_documents(door: Door, kind: Documents, state: State, languages: AbstractSet[str]) -> None:
    found: dict[str, Entry | None] = {}
    for part, (path, _) in kind.parts.items():
        answer = await door.ask("GET", path)
        if answer.status == 404 and kind.makes:
            found[part] = None
        elif answer.is_good:
            found[part] = _without(answer.body, kind)
    if kind.texts and found:
        found |= await _texts(door, kind, state, languages)
    if found:
        state.documents[kind.name] = found


async def _texts(
    door: Door, kind: Documents, state: State, languages: AbstractSet[str]
) -> dict[str, Entry | None]:
    settings = state.documents.get("tenant", {}).get("") or {}
    found: dict[str, Entry | None] = {}
    for language in sorted({*settings.get("enabled_locales", ()), *languages}):
        for prompt in sorted(PROMPTS):
            part = kind.text(language, prompt)
            answer = await door.ask("GET", kind.route(part)[1])
            if answer.is_good:
                found[part] = answer.body
    return found


async def _read_collection(door: Door, kind: Collection, state: State) -> None:
    rows = await (_one_by_one(door, kind) if kind.by_label else _listed(door, kind))
    if rows is None:
        return
    mine = [row for row in rows if kind.has(row)]
    if kind.name == "resourceServers":
        _keep_scopes(mine, state)
        mine = [row for row in mine if row["identifier"] != state.management]
    shown = [(row, await _as_in_files(door, kind, row, state)) for row in mine if not row.get("managed_by")]
    counted = Counter(kind.label_of(entry) for _, entry in shown)
    state.ambiguous[kind.name] = frozenset(label for label, times in counted.items() if times > 1)
    names = Counter(str(row.get("name")) for row, _ in shown)
    state.ids[kind.name] = {
        str(row.get("name", kind.label_of(entry))): str(row.get(kind.id))
        for row, entry in shown
        if names[str(row.get("name"))] == 1 or "name" not in row
    }
    state.entries[kind.name] = {
        kind.label_of(entry): Present(entry, str(row.get(kind.id)), _is_system(row))
        for row, entry in shown
        if counted[kind.label_of(entry)] == 1
    }


def _keep_scopes(rows: Sequence[Entry], state: State) -> None:
    for row in rows:
        state.scopes[row["identifier"]] = frozenset(scope["value"] for scope in row.get("scopes") or ())


def _is_system(row: Mapping[str, Any]) -> bool:
    return bool(row.get("is_system") or row.get("is_global") or row.get("global") or row.get("path_id"))


async def _listed(door: Door, kind: Collection) -> list[Entry] | None:
    rows: list[Entry] = []
    page = 0
    while True:
        answer = await door.ask("GET", kind.path, page=page, per_page=PAGE)
        if answer.status in _ABSENT and page == 0:
            return None
        found = _rows(kind.path, answer)
        rows += found
        if len(found) < PAGE:
            return rows
        page += 1


async def _one_by_one(door: Door, kind: Collection) -> list[Entry] | None:
    rows: list[Entry] = []
    for label in kind.by_label:
        answer = await door.ask("GET", f"{kind.path}/{label}")
        if answer.status == 403:
            return None
        if answer.is_good:
            rows.append(answer.body)
    return rows


def _rows(path: str, answer: Answer) -> list[Entry]:
    if not answer.is_good:
        raise Failed(f"GET {path} answered {answer.status}: {answer.message}")
    body = answer.body
    if isinstance(body, dict):
        body = next((value for value in body.values() if isinstance(value, list)), [])
    return list(body)


async def _as_in_files(door: Door, kind: Collection, row: Entry, state: State) -> Entry:
    entry = _without(row, kind)
    for member, of in kind.names.items():
        if member in entry:
            entry[member] = state.name_of(of, str(entry[member]))
    for part in () if _is_system(row) else kind.parts:
        items = await read_part(door, kind, str(row[kind.id]), part, state)
        if items is not None:
            entry[part.member] = items
    return entry


def _without(row: Entry, kind: Kind) -> Entry:
    """What a file needs not say goes, and what is empty with it."""
    needed = kind.needed if isinstance(kind, Collection) else frozenset[str]()
    return {
        name: value
        for name, value in row.items()
        if name not in kind.not_said and name not in _KEPT_APART and (name in needed or not is_empty(value))
    }


async def read_part(door: Door, kind: Collection, id: str, part: Part, state: State) -> list[Any] | None:
    path = f"{kind.path}/{id}/{part.path}"
    rows: list[Entry] = []
    after: dict[str, Any] = {"take": 50} if part.how == "clients" else {"page": 0, "per_page": PAGE}
    while True:
        answer = await door.ask("GET", path, **after)
        if answer.status in _ABSENT:
            return None
        found = _rows(path, answer)
        rows += found
        following = answer.body.get("next") if isinstance(answer.body, dict) else None
        if part.how == "clients":
            if following is None:
                break
            after = {"take": 50, "from": following}
        elif len(found) < PAGE:
            break
        else:
            after["page"] += 1
    items = [_item(row, part, state) for row in rows]
    return sorted((item for place, item in enumerate(items) if item not in items[:place]), key=repr)


def _item(row: Entry, part: Part, state: State) -> Any:
    if part.how == "clients":
        return state.name_of("clients", str(row["client_id"]))
    if part.how == "grants":
        return {"client_id": state.name_of("clients", str(row["client_id"]))}
    if part.how == "connections":
        row = {**row, "name": (row.get("connection") or {}).get("name")}
    return {name: row[name] for name in part.own if name in row}
