"""How a tenant looks: name, logo, icon, font, two colours, a help page; all optional, all checked.

An organization's own logo and colours stand over the tenant's on its members' way in; the tenant's name stays.
What a tenant stored is never trusted: a colour that is not a colour or a logo address that is not allowed
counts as not set, because a wrong setting must not take the login page away. The colours become CSS custom
properties for the light and the dark scheme; text on them keeps WCAG AA whatever the tenant chose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tenant_runtime.login.addresses import image_of, origin_of
from tenant_runtime.login.contrast import (
    BLACK,
    SHAPE_MINIMUM,
    TEXT_MINIMUM,
    WHITE,
    Colour,
    luminance,
    mix,
    set_apart,
    text_on,
)

DEFAULT_PRIMARY = Colour(0x35, 0x4F, 0xD6)
DEFAULT_PAGE = Colour(0xF2, 0xF4, 0xF8)
DARK_PAGE = Colour(0x0C, 0x0E, 0x12)
LIGHT_CARD = WHITE
DARK_CARD = Colour(0x16, 0x19, 0x20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """As stored; `stylesheet` and `login.addresses` decide what of it is used. `display_name` is the tenant's."""

    display_name: str = ""
    organization_name: str = ""
    organization_logo_url: str | None = None
    logo_url: str | None = None
    favicon_url: str | None = None
    font_url: str | None = None
    primary_color: str | None = None
    page_background: str | None = None
    support_url: str | None = None

    @property
    def name(self) -> str:
        """Of whom one signs in to."""
        return self.organization_name or self.display_name

    @property
    def organization_logo(self) -> str | None:
        """Its own people say it, so it is never a path of this host."""
        url = self.organization_logo_url
        return image_of(url) if url and origin_of(url) else None

    @property
    def logo(self) -> str | None:
        return self.organization_logo or image_of(self.logo_url)

    @property
    def logo_name(self) -> str:
        return self.organization_name if self.organization_logo else self.display_name

    def of_organization(self, name: str, said: Mapping[str, Any]) -> "Branding":
        """`said`: the organization's `branding`, as it is stored."""
        colours = said.get("colors") or {}
        return replace(
            self,
            organization_name=name,
            organization_logo_url=said.get("logo_url"),
            primary_color=_colour(colours.get("primary")) or self.primary_color,
            page_background=_colour(colours.get("page_background")) or self.page_background,
        )


def _colour(said: str | None) -> str | None:
    return said if Colour.parse(said) is not None else None


def stylesheet(branding: Branding) -> str:
    return _stylesheet(branding.primary_color, branding.page_background, branding.font_url)


@lru_cache(maxsize=512)
def _stylesheet(primary_color: str | None, page_background: str | None, font_url: str | None) -> str:
    """Custom properties and font. Holds nothing but names of ours, hex colours computed here, and an address without
    anything that could end its quotes."""
    primary = Colour.parse(primary_color) or DEFAULT_PRIMARY
    page = Colour.parse(page_background) or DEFAULT_PAGE
    light = _properties(primary, page, LIGHT_CARD)
    dark = _properties(primary, _darkened(page), DARK_CARD)
    colours = f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    font = font_of(font_url)
    if font is None:
        return colours
    return (
        f'{colours}@font-face{{font-family:"Own";src:url("{font}");font-display:swap}}:root{{--font:"Own",}}'
    )


def font_of(url: str | None) -> str | None:
    """An address fit for a font: as for an image, and never a path of this host, which has none."""
    return image_of(url) if url and origin_of(url) else None


def _darkened(page: Colour) -> Colour:
    """A tenant has one page colour: a dark one serves both schemes, a light one gives the night its tint."""
    if page == DEFAULT_PAGE:
        return DARK_PAGE
    return page if luminance(page) < 0.05 else mix(page, DARK_PAGE, 0.9)


def _properties(primary: Colour, page: Colour, card: Colour) -> str:
    on_primary = text_on(primary)
    away = BLACK if on_primary == WHITE else WHITE
    tint = mix(card, primary, 0.1)
    values = {
        "primary": primary,
        "primary-strong": mix(primary, away, 0.14),
        "on-primary": on_primary,
        "primary-edge": set_apart(primary, card, SHAPE_MINIMUM),
        "accent": set_apart(set_apart(primary, tint, TEXT_MINIMUM), card, TEXT_MINIMUM),
        "tint": tint,
        "page": page,
        "on-page": set_apart(mix(text_on(page), page, 0.4), page, TEXT_MINIMUM),
    }
    return "".join(f"--{name}:{colour.hex};" for name, colour in values.items())
