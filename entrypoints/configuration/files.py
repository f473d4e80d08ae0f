"""Files into entries, each with its place. Both of the deploy tool's forms are read: one file, or a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entrypoints.configuration import keywords
from entrypoints.configuration.failures import Failed, Refused
from entrypoints.configuration.kinds import BY_NAME, KINDS, Collection, Documents, Entry, Text
from entrypoints.configuration.placed import Place, parsed

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Said:
    """An entry, or a document, as a file has it."""

    entry: Entry
    place: Place


@dataclass(slots=True)
class Files:
    """What a kind is not in, nothing is said of."""

    entries: dict[str, list[Said]] = field(default_factory=dict)
    documents: dict[str, dict[str, Said]] = field(default_factory=dict)
    languages: set[str] = field(default_factory=set)
    """That texts of pages are in."""


def read(source: Path, environ: Mapping[str, str], skipped: frozenset[str]) -> Files:
    reader: _Folder | _Whole
    if not source.exists():
        raise Failed(f"{source}: there is no such file or folder")
    if source.is_dir():
        reader = _Folder(source, environ)
    elif source.suffix in SUFFIXES:
        reader = _Whole(source, environ)
    else:
        raise Failed(f"{source}: is neither a folder nor a .yaml file")
    files = reader.read(skipped)
    if not files.entries and not files.documents:
        raise Failed(f"{source}: says nothing that is kept here")
    return files


class _Reader:
    def __init__(self, source: Path, environ: Mapping[str, str]) -> None:
        self._source = source
        self._environ = environ

    def _load(self, file: Path) -> tuple[Any, Place]:
        value, place = parsed(keywords.quoted(self._text(file)), file)
        return keywords.replaced(value, self._environ), place

    def _text(self, file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"{file}: cannot be read: {error}") from error

    def _beside(self, said: Said, kept: Text, folder: Path) -> Said:
        """The text that stands in a file of its own. It may not lie outside of what was given to be read."""
        named = kept.of(said.entry) if kept.belongs_to(said.entry) else None
        if not isinstance(named, str) or not named.startswith("./"):
            return said
        member = kept.member
        file = (folder / named).resolve()
        root = (self._source if self._source.is_dir() else self._source.parent).resolve()
        if not file.is_relative_to(root):
            raise Refused(
                [f"{said.place.at(*member.split('.'))}: `{member}` names a file outside of {root}."]
            )
        text = keywords.replaced(self._text(file), self._environ)
        return Said(kept.put(said.entry, text), said.place)


class _Whole(_Reader):
    """The form with one file."""

    def read(self, skipped: frozenset[str]) -> Files:
        whole, place = self._load(self._source)
        if not isinstance(whole, dict):
            raise Failed(f"{place}: must be an object with a member for each kind")
        files, faults = Files(), list[str]()
        pages = whole.pop("pages", None) or []
        for name, value in whole.items():
            if name in skipped or (name not in BY_NAME and _says_nothing(value)):
                continue
            if name not in BY_NAME:
                faults.append(
                    f"{place.at(name)}: `{name}` is not kept here (leave it out with --skip {name})."
                )
                continue
            faults += self._take(name, value, place.at(name), files)
        faults += _take_pages(pages, place.at("pages"), files, skipped)
        if faults:
            raise Refused(faults)
        return files

    def _take(self, name: str, value: Any, place: Place, files: Files) -> Iterator[str]:
        kind = BY_NAME[name]
        if isinstance(kind, Documents):
            yield from _take_documents(kind, value, place, files)
        elif not isinstance(value, list):
            yield f"{place}: `{name}` must be a list."
        else:
            files.entries[name] = []
            for index, entry in enumerate(value):
                if not isinstance(entry, dict):
                    yield f"{place.at(index)}: each of `{name}` must be an object."
                    continue
                said = Said(entry, place.at(index))
                if kind.text is not None:
                    folder = self._source.parent
                    inside = folder / kind.text.beside_yaml if kind.text.inside else folder
                    said = self._beside(said, kind.text, inside)
                files.entries[name].append(said)


class _Folder(_Reader):
    """The form with a file for each entry."""

    def read(self, skipped: frozenset[str]) -> Files:
        files = Files()
        for kind in KINDS:
            if kind.name in skipped:
                continue
            if isinstance(kind, Documents):
                self._take_documents(kind, files)
            elif (self._source / kind.folder).is_dir():
                self._take(kind, self._source / kind.folder, files)
        faults = [
            fault for file in _json(self._source / "pages") for fault in self._page(file, files, skipped)
        ]
        if faults:
            raise Refused(faults)
        return files

    def _page(self, file: Path, files: Files, skipped: frozenset[str]) -> Iterator[str]:
        value, place = self._load(file)
        return _take_pages([_object(value, place)], place, files, skipped)

    def _take_documents(self, kind: Documents, files: Files) -> None:
        for part, (_, name) in kind.parts.items():
            file = self._source / name
            if file.is_file():
                value, place = self._load(file)
                files.documents.setdefault(kind.name, {})[part] = Said(_object(value, place), place)
        texts = self._source / kind.name / "custom-text.json"
        if kind.texts and texts.is_file():
            value, place = self._load(texts)
            for language, prompts in _object(value, place).items():
                for prompt, said in prompts.items() if isinstance(prompts, dict) else ():
                    if not _says_nothing(said):
                        where = place.at(language, prompt)
                        files.documents.setdefault(kind.name, {})[kind.text(language, prompt)] = Said(
                            said, where
                        )

    def _take(self, kind: Collection, folder: Path, files: Files) -> None:
        if kind.whole:
            found = [
                (value, place.at(index)) for file in _json(folder) for index, value, place in self._each(file)
            ]
        elif kind.within:
            found = [self._load(file) for file in sorted(folder.glob(f"*/{kind.within}"))]
        else:
            found = [self._load(file) for file in _json(folder)]
        others = {
            Path(name).name
            for each in KINDS
            if isinstance(each, Documents)
            for _, name in each.parts.values()
        }
        entries = [
            Said(_object(value, place), place) for value, place in found if place.file.name not in others
        ]
        if not entries and kind.label == ("template",):
            return
        if kind.text is not None:
            entries = [self._beside(said, kind.text, folder) for said in entries]
        files.entries[kind.name] = entries

    def _each(self, file: Path) -> Iterator[tuple[int, Any, Place]]:
        value, place = self._load(file)
        if not isinstance(value, list):
            raise Refused([f"{place}: must be a list."])
        for index, item in enumerate(value):
            yield index, item, place


def _json(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _object(value: Any, place: Place) -> Entry:
    if not isinstance(value, dict):
        raise Refused([f"{place}: must be an object."])
    return value


def _take_documents(kind: Documents, value: Any, place: Place, files: Files) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: `{kind.name}` must be an object."
    elif kind.texts:
        yield from _take_texts(kind, value, place, files)
    elif "" in kind.parts:
        if not _says_nothing(value):
            files.documents[kind.name] = {"": Said(value, place)}
    else:
        for part, document in value.items():
            if part not in kind.parts and not _says_nothing(document):
                yield f"{place.at(part)}: `{kind.name}.{part}` is not kept here."
            elif part in kind.parts and isinstance(document, dict):
                files.documents.setdefault(kind.name, {})[part] = Said(document, place.at(part))


def _take_texts(kind: Documents, value: Entry, place: Place, files: Files) -> Iterator[str]:
    """Beside the settings stand the texts, and what is no text is a program or a template of Auth0's pages."""
    documents = files.documents.setdefault(kind.name, {})
    settings = {name: item for name, item in value.items() if name not in (kind.texts, *_TEMPLATES)}
    if settings:
        documents[""] = Said(settings, place)
    for name in _TEMPLATES:
        if not _says_nothing(value.get(name)):
            yield f"{place.at(name)}: `{kind.name}.{name}` is not kept here."
    for language, prompts in (value.get(kind.texts) or {}).items():
        for prompt, texts in prompts.items() if isinstance(prompts, dict) else ():
            if not _says_nothing(texts):
                files.languages.add(language)
                documents[kind.text(language, prompt)] = Said(texts, place.at(kind.texts, language, prompt))


_TEMPLATES = ("partials", "screenRenderers")


def _take_pages(pages: Any, place: Place, files: Files, skipped: frozenset[str]) -> Iterator[str]:
    """The error page is one of the tenant's settings; other pages of Auth0's are programs, and none of ours."""
    for index, page in enumerate(pages if isinstance(pages, list) else []):
        settings = {name: value for name, value in page.items() if name != "name" and value != ""}
        if not settings or "pages" in skipped:
            continue
        if page.get("name") != "error_page" or "html" in settings:
            yield f"{place.at(index)}: the page `{page.get('name')}` is not kept here (leave it out with --skip pages)."
            continue
        tenant = files.documents.setdefault("tenant", {}).get("")
        entry, where = (tenant.entry, tenant.place) if tenant else ({}, place.at(index))
        files.documents["tenant"][""] = Said({**entry, "error_page": settings}, where)


def _says_nothing(value: Any) -> bool:
    match value:
        case dict():
            return all(map(_says_nothing, value.values()))
        case list():
            return not value
    return value is None or value == ""
