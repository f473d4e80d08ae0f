"""The pages a person sees, as values: one frozen dataclass per page, `render` and `page_headers` for all.

Nothing here reads a request or a database; handlers fill in a page and send what comes out. Pages work
without JavaScript. The two that hand an answer on by themselves (OAuth 2.0 Form Post Response Mode;
web_message) carry one constant script each, which the content security policy names by digest, as it does the
tenant's colours: there is no nonce, so a page is a function of its values alone.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import ClassVar, TypeAlias

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tenant_runtime.login.addresses import form_targets, image_of, image_source, link_of, origin_of
from tenant_runtime.login.branding import Branding, font_of, stylesheet
from tenant_runtime.login.client_card import NOBODY, ClientCard, host_of
from tenant_runtime.login.custom_texts import Speech
from tenant_runtime.login.static_files import STYLESHEET
from tenant_runtime.login.texts import ProblemKey, Texts

NOTHING = "'none'"
FORM_POST_SCRIPT = "HTMLFormElement.prototype.submit.call(document.forms[0])"
WEB_MESSAGE_SCRIPT = (
    "(function(){"
    'var message=JSON.parse(document.getElementById("message").textContent);'
    "var target=window.parent!==window?window.parent:window.opener;"
    "if(target)target.postMessage(message.data,message.origin)"
    "})()"
)

Problems: TypeAlias = Mapping[str, ProblemKey]
"""What is wrong, by the name of the field; the empty name stands for the form as a whole."""


@dataclass(frozen=True, slots=True)
class Page:
    """What every page shows."""

    template: ClassVar[str]
    script: ClassVar[str | None] = None
    referrer_policy: ClassVar[str] = "no-referrer"

    _: KW_ONLY
    branding: Branding = field(default_factory=Branding)
    speech: Speech = field(default_factory=Speech)
    client: ClientCard = NOBODY

    @property
    def screen(self) -> str:
        """Whose texts are shown (`screens`)."""
        return self.template.removesuffix(".html")

    @property
    def texts(self) -> Texts:
        known = {name: getattr(self, name, "") for name in ("client_name", "email", "organization_name")}
        return self.speech.of(
            self.screen,
            client=known["client_name"],
            email=known["email"],
            organization=known["organization_name"] or self.branding.organization_name,
            company=self.branding.display_name,
        )


@dataclass(frozen=True, slots=True)
class FormPage(Page):
    """A page that posts to this host: `state` and `form_token` come back as hidden fields of these names. `invited_to`:
    the organization whose invitation is answered by signing in.

    The referrer policy must not be `no-referrer` here: under it browsers send `Origin: null` with the form
    (Fetch, "append a request Origin header"), and the check of Origin could not tell our page from another's.
    """

    referrer_policy: ClassVar[str] = "same-origin"

    _: KW_ONLY
    action: str
    form_token: str
    state: str = ""
    client_name: str = ""
    invited_to: str = ""
    problems: Problems = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdentifierPage(FormPage):
    """Posts `email`, or `decision`: `cancel`."""

    template: ClassVar[str] = "identifier.html"

    _: KW_ONLY
    email: str = ""
    signup_url: str | None = None
    may_cancel: bool = False


@dataclass(frozen=True, slots=True)
class PasswordPage(FormPage):
    """Posts `password`, or `decision`: `cancel`. A `username` goes along for password managers and is not to be
    trusted."""

    template: ClassVar[str] = "password.html"

    _: KW_ONLY
    email: str
    switch_url: str
    reset_url: str | None = None
    may_cancel: bool = False


@dataclass(frozen=True, slots=True)
class SignupPage(FormPage):
    """Posts `email`, `password` and, if asked for, `name`."""

    template: ClassVar[str] = "signup.html"

    _: KW_ONLY
    email: str = ""
    name: str = ""
    asks_name: bool = False
    password_minimum: int = 8
    login_url: str | None = None
    email_is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class OrganizationChoice:
    """`is_current`: the one that the session is in at the organization API."""

    id: str
    name: str
    detail: str = ""
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class OrganizationPage(FormPage):
    """Posts `organization`, the id: every choice is a button. Or `decision`: `cancel`. `join_url`: where one asks to
    join `join_name`."""

    template: ClassVar[str] = "organization.html"

    _: KW_ONLY
    email: str
    organizations: tuple[OrganizationChoice, ...]
    switch_url: str | None = None
    join_url: str | None = None
    join_name: str = ""
    may_cancel: bool = False


@dataclass(frozen=True, slots=True)
class ScopeItem:
    """Standard scopes describe themselves; those of an API bring their description and the API's name."""

    value: str
    description: str | None = None
    api: str = ""


@dataclass(frozen=True, slots=True)
class ConsentPage(FormPage):
    """Posts `decision`: `allow` or `deny`. `asked` comes back with it, and says what the person saw."""

    template: ClassVar[str] = "consent.html"

    _: KW_ONLY
    email: str
    scopes: tuple[ScopeItem, ...]
    asked: str = ""
    organization_name: str = ""
    redirect_uri: str = ""
    switch_url: str | None = None

    @property
    def return_host(self) -> str:
        return host_of(self.redirect_uri)


