"""The pages as documents and as headers: what a stranger's values may do to them, and what a browser may do."""

import base64
import hashlib
import itertools
import json
from dataclasses import dataclass, fields, replace
from html.parser import HTMLParser

import pytest
from markupsafe import escape

from tenant_runtime.login import pages as pages_module
from tenant_runtime.login.branding import Branding
from tenant_runtime.login.pages import (
    ConsentPage,
    ErrorPage,
    FormPage,
    FormPostPage,
    IdentifierPage,
    LogoutPage,
    MessagePage,
    OrganizationChoice,
    OrganizationPage,
    Page,
    PasswordPage,
    ScopeItem,
    SignedOutPage,
    SignupPage,
    WebMessagePage,
    page_headers,
    render,
)
from tenant_runtime.login.static_files import STYLESHEET

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{0}%s</title></style>\r\n\u202ejs:\u2028&"


def pages(value: str = "Harmless", branding: Branding | None = None) -> list[Page]:
    """One of each, with `value` in every place that holds text."""
    look = branding or Branding(display_name=value)
    form = {"branding": look, "action": value, "form_token": value, "state": value, "client_name": value}
    origin = "https://app.example.com"
    return [
        IdentifierPage(**form, email=value, signup_url=value, problems={"email": "email_malformed"}),
        PasswordPage(**form, email=value, switch_url=value, reset_url=value, problems={"": "too_many"}),
        SignupPage(
            **form,
            email=value,
            name=value,
            asks_name=True,
            login_url=value,
            problems={"email": "email_malformed", "password": "password_short", "name": "name_long"},
        ),
        OrganizationPage(
            **form,
            email=value,
            organizations=(OrganizationChoice(value, value, value),),
            switch_url=value,
            problems={"": "organization_refused"},
        ),
        ConsentPage(
            **form,
            email=value,
            organization_name=value,
            redirect_uri=value,
            switch_url=value,
            scopes=(ScopeItem(value), ScopeItem("read:x", value, value)),
        ),
        LogoutPage(**form, email=value),
        SignedOutPage(branding=look, login_url=value, return_url=value, client_name=value),
        MessagePage(branding=look, heading=value, text=value, link_url=value, link_label=value, done=True),
        ErrorPage(
            branding=look, description=value, support_id=value, heading=value, code=value, retry_url=value
        ),
        FormPostPage(
            branding=look, redirect_uri=origin + "/cb", parameters={value: value}, client_name=value
        ),
        WebMessagePage(branding=look, target_origin=origin, frame_origins=(origin,), response={value: value}),
    ]


def named(page: Page) -> str:
    return type(page).__name__


every_page = pytest.mark.parametrize("page", pages(), ids=named)
every_hostile_page = pytest.mark.parametrize("page", pages(HOSTILE), ids=named)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

        self.is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = False

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            self.elements[-1].text += data


def elements(page: Page, *tags: str) -> list[Element]:
    reader = _Reader()
    reader.feed(render(page))
    return [each for each in reader.elements if not tags or each.tag in tags]


def policy(page: Page, redirect_uri: str | None = None) -> dict[str, list[str]]:
    text = page_headers(page, redirect_uri=redirect_uri)["Content-Security-Policy"]
    return {name: sources for name, *sources in (part.split() for part in text.split(";"))}


def digest_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# --- What a stranger's value cannot do -------------------------------------------------------------------------


def test_every_page_class_is_among_those_tested() -> None:
    classes = {
        kind for kind in vars(pages_module).values() if isinstance(kind, type) and issubclass(kind, Page)
    }
    assert classes - {Page, FormPage} == {type(page) for page in pages()}


@every_hostile_page
def test_a_hostile_value_adds_no_element_and_no_attribute(page: Page) -> None:
    (harmless,) = (each for each in pages("mailto:x") if type(each) is type(page))
    mine = [(each.tag, sorted(each.attributes)) for each in elements(page)]
    assert mine == [(each.tag, sorted(each.attributes)) for each in elements(harmless)]


