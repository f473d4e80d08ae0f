"""What is served as it is, held in memory: the stylesheet of the pages, and the modules that applications load.

The stylesheet's name changes with its content, so an answer may be kept for ever. Those of modules stand in other
people's pages and stay.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

STATIC_PATH = "/u/static/"
_FOLDER = Path(__file__).parent.parent / "static"
_CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    name: str
    content_type: str
    etag: str
    body: bytes

    @property
    def path(self) -> str:
        return STATIC_PATH + self.name

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": self.content_type,
            "Cache-Control": "public, max-age=31536000, immutable",
            "ETag": self.etag,
            "X-Content-Type-Options": "nosniff",
        }


def _load(path: Path) -> StaticFile:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:16]
    return StaticFile(f"{path.stem}.{digest}{path.suffix}", _CONTENT_TYPES[path.suffix], f'"{digest}"', body)


STYLESHEET = _load(_FOLDER / "pages.css")
STATIC: Mapping[str, StaticFile] = MappingProxyType({STYLESHEET.name: STYLESHEET})
MODULES: Mapping[str, StaticFile] = MappingProxyType(
    {path.name: _load(path) for path in sorted(_FOLDER.glob("*.js"))}
)
