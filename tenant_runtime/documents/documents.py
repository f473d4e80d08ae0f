"""Documents and their layers: defaults <- inherited from the control plane <- the tenant's own, member by member.

A member is taken whole from the uppermost layer that has it. What a layer says that does not fit its type counts as
not said: code of one release serves rows of the next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

Source = Literal["default", "control_plane", "tenant"]
SEPARATOR = ":"


@dataclass(frozen=True, slots=True)
class Document(Generic[T]):
    """`key` is that of its row in `settings`; what stands before the first colon is what an installation names in
    `KEYSTEAD_INHERITED_KEYS`. `type` is a frozen struct whose members all have defaults, the wire's names. `secrets`
    are members (or `member.member`) that are stored sealed and never shown."""

    key: str
    type: type[T]
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Family(Generic[T]):
    """Documents of one type with a name each: a mail template, a language's texts."""

    prefix: str
    type: type[T]
    secrets: frozenset[str] = frozenset()

    def of(self, *names: str) -> Document[T]:
        return Document(SEPARATOR.join((self.prefix, *names)), self.type, self.secrets)


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of a tenant, as they stood at one `config_version`. Part of the snapshot."""

    inherited: Mapping[str, Mapping[str, Any]] = field(repr=False)
    own: Mapping[str, Mapping[str, Any]] = field(repr=False)
    _known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def value(self, document: Document[T]) -> T:
        """What the tenant acts by."""
        known = self._known.get(document.key)
        if known is None:
            known = self._known[document.key] = self._made(document)
        return cast(T, known)

    def is_said(self, document: Document[Any]) -> bool:
        """Whether anybody said anything: the tenant, or the control plane for it."""
        return document.key in self.own or document.key in self.inherited

    def names(self, family: Family[Any]) -> list[str]:
        """Of the documents of a family about which something is said."""
        start = family.prefix + SEPARATOR
        keys = self.own.keys() | self.inherited.keys()
        return sorted(key.removeprefix(start) for key in keys if key.startswith(start))

    def source(self, document: Document[Any], member: str) -> Source:
        """Whose word a member is."""
        if member in self.own.get(document.key, {}):
            return "tenant"
        return "control_plane" if member in self.inherited.get(document.key, {}) else "default"

    def provenance(self, document: Document[Any]) -> dict[str, Source]:
        return {name: self.source(document, name) for name in document.type.__struct_encode_fields__}

    def _made(self, document: Document[T]) -> T:
        values: dict[str, Any] = {}
        for layer in (self.inherited, self.own):
            values |= fitting(document, layer.get(document.key, {}))
        return msgspec.convert(values, document.type)


def fitting(document: Document[Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_fitting(document, layer))


def _fitting(document: Document[Any], layer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in layer.items():
        if name not in document.type.__struct_encode_fields__:
            continue
        try:
            msgspec.convert({name: value}, document.type)
        except msgspec.ValidationError:
            continue
        yield name, value


def is_document(key: str, value: Any) -> bool:
    """Whether a row of `settings` is one of these, and not one of the tenant's settings proper."""
    return SEPARATOR in key and isinstance(value, Mapping)
