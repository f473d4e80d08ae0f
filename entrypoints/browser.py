"""A browser small enough to read: follows redirects inside one site, keeps cookies, fills in forms.

The walk signs in with it, and so do the tests: the login pages work without JavaScript, so nothing more is
needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 10


@dataclass(slots=True)
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        elif self._open is not None and tag in ("input", "button") and values.get("name"):
            self._field(tag, values)

    def _field(self, tag: str, values: dict[str, str]) -> None:
        assert self._open is not None
        kind = values.get("type", "submit" if tag == "button" else "text")
        if kind == "submit":
            self._open.buttons.append((values["name"], values.get("value", "")))
        elif kind not in ("checkbox", "radio") or "checked" in values:
            self._open.fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def forms_of(html: str) -> list[Form]:
    parser = _Forms()
    parser.feed(html)
    return parser.forms


class Browser:
    """Cookies and the page one is on. Stops at the first address that starts with one of `stops`."""

    def __init__(self, client: httpx.AsyncClient, *, stops: tuple[str, ...]) -> None:
        self._client = client
        self._stops = stops
        self.response: httpx.Response | None = None
        self.landed: str | None = None

    async def open(self, url: str, **parameters: str) -> httpx.Response:
        return await self._follow(await self._client.get(url, params=parameters or None))

    async def submit(
        self, values: Mapping[str, str] | None = None, *, form: int = 0, button: tuple[str, str] | None = None
    ) -> httpx.Response:
        """Send one of the page's forms with some fields filled in, as the person would."""
        page = self._page()
        chosen = forms_of(page.text)[form]
        data = {**chosen.fields, **(values or {})}
        if button is not None:
            data[button[0]] = button[1]
        target = urljoin(str(page.url), chosen.action)
        headers = {"Origin": origin_of(str(page.url))}
        if chosen.method == "get":
            return await self._follow(await self._client.get(target, params=data))
        return await self._follow(await self._client.post(target, data=data, headers=headers))

    def forms(self) -> list[Form]:
        return forms_of(self._page().text)

    def parameters(self) -> dict[str, str]:
        """The parameters of the address one landed on: query, or fragment where there is no query."""
        assert self.landed is not None, "the browser has not left the site"
        parts = urlsplit(self.landed)
        return dict(parse_qsl(parts.query or parts.fragment))

    def _page(self) -> httpx.Response:
        assert self.response is not None, "no page was opened"
        return self.response

    async def _follow(self, response: httpx.Response) -> httpx.Response:
        self.landed = None
        for _ in range(MOST_REDIRECTS):
            if response.status_code not in REDIRECTS:
                break
            target = urljoin(str(response.url), response.headers["location"])
            if target.startswith(self._stops):
                self.landed = target
                break
            response = await self._client.get(target)
        self.response = response
        return response


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
