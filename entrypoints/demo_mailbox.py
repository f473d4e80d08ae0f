"""The mailbox of the demo: every letter that was sent, to be read in a browser. Loopback only, and never in `serve`.

A letter is somebody else's HTML: it is shown in a frame that runs nothing and sends nothing, and its links open
elsewhere. No script here either: the list looks for new letters by itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTPUTF8
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import FromPath, FromQuery
from markupsafe import Markup, escape

from core.mail import TENANT_HEADER

AnyRequest = Request[Any, Any, Any]

MOST = 200
_NAME = re.compile(r"[0-9]{15}-[0-9a-f]{8}")
_LINK = re.compile(r"https?://[^\s<>\"']+")
_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?")
_ALWAYS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE = {
    **_ALWAYS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_LETTER = {
    **_ALWAYS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:;"
    " form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox",
}

TEMPLATE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{% if not letter %}<meta http-equiv="refresh" content="3">{% endif %}
<style>
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:2rem 1rem;color:#1b1f24;
background:#f6f7f9}
h1{font-size:1.5rem;margin:0 0 1rem;overflow-wrap:anywhere}
a{color:#3538cd}
nav{display:flex;flex-wrap:wrap;gap:.4rem;margin:0 0 1rem}
nav a{padding:.3rem .8rem;border-radius:999px;background:#e8eaf0;color:#1b1f24;text-decoration:none}
nav a[aria-current]{background:#3538cd;color:#fff}
ol,dl,article,p.empty{background:#fff;border:1px solid #e2e5e9;border-radius:12px;margin:0 0 1rem;padding:0}
ol{list-style:none;overflow:hidden}
li+li{border-top:1px solid #e2e5e9}
li a{display:grid;grid-template-columns:1fr auto;gap:0 1rem;padding:.8rem 1.1rem;color:inherit;text-decoration:none}
li a:hover,li a:focus-visible{background:#f0f1fb}
li b{overflow-wrap:anywhere}
li span{color:#5a6270;font-size:.9rem;overflow-wrap:anywhere}
li time{color:#5a6270;font-size:.9rem}
li time,li span.tenant{text-align:right}
p.empty{padding:2rem;text-align:center;color:#5a6270}
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem;padding:1rem 1.25rem}
dt{color:#5a6270}dd{margin:0;overflow-wrap:anywhere}
h2{font-size:1rem;margin:1.5rem 0 .5rem;color:#5a6270;font-weight:600}
pre{background:#fff;border:1px solid #e2e5e9;border-radius:12px;margin:0;padding:1rem 1.25rem;
white-space:pre-wrap;overflow-wrap:anywhere;font:.92rem/1.5 ui-monospace,monospace}
iframe{display:block;width:100%;height:30rem;border:1px solid #e2e5e9;border-radius:12px;background:#fff}
@media(max-width:40rem){body{padding-top:1rem}li a{grid-template-columns:1fr}li time,li span.tenant{text-align:left}
dl{padding:.8rem 1rem}}
</style></head><body>
{% if letter %}
<nav><a href="/mailbox{{ query }}">All mails</a></nav>
<main><h1>{{ letter.subject }}</h1>
<dl><dt>From</dt><dd>{{ letter.sender }}</dd><dt>To</dt><dd>{{ letter.to }}</dd>
<dt>Tenant</dt><dd>{{ letter.tenant }}</dd><dt>Sent</dt><dd>{{ letter.at }}</dd></dl>
{% if letter.html %}<iframe title="The mail" src="/mailbox/{{ letter.name }}/html"
 sandbox="allow-popups allow-popups-to-escape-sandbox" referrerpolicy="no-referrer"></iframe>{% endif %}
<h2>As text</h2><pre>{{ text }}</pre></main>
{% else %}
<main><h1>Mailbox</h1>
<nav aria-label="Tenants"><a href="/mailbox"{% if not chosen %} aria-current="page"{% endif %}>All tenants</a>
{% for tenant in tenants %}<a href="/mailbox?tenant={{ tenant | urlencode }}"
{% if tenant == chosen %} aria-current="page"{% endif %}>{{ tenant }}</a>{% endfor %}</nav>
{% if letters %}<ol>{% for letter in letters %}<li><a href="/mailbox/{{ letter.name }}{{ query }}">
<b>{{ letter.subject }}</b><time>{{ letter.at }}</time>
<span>to {{ letter.to }}</span><span class="tenant">{{ letter.tenant }}</span></a></li>{% endfor %}</ol>
{% else %}<p class="empty">No mail yet. What is sent appears here by itself.</p>{% endif %}</main>
{% endif %}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A letter in the folder. `name` is that of its file, without the ending."""

    name: str
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["subject"] or "(no subject)")

    @property
    def sender(self) -> str:
        return str(self.message["from"] or "")

    @property
    def to(self) -> str:
        return str(self.message["to"] or "")

    @property
    def tenant(self) -> str:
        return str(self.message[TENANT_HEADER] or "")

    @property
    def at(self) -> str:
        return datetime.fromtimestamp(int(self.name[:15]) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return "" if part is None else str(part.get_content())


class Mailbox:
    def __init__(self, folder: Path, tenants: Sequence[str]) -> None:
        self._folder = folder
        self._tenants = tenants

    def list_page(self, chosen: str | None) -> str:
        paths = sorted(self._folder.glob("*.eml"), reverse=True)
        letters = [letter for path in paths[:MOST] if (letter := self._read(path)) is not None]
        of_chosen = [letter for letter in letters if chosen in (None, letter.tenant)]
        tenants = list(dict.fromkeys([*self._tenants, *(letter.tenant for letter in letters)]))
        return _page().render(
            title="Mailbox", letters=of_chosen, tenants=tenants, chosen=chosen, query=_query(chosen)
        )

    def letter_page(self, name: str, chosen: str | None) -> str:
        letter = self.letter(name)
        return _page().render(
            title=letter.subject, letter=letter, text=_with_links(letter.text), query=_query(chosen)
        )

    def letter(self, name: str) -> Shown:
        found = self._read(self._folder / f"{name}.eml") if _NAME.fullmatch(name) else None
        if found is None:
            raise NotFoundException("There is no such mail.")
        return found

    def _read(self, path: Path) -> Shown | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        message = message_from_bytes(content, _class=EmailMessage, policy=SMTPUTF8)
        return Shown(path.stem, message) if _NAME.fullmatch(path.stem) else None


def handlers_of(mailbox: Mailbox) -> list[Any]:
    @get("/mailbox", media_type="text/html", sync_to_thread=True)
    def letters(request: AnyRequest, tenant: FromQuery[str | None] = None) -> Response[str]:
        _check_host(request)
        return Response(mailbox.list_page(tenant), media_type="text/html", headers=_PAGE)

    @get("/mailbox/{name:str}", media_type="text/html", sync_to_thread=True)
    def one(request: AnyRequest, name: FromPath[str], tenant: FromQuery[str | None] = None) -> Response[str]:
        _check_host(request)
        return Response(mailbox.letter_page(name, tenant), media_type="text/html", headers=_PAGE)

    @get("/mailbox/{name:str}/html", media_type="text/html", sync_to_thread=True)
    def html(request: AnyRequest, name: FromPath[str]) -> Response[str]:
        _check_host(request)
        content = f'<base target="_blank">{mailbox.letter(name).html}'
        return Response(content, media_type="text/html", headers=_LETTER)

    return [letters, one, html]


def _check_host(request: AnyRequest) -> None:
    """A page elsewhere, whose name is made to mean this machine, reads no mail."""
    if not _HOST.fullmatch(request.headers.get("host", "")):
        raise PermissionDeniedException("The mailbox is for this machine.")


def _query(chosen: str | None) -> str:
    return f"?tenant={chosen}" if chosen and re.fullmatch(r"[\w-]+", chosen) else ""


def _with_links(text: str) -> Markup:
    pieces, at = list[Markup](), 0
    for found in _LINK.finditer(text):
        link = Markup('<a href="{0}" target="_blank" rel="noreferrer noopener">{0}</a>')
        pieces += [escape(text[at : found.start()]), link.format(found[0])]
        at = found.end()
    return Markup("").join([*pieces, escape(text[at:])])


@cache
def _page() -> Template:
    return Environment(autoescape=True, trim_blocks=True).from_string(TEMPLATE)