@dataclass(frozen=True, slots=True)
class LogoutPage(FormPage):
    """Posts `decision`: `logout` or `stay`."""

    template: ClassVar[str] = "logout.html"

    _: KW_ONLY
    email: str = ""


@dataclass(frozen=True, slots=True)
class SignedOutPage(Page):
    template: ClassVar[str] = "signed_out.html"

    _: KW_ONLY
    login_url: str | None = None
    return_url: str | None = None
    client_name: str = ""


@dataclass(frozen=True, slots=True)
class MessagePage(Page):
    """Says one thing, and may offer one way on."""

    template: ClassVar[str] = "message.html"

    _: KW_ONLY
    heading: str
    text: str
    link_url: str | None = None
    link_label: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class ErrorPage(Page):
    """`code` is an OAuth error's name, for developers; `description` a sentence of ours."""

    template: ClassVar[str] = "error.html"

    _: KW_ONLY
    description: str
    support_id: str
    heading: str = ""
    code: str = ""
    retry_url: str | None = None


@dataclass(frozen=True, slots=True)
class FormPostPage(Page):
    """OAuth 2.0 Form Post Response Mode: an answer as a form that sends itself, with a button for no scripts.

    The client is shown `Origin: <issuer>`, by which it can tell whose answer it is; the path stays unsaid.
    """

    template: ClassVar[str] = "form_post.html"
    script: ClassVar[str | None] = FORM_POST_SCRIPT
    referrer_policy: ClassVar[str] = "strict-origin"

    _: KW_ONLY
    redirect_uri: str
    parameters: Mapping[str, str]
    client_name: str = ""

    def __post_init__(self) -> None:
        if origin_of(self.redirect_uri) is None:
            raise ValueError("A form can only be posted to an http or https address.")


@dataclass(frozen=True, slots=True)
class WebMessagePage(Page):
    """The answer as a message to the window that framed or opened this page, if it is of `target_origin`.

    `frame_origins` are the client's web origins: nobody else may frame the page.
    """

    template: ClassVar[str] = "web_message.html"
    script: ClassVar[str | None] = WEB_MESSAGE_SCRIPT

    _: KW_ONLY
    target_origin: str
    response: Mapping[str, str]
    frame_origins: tuple[str, ...]

    def __post_init__(self) -> None:
        for origin in (self.target_origin, *self.frame_origins):
            if origin_of(origin) != origin.lower():
                raise ValueError("A message goes to an exact origin, never to a pattern.")

    @property
    def message(self) -> Markup:
        data = {"type": "authorization_response", "response": dict(self.response)}
        return _embedded({"origin": self.target_origin.lower(), "data": data})


def _embedded(value: object) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(value)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  (ASCII only, and no markup is left in it)


def initials(name: str) -> str:
    """Two letters for a tile: of the first two words, or of an address's name."""
    words = [word for word in name.partition("@")[0].replace(".", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "·"


def render(page: Page) -> str:
    return _ENVIRONMENT.get_template(page.template).render(
        page=page,
        texts=page.texts,
        colours=Markup(stylesheet(page.branding)),  # noqa: S704  (hex colours of our own making, a checked address)
    )


def page_headers(page: Page, *, redirect_uri: str | None = None) -> dict[str, str]:
    """All headers that a page needs beside its content type.

    `redirect_uri` is where the answer to a page's form may end by way of redirects: the client's address.
    There is no Cross-Origin-Opener-Policy: it would cut off the application that opened a sign-in window.
    """
    headers = {
        "Content-Security-Policy": _content_security_policy(page, redirect_uri),
        "Referrer-Policy": page.referrer_policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return headers if isinstance(page, WebMessagePage) else headers | {"X-Frame-Options": "DENY"}


def _content_security_policy(page: Page, redirect_uri: str | None) -> str:
    branding, font = page.branding, font_of(page.branding.font_url)
    images = (branding.logo, branding.favicon_url, page.client.logo_url)
    logos = dict.fromkeys(map(image_source, images))
    directives = {
        "default-src": (),
        "style-src": ("'self'", _digest_source(stylesheet(branding))),
        "img-src": tuple(filter(None, logos)),
        "font-src": (origin_of(font) or NOTHING,) if font else (),
        "script-src": (_digest_source(page.script),) if page.script else (),
        "form-action": _form_action(page, redirect_uri),
        "frame-ancestors": page.frame_origins if isinstance(page, WebMessagePage) else (),
        "base-uri": (),
    }
    return "; ".join(f"{name} {' '.join(sources or (NOTHING,))}" for name, sources in directives.items())


def _form_action(page: Page, redirect_uri: str | None) -> tuple[str, ...]:
    if isinstance(page, FormPostPage):
        return form_targets(page.redirect_uri)
    if not isinstance(page, FormPage):
        return ()
    return ("'self'", *(form_targets(redirect_uri) if redirect_uri else ()))


def _digest_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        stylesheet_path=STYLESHEET.path, initials=initials, image_of=image_of, link_of=link_of
    )
    return environment


_ENVIRONMENT = _environment()
