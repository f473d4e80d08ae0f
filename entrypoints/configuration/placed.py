"""YAML and JSON as plain values, and the line of each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from entrypoints.configuration.failures import Failed

Steps = tuple[str | int, ...]
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Dates stay the text that they are."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was said: a file, and within its values a way to this one."""

    file: Path
    lines: dict[Steps, int] = field(repr=False, default_factory=dict)
    steps: Steps = ()

    def at(self, *steps: str | int) -> "Place":
        return Place(self.file, self.lines, (*self.steps, *steps))

    def __str__(self) -> str:
        """`tenant.yaml:12`; of what has no line of its own, that of what holds it."""
        for length in range(len(self.steps), -1, -1):
            line = self.lines.get(self.steps[:length])
            if line is not None:
                return f"{self.file}:{line}"
        return str(self.file)


def parsed(text: str, file: Path) -> tuple[Any, Place]:
    """JSON is read as the YAML that it is, so both have lines."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, Place(file)
        lines = dict(_lines(node, (), file))
        return loader.construct_document(node), Place(file, lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Failed(f"{file}:{line}: {error.problem or 'is no YAML'}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Failed(f"{file}: is no YAML: {error}") from error
    finally:
        loader.dispose()


def _lines(node: yaml.Node, steps: Steps, file: Path) -> Iterator[tuple[Steps, int]]:
    yield steps, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*steps, index), file)
    if isinstance(node, yaml.MappingNode):
        seen = set[str]()
        for key, value in node.value:
            if key.value in seen:
                raise Failed(f"{file}:{key.start_mark.line + 1}: `{key.value}` is said twice.")
            seen.add(key.value)
            yield from _lines(value, (*steps, key.value), file)
            yield (*steps, key.value), key.start_mark.line + 1
