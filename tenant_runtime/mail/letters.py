"""From what is to be said to a letter: the same sentences as text and as HTML, which needs no picture and no script."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2 import Template as Page

from core.mail import Letter, clean
from tenant_runtime.login.branding import DEFAULT_PRIMARY, Branding
from tenant_runtime.login.contrast import Colour, text_on
from tenant_runtime.mail.texts import LetterTexts, Part, Template

LONGEST_VALUE = 254  # an address


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a letter says. `code` stands by itself; `link` is an address of ours, or an application's; `phrases` are
    values by their keys in `texts`. `variables` are more of them for a tenant's own template."""

    template: Template
    values: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    link: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sentences:
    heading: str
    lead: str
    action: str
    after: tuple[str, ...]


def letter(to: str, contents: Contents, branding: Branding, texts: LetterTexts) -> Letter:
    brand = clean(branding.display_name) or texts.fallback_brand
    said = {name: clean(value, LONGEST_VALUE) for name, value in contents.values.items()} | {"brand": brand}
    said |= {name: texts.phrases[key] for name, key in contents.phrases.items()}
    parts: dict[Part, str] = {
        name: text.format(**said) for name, text in texts.letters[contents.template].items()
    }
    sentences = Sentences(
        heading=parts["heading"],
        lead=parts["lead"],
        action=parts.get("action", ""),
        after=tuple(parts[name] for name in ("limits", "otherwise") if name in parts),
    )
    return Letter(
        to=to,
        subject=parts["subject"],
        text=_text(sentences, contents),
        html=_html(sentences, contents, branding, texts.language),
        sender_name=clean(branding.display_name),
    )


def _text(said: Sentences, contents: Contents) -> str:
    pieces = [said.lead]
    if contents.code:
        pieces.append(f"    {contents.code}")
    if contents.link:
        pieces.append(f"{said.action}:\n{contents.link}")
    return "\n\n".join([*pieces, *said.after]) + "\n"


def _html(said: Sentences, contents: Contents, branding: Branding, language: str) -> str:
    primary = Colour.parse(branding.primary_color) or DEFAULT_PRIMARY
    return _template().render(
        said=said,
        language=language,
        brand=clean(branding.display_name),
        code=contents.code,
        link=contents.link,
        primary=primary.hex,
        on_primary=text_on(primary).hex,
    )


@cache
def _template() -> Page:
    """Compiled by the first letter, not by every start."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("letter.html")