@every_hostile_page
def test_a_hostile_value_is_shown_as_the_text_it_is(page: Page) -> None:
    text = render(page)
    assert "<script>alert" not in text
    assert isinstance(page, WebMessagePage) or str(escape(HOSTILE)) in text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "//evil.example/",
        "/\\evil.example",
        "https://user@evil.example/",
        "https:/evil",
        "https://evil.example:port/",
        HOSTILE,
    ],
)
def test_an_address_that_is_not_plainly_a_link_is_left_out(url: str) -> None:
    for page in pages(url):
        assert not elements(page, "a"), page


@every_hostile_page
def test_no_hostile_value_reaches_a_header(page: Page) -> None:
    headers = page_headers(page, redirect_uri="https://a.example; script-src *\r\nX: y")
    assert all("\n" not in value and "\r" not in value for value in headers.values())
    assert "*" not in headers["Content-Security-Policy"]
    assert "a.example" not in headers["Content-Security-Policy"]


def test_a_name_written_backwards_cannot_reorder_the_sentence_around_it() -> None:
    page = IdentifierPage(action="/", form_token="t", client_name="\u202eknab")
    assert "<bdi>\u202eknab</bdi>" in render(page)


# --- What a browser is allowed ---------------------------------------------------------------------------------


@every_page
def test_the_policy_allows_nothing_that_it_does_not_name(page: Page) -> None:
    rules = policy(page)
    assert rules["default-src"] == rules["base-uri"] == ["'none'"]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(itertools.chain(*rules.values()))


@every_page
def test_what_stands_inline_is_named_by_its_digest(page: Page) -> None:
    rules = policy(page)
    for each in elements(page, "style"):
        assert digest_source(each.text) in rules["style-src"]
    for each in elements(page, "script"):
        if each.attributes.get("type") != "application/json":
            assert rules["script-src"] == [digest_source(each.text)]


@every_page
def test_there_are_no_handlers_and_no_styles_in_attributes(page: Page) -> None:
    names = {name for each in elements(page) for name in each.attributes}
    assert not {name for name in names if name.startswith("on") or name == "style"}


@every_page
def test_only_the_pages_that_answer_by_themselves_carry_a_script(page: Page) -> None:
    assert bool(elements(page, "script")) == isinstance(page, FormPostPage | WebMessagePage)


@every_page
def test_nothing_is_fetched_from_another_host(page: Page) -> None:
    for each in elements(page, "link", "img", "script", "iframe", "use"):
        source = each.attributes.get("href") or each.attributes.get("src")
        assert source is None or source.startswith("/u/static/")
    assert "url(" not in STYLESHEET.body.decode()
    assert "@import" not in STYLESHEET.body.decode()


@every_page
def test_a_page_is_neither_stored_nor_sniffed_nor_named_to_others(page: Page) -> None:
    headers = page_headers(page)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    own = {FormPostPage: "strict-origin"}.get(type(page), "no-referrer")
    assert headers["Referrer-Policy"] == ("same-origin" if isinstance(page, FormPage) else own)


@every_page
def test_only_the_message_page_may_be_framed_and_only_by_the_client(page: Page) -> None:
    framed = isinstance(page, WebMessagePage)
    assert policy(page)["frame-ancestors"] == (["https://app.example.com"] if framed else ["'none'"])
    assert page_headers(page).get("X-Frame-Options") == (None if framed else "DENY")


@pytest.mark.parametrize(
    ("redirect_uri", "sources"),
    [
        ("https://app.example.com/cb", ["'self'", "https:"]),
        ("http://127.0.0.1:9871/callback", ["'self'", "http:", "https:"]),
        ("http://[::1]:9871/callback", ["'self'", "http:", "https:"]),
        ("com.example.app:/cb", ["'self'", "com.example.app:"]),
        ("javascript:alert(1)", ["'self'"]),
        (None, ["'self'"]),
    ],
)
def test_the_answer_to_a_form_may_lead_on_to_the_client(redirect_uri: str | None, sources: list[str]) -> None:
    assert policy(pages()[0], redirect_uri)["form-action"] == sources


