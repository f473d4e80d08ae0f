"""Files out of a state: one with everything, or a folder with one for each entry. Auth0's deploy tool reads both."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from entrypoints.configuration.kinds import KINDS, Collection, Documents, Entry
from entrypoints.configuration.state import State
from tenant_runtime.management.permissions import MANAGEMENT_API_NAME

ISSUER_KEYWORD = "##TENANT_ISSUER##"
_NOT_IN_NAMES = re.compile(r"[/?<>\\:*|\"\x00-\x1f\x80-\x9f]")


class _Dumper(yaml.SafeDumper):
    """No anchors: an equal value is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_yaml(state: State, file: Path) -> int:
    """How many files there are now."""
    texts: list[tuple[Path, str]] = []
    whole: dict[str, Any] = {}
    for kind in KINDS:
        if isinstance(kind, Documents):
            documents = _documents(kind, state)
            said = _texts(kind, documents)
            settled = documents.get("", documents)
            if settled:
                whole[kind.name] = {**settled, kind.texts: said} if said else settled
            continue
        entries = _entries(kind, state)
        if kind.text is not None:
            entries = [_apart(kind, entry, file.parent, kind.text.beside_yaml, texts) for entry in entries]
        if kind.name in state.entries:
            whole[kind.name] = entries
    _move_error_page(whole)
    text = yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return _write([(file, text), *texts])


def write_folder(state: State, folder: Path) -> int:
    files: list[tuple[Path, str]] = []
    for kind in KINDS:
        if isinstance(kind, Documents):
            documents = _documents(kind, state)
            if page := documents.get("", {}).pop("error_page", None):
                files.append((folder / "pages" / "error_page.json", _json({"name": "error_page", **page})))
            if texts := _texts(kind, documents):
                files.append((folder / kind.name / "custom-text.json", _json(texts)))
            for part, document in documents.items():
                files.append((folder / kind.parts[part][1], _json(document)))
            continue
        entries = _entries(kind, state)
        if kind.whole and entries:
            files.append((folder / kind.folder / f"{kind.folder}.json", _json(entries)))
            continue
        taken = set[str]()
        for entry in entries:
            if kind.text is not None:
                entry = _apart(kind, entry, folder / kind.folder, "", files)
            name = _free(_file_name(kind, entry, state), taken)
            inside = f"{name}/{kind.within}" if kind.within else f"{name}.json"
            files.append((folder / kind.folder / inside, _json(entry)))
    return _write(files)


def _entries(kind: Collection, state: State) -> list[Entry]:
    found = state.entries.get(kind.name, {})
    entries = [found[label].entry for label in sorted(found) if not found[label].is_system]
    return [_portable(kind, entry, state) for entry in entries]


def _portable(kind: Collection, entry: Entry, state: State) -> Entry:
    """The label first. The tenant's own Management API is named so that another tenant has it, too."""
    shown = {**{name: entry.get(name) for name in kind.label}, **dict(sorted(entry.items()))}
    if shown.get("audience") == state.management:
        shown["audience"] = f"{ISSUER_KEYWORD}api/v2/"
    return shown


def _documents(kind: Documents, state: State) -> dict[str, Entry]:
    found = state.documents.get(kind.name, {})
    shown = {part: dict(sorted(value.items())) for part, value in found.items() if value}
    if kind.name == "emailProvider" and shown:
        shown[""]["credentials"] = _placeholders(shown[""])
    return shown


def _placeholders(provider: Entry) -> Entry:
    """Keywords in the place of what is never shown, by the names that Auth0's tool gives them."""
    if provider["name"] == "smtp":
        known = provider.get("credentials") or {}
        return {**known, "smtp_user": "##SMTP_USER##", "smtp_pass": "##SMTP_PASS##"}
    return {"api_key": f"##{provider['name'].upper()}_API_KEY##"}


def _texts(kind: Documents, documents: dict[str, Entry]) -> dict[str, dict[str, Entry]]:
    """Taken out of the documents, by language and prompt."""
    found: dict[str, dict[str, Entry]] = {}
    for part in [part for part in documents if part not in kind.parts]:
        _, language, prompt = part.split("/")
        found.setdefault(language, {})[prompt] = documents.pop(part)
    return found


def _apart(kind: Collection, entry: Entry, folder: Path, below: str, files: list[tuple[Path, str]]) -> Entry:
    """The text member in a file of its own, and in its place the way to it."""
    assert kind.text is not None
    text = kind.text.of(entry) if kind.text.belongs_to(entry) else None
    if text is None:
        return entry
    name = f"{_file(kind.label_of(entry))}.html"
    files.append((folder / below / name, text))
    return kind.text.put(entry, f"./{name}" if kind.text.inside or not below else f"./{below}/{name}")


def _move_error_page(whole: dict[str, Any]) -> None:
    """Auth0's tool has it among the pages."""
    page = whole.get("tenant", {}).pop("error_page", None)
    if page:
        whole["pages"] = [{"name": "error_page", **page}]


def _file_name(kind: Collection, entry: Entry, state: State) -> str:
    if kind.name == "clientGrants":
        api = state.entries.get("resourceServers", {}).get(entry["audience"])
        name = api.entry.get("name") if api is not None else MANAGEMENT_API_NAME
        return _file(f"{entry['client_id']}-{name}")
    return _file(str(entry.get("name") or kind.label_of(entry)))


def _file(name: str) -> str:
    return _NOT_IN_NAMES.sub("-", name).rstrip(". ") or "unnamed"


def _free(name: str, taken: set[str]) -> str:
    """Two names may differ in what no file name can hold, or in letter case alone."""
    free = next(each for each in _numbered(name) if each.lower() not in taken)
    taken.add(free.lower())
    return free


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} {number}"
        number += 1


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _write(files: list[tuple[Path, str]]) -> int:
    for file, text in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return len(files)
