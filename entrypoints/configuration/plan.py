"""What would have to change for the tenant to be as its files say. Everything in the files is checked on the way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from entrypoints.configuration.checking import check_entry, check_references
from entrypoints.configuration.comparing import is_same, is_same_set
from entrypoints.configuration.failures import Refused
from entrypoints.configuration.files import Files, Said
from entrypoints.configuration.kinds import KINDS, Collection, Documents, Entry, Kind
from entrypoints.configuration.state import Present, State

Action = Literal["create", "change", "delete", "only here"]
HIDDEN = "(secret)"


@dataclass(frozen=True, slots=True)
class Change:
    kind: Kind
    label: str
    action: Action
    members: Entry = field(default_factory=dict)
    """Of an entry that is made all of them; of one that stands those that differ."""
    before: Entry = field(default_factory=dict)
    id: str = ""
    part: str = ""
    """Which of several documents."""

    @property
    def writes(self) -> bool:
        return self.action != "only here"


def compare(files: Files, state: State, *, delete: bool, own_client: str | None) -> list[Change]:
    faults = [*check_references(files, state)]
    changes: list[Change] = []
    for kind in KINDS:
        if isinstance(kind, Documents):
            for part, said in files.documents.get(kind.name, {}).items():
                found = _of_document(kind, part, said, state, faults)
                changes += [] if found is None else [found]
        elif kind.name in files.entries:
            changes += _of_collection(kind, files.entries[kind.name], state, faults)
            changes += _only_here(kind, files.entries[kind.name], state, delete, own_client)
    if faults:
        raise Refused(faults)
    return changes


def _of_document(kind: Documents, part: str, said: Said, state: State, faults: list[str]) -> Change | None:
    present = state.documents.get(kind.name, {})
    if part not in present:
        faults.append(f"{said.place}: this tenant has no `{part or kind.name}` to change.")
        return None
    before = present[part] or {}
    action: Action = "create" if present[part] is None else "change"
    wanted = said.entry if action == "create" else _differing(kind, said.entry, before)
    if wanted and kind.route(part)[0] == "PUT":
        wanted = {**before, **wanted}
    faults += check_entry(kind, part, said, wanted, action)
    if not wanted:
        return None
    return Change(kind, part or kind.name, action, _said(kind, wanted), _before(wanted, before), part=part)


def _of_collection(
    kind: Collection, entries: list[Said], state: State, faults: list[str]
) -> Iterator[Change]:
    if kind.name not in state.entries:
        if entries:
            faults.append(f"{entries[0].place}: this tenant has no `{kind.name}`, or does not show them.")
        return
    for said in (Said(_asked(kind, each.entry), each.place) for each in entries):
        label = kind.label_of(said.entry)
        present = _standing(kind, said, label, state)
        if said.entry.get("is_system") or (present is not None and present.is_system):
            continue
        if label in state.ambiguous[kind.name] and present is None:
            faults.append(f"{said.place}: there are several of `{kind.name}` with the name {label}.")
            continue
        faults += _taken(kind, said, label, entries, state)
        if present is None:
            faults += check_entry(kind, "", said, said.entry, "create")
            yield Change(kind, label, "create", _said(kind, said.entry))
            continue
        wanted = _differing(kind, said.entry, present.entry)
        fixed = wanted.keys() & kind.fixed
        faults += [
            f"{said.place.at(name)}: `{name}` cannot be changed, only chosen." for name in sorted(fixed)
        ]
        faults += check_entry(kind, "", said, wanted, "change")
        if wanted:
            before = _before(wanted, present.entry)
            yield Change(kind, label, "change", _said(kind, wanted), before, present.id)


def _taken(kind: Collection, said: Said, label: str, entries: list[Said], state: State) -> Iterator[str]:
    """Another entry has what only one may have, and is not about to give it up."""
    said_of = {kind.label_of(other.entry): other.entry for other in entries}
    standing = {name: present.entry for name, present in state.entries[kind.name].items()}
    for member in sorted(kind.unique & said.entry.keys()):
        for other, entry in {**standing, **said_of}.items():
            if other != label and entry.get(member) == said.entry[member]:
                yield f"{said.place.at(member)}: {other} has the {member} {said.entry[member]}, too."


def _standing(kind: Collection, said: Said, label: str, state: State) -> Present | None:
    """By its id, if the file has one that is known here, else by its label."""
    by_id = said.entry.get(kind.id)
    if kind.id not in kind.label and by_id is not None:
        found = (each for each in state.entries[kind.name].values() if each.id == by_id)
        if (known := next(found, None)) is not None:
            return known
    return state.entries[kind.name].get(label)


def _only_here(
    kind: Collection, entries: list[Said], state: State, delete: bool, own_client: str | None
) -> Iterator[Change]:
    named = {kind.label_of(said.entry) for said in entries}
    ids = {said.entry.get(kind.id) for said in entries}
    for label, present in state.entries.get(kind.name, {}).items():
        if label in named or present.id in ids or present.is_system or kind.by_label:
            continue
        is_own = own_client is not None and own_client in (
            present.id,
            state.ids.get("clients", {}).get(str(present.entry.get("client_id"))),
        )
        action: Action = "delete" if delete and not is_own else "only here"
        yield Change(kind, label, action, before=present.entry, id=present.id)


def _differing(kind: Kind, wanted: Entry, present: Entry) -> Entry:
    """A secret alone is no difference: nobody can see whether it is another. It goes along with one."""
    sets = kind.sets if isinstance(kind, Collection) else frozenset[str]()
    lists = {part.member for part in kind.parts} if isinstance(kind, Collection) else set[str]()
    secret, found = dict[str, Any](), dict[str, Any]()
    for name, value in wanted.items():
        if name in kind.not_said or name == getattr(kind, "id", None):
            continue
        if name in kind.secrets:
            secret[name] = value
        elif name in sets | lists and isinstance(value, list):
            there = present.get(name) or []
            if not is_same_set(value, _narrowed(there, value) if name in lists else there):
                found[name] = value
        elif not is_same(_without_secrets(kind, name, value), present.get(name)):
            found[name] = value
    return {**found, **secret} if found else {}


def _asked(kind: Collection, entry: Entry) -> Entry:
    """Without what items hold and nobody may say of them."""
    lists = {
        part.member: part.added
        for part in kind.parts
        if part.added and isinstance(entry.get(part.member), list)
    }
    return {**entry, **{name: [_less(item, added) for item in entry[name]] for name, added in lists.items()}}


def _less(item: Any, names: frozenset[str]) -> Any:
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if name not in names}


def _narrowed(present: list[Any], wanted: list[Any]) -> list[Any]:
    """Items with those members that the file speaks of."""
    named = {name for item in wanted if isinstance(item, dict) for name in item}
    if not named:
        return present
    return [{name: item[name] for name in item if name in named} for item in present]


def _without_secrets(kind: Kind, name: str, value: Any) -> Any:
    hidden = {secret.partition(".")[2] for secret in kind.secrets if secret.startswith(f"{name}.")}
    if not hidden or not isinstance(value, Mapping):
        return value
    return {member: item for member, item in value.items() if member not in hidden}


def _said(kind: Kind, entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name not in kind.not_said or name in kind.secrets}


def _before(wanted: Entry, present: Entry) -> Entry:
    return {name: present[name] for name in wanted if name in present}