# --- What a person gets ----------------------------------------------------------------------------------------


@every_page
def test_a_page_with_its_stylesheet_is_small(page: Page) -> None:
    assert len(render(page).encode()) + len(STYLESHEET.body) < 15_000


@every_page
def test_every_input_has_a_label(page: Page) -> None:
    labelled = {each.attributes["for"] for each in elements(page, "label")}
    for each in elements(page, "input"):
        unseen = each.attributes.get("type") == "hidden" or "hidden" in each.attributes
        assert unseen or each.attributes["id"] in labelled


@every_page
def test_what_an_input_is_described_by_is_there(page: Page) -> None:
    ids = [each.attributes["id"] for each in elements(page) if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for each in elements(page, "input"):
        assert set(each.attributes.get("aria-describedby", "").split()) <= set(ids)


@every_page
def test_a_page_names_its_language_and_has_one_heading(page: Page) -> None:
    (html,) = elements(page, "html")
    assert html.attributes["lang"] == "en"
    assert len(elements(page, "h1")) == (0 if isinstance(page, WebMessagePage) else 1)


@every_page
def test_every_form_posts_and_carries_its_token(page: Page) -> None:
    if not isinstance(page, FormPage):
        return
    (form,) = elements(page, "form")
    values = {each.attributes.get("name"): each.attributes.get("value") for each in elements(page, "input")}
    assert form.attributes["method"] == "post"
    assert values["form_token"] == values["state"] == "Harmless"
    assert elements(page, "button")


def test_a_problem_is_tied_to_its_field_and_announced() -> None:
    page = next(each for each in pages() if isinstance(each, SignupPage))
    email = next(each for each in elements(page, "input") if each.attributes.get("id") == "email")
    assert email.attributes["aria-invalid"] == "true"
    assert email.attributes["aria-describedby"] == "email-problem"
    assert 'role="alert"' in render(replace(page, problems={"": "form_stale"}))
    assert "Use at least 8 characters." in render(page)


@pytest.mark.parametrize(
    ("kind", "name", "autocomplete"),
    [
        (IdentifierPage, "email", "username"),
        (PasswordPage, "username", "username"),
        (PasswordPage, "password", "current-password"),
        (SignupPage, "email", "username"),
        (SignupPage, "password", "new-password"),
    ],
)
def test_password_managers_are_told_what_each_field_is(
    kind: type[Page], name: str, autocomplete: str
) -> None:
    page = next(each for each in pages() if type(each) is kind)
    (field,) = (each for each in elements(page, "input") if each.attributes.get("name") == name)
    assert field.attributes["autocomplete"] == autocomplete


def test_a_password_is_never_written_into_a_page() -> None:
    assert not {each.name for kind in (PasswordPage, SignupPage) for each in fields(kind)} & {"password"}


def test_consent_says_who_asks_for_what_and_where_one_returns() -> None:
    page = ConsentPage(
        action="/u/consent",
        form_token="t",
        client_name="Billing",
        email="ada@example.com",
        organization_name="Northwind",
        redirect_uri="https://billing.example.com/cb",
        scopes=(ScopeItem("email"), ScopeItem("read:x", "Read the x", "X API"), ScopeItem("write:x")),
    )
    text = render(page)
    for words in ("Billing", "Northwind", "See your email address", "Read the x", "X API", "write:x"):
        assert words in text
    assert "<bdi>billing.example.com</bdi>" in text


# --- Answers to the client -------------------------------------------------------------------------------------


def test_the_form_post_page_sends_exactly_the_parameters_to_the_client_and_has_a_button() -> None:
    page = FormPostPage(
        redirect_uri="https://app.example.com/cb?a=1", parameters={"code": "c", "state": "<s>"}
    )
    (form,) = elements(page, "form")
    assert form.attributes["action"] == "https://app.example.com/cb?a=1"
    sent = {each.attributes["name"]: each.attributes["value"] for each in elements(page, "input")}
    assert sent == {"code": "c", "state": "<s>"}
    assert len(elements(page, "button")) == 1
    assert policy(page)["form-action"] == ["https:"]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "com.example.app:/cb", "/cb", "https://u@h/"])
