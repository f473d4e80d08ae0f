"""The text of a letter that somebody wrote in HTML, for readers and filters that want one.

In one walk: whatever has no end ends the text, and is looked for once.
"""

import re
from collections.abc import Iterator
from html import unescape

_BLOCKS = frozenset(
    [
        "address",
        "blockquote",
        "br",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "section",
        "table",
        "tr",
        "ul",
    ]
)
_UNSEEN = frozenset({"head", "script", "style", "title"})
_RAW = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style")}
_TAG = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]*)")
_HREF = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_BLANK_LINES = re.compile(r"\n[ \n]*\n")


def plain_text(html: str) -> str:
    reader = _Reader()
    for piece in _pieces(html):
        reader.read(piece)
    return _BLANK_LINES.sub("\n\n", "".join(reader.pieces)).strip() + "\n"


def _pieces(html: str) -> Iterator[str]:
    """Tags, and the text between them. What stands in a script or a style is neither."""
    at = 0
    while at < len(html):
        begin = html.find("<", at)
        if begin != at:
            yield html[at:begin] if begin >= 0 else html[at:]
        if begin < 0:
            return
        if html[begin + 1 : begin + 2] not in ("!", "?", "/") and not _TAG.match(html, begin):
            yield "<"
            at = begin + 1
            continue
        end = "-->" if html.startswith("<!--", begin) else ">"
        found = html.find(end, begin + 1)
        if found < 0:
            return
        at = found + len(end)
        yield html[begin:at]
        tag = _TAG.match(html, begin)
        if tag is not None and (raw := _RAW.get(tag[1].lower())) is not None:
            closing = raw.search(html, at)
            if closing is None:
                return
            at = closing.start()


class _Reader:
    """Words with their line ends; a link is followed by its address."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._unseen = 0
        self._links: list[str] = []

    def read(self, piece: str) -> None:
        tag = _TAG.match(piece)
        if tag is not None:
            self._tag(tag[1].lower(), piece)
        elif not self._unseen and (piece == "<" or not piece.startswith("<")):
            self.pieces.append(_SPACE.sub(" ", unescape(piece)))

    def _tag(self, name: str, piece: str) -> None:
        plain = name.removeprefix("/")
        if plain in _UNSEEN:
            self._unseen = max(0, self._unseen + (-1 if name != plain else 1))
        elif plain in _BLOCKS:
            self.pieces.append("\n")
        elif name == "a":
            found = _HREF.search(piece)
            self._links.append(unescape(found[1] or found[2] or found[3] or "") if found is not None else "")
        elif name == "/a" and self._links and (address := self._links.pop()):
            self.pieces.append(f":\n{address}\n")