def test_a_form_is_posted_to_a_web_address_or_not_at_all(address: str) -> None:
    with pytest.raises(ValueError, match="http or https"):
        FormPostPage(redirect_uri=address, parameters={})


def test_the_message_holds_the_answer_whole_and_its_exact_target() -> None:
    response = {"code": "c", "state": "</script><!--<script>\u2028&'\""}
    origin = "http://app.acme.localhost:9872"
    page = WebMessagePage(target_origin=origin, frame_origins=(origin,), response=response)
    data, script = elements(page, "script")
    assert "<" not in data.text
    assert json.loads(data.text) == {
        "origin": origin,
        "data": {"type": "authorization_response", "response": response},
    }
    assert "postMessage(message.data,message.origin)" in script.text


@pytest.mark.parametrize(
    "origin", ["*", "", "null", "https://*.example.com", "https://app.example.com/", "a b"]
)
def test_a_message_goes_to_an_exact_origin_or_not_at_all(origin: str) -> None:
    good = "https://app.example.com"
    with pytest.raises(ValueError, match="exact origin"):
        WebMessagePage(target_origin=origin, frame_origins=(good,), response={})
    with pytest.raises(ValueError, match="exact origin"):
        WebMessagePage(target_origin=good, frame_origins=(good, origin), response={})


# --- A tenant's logo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logo", "source"),
    [
        ("https://cdn.example.com/logo.svg?v=1", "https://cdn.example.com"),
        ("https://CDN.example.com:8443/logo.svg", "https://cdn.example.com:8443"),
        ("/logo.svg", "'self'"),
        ("http://127.0.0.1:9000/logo.svg", "http://127.0.0.1:9000"),
        ("http://acme.localhost:8000/logo.svg", "http://acme.localhost:8000"),
    ],
)
def test_a_logo_is_the_only_image_and_only_its_origin_is_allowed(logo: str, source: str) -> None:
    page = IdentifierPage(action="/", form_token="t", branding=Branding(display_name="A&B", logo_url=logo))
    (image,) = elements(page, "img")
    assert (image.attributes["src"], image.attributes["alt"]) == (logo, "A&B")
    assert policy(page)["img-src"] == [source]


@pytest.mark.parametrize(
    "logo",
    [
        "http://cdn.example.com/logo.svg",
        "http://127.0.0.1.evil.example/logo.svg",
        "http://localhost.evil.example/logo.svg",
        "//cdn.example.com/logo.svg",
        "data:image/svg+xml,<svg/>",
        "javascript:alert(1)",
        "https://cdn.example.com;script-src */x",
        "https://*/x.svg",
        "https://cdn.example.com, https://x/logo.svg",
        "https://u:p@cdn.example.com/logo.svg",
        "https://[::1/logo.svg",
        HOSTILE,
    ],
)
def test_a_logo_from_an_address_in_doubt_is_not_shown(logo: str) -> None:
    page = IdentifierPage(action="/", form_token="t", branding=Branding(display_name="Acme", logo_url=logo))
    assert not elements(page, "img")
    assert policy(page)["img-src"] == ["'none'"]


def test_a_tenant_without_any_look_still_has_a_page() -> None:
    assert "<h1>Something went wrong</h1>" in render(ErrorPage(description="No.", support_id="req_1"))
