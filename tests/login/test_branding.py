"""A tenant's colours, the sentences and the stylesheet: readable whatever was chosen, whole in every language."""

import hashlib
import itertools
import re

import pytest

from tenant_runtime.login.branding import DARK_CARD, LIGHT_CARD, Branding, stylesheet
from tenant_runtime.login.contrast import BLACK, WHITE, Colour, contrast, set_apart, text_on
from tenant_runtime.login.language import asked_by, choose
from tenant_runtime.login.pages import ErrorPage, initials, render
from tenant_runtime.login.static_files import STATIC
from tenant_runtime.login.texts import ENGLISH, LANGUAGES, Texts


def properties(branding: Branding) -> list[dict[str, Colour]]:
    """The custom properties of the light and the dark scheme."""
    schemes = stylesheet(branding).split("@media")
    return [
        {name: Colour.parse(value) for name, value in re.findall(r"--([a-z-]+):([^;]+);", scheme)}
        for scheme in schemes
    ]


COLOURS = ["#" + "".join(digits) for digits in itertools.product("06af", repeat=3)]


@pytest.mark.parametrize("background", ["#fff", "#000", "#808080", "#123a5c", "#ffd400"])
def test_text_stays_readable_whatever_colours_a_tenant_chooses(background: str) -> None:
    for primary in COLOURS:
        schemes = properties(Branding(primary_color=primary, page_background=background))
        for colours, card in zip(schemes, (LIGHT_CARD, DARK_CARD), strict=True):
            assert contrast(colours["on-primary"], colours["primary"]) >= 4.5
            assert contrast(colours["on-primary"], colours["primary-strong"]) >= 4.5
            assert contrast(colours["accent"], card) >= 4.5
            assert contrast(colours["accent"], colours["tint"]) >= 4.5
            assert contrast(colours["on-page"], colours["page"]) >= 4.5
            assert contrast(colours["primary-edge"], card) >= 3


@pytest.mark.parametrize(
    "text", ["", "red", "#12", "#12345", "#1234567", "#ggg", "#fff;}", "#fff\n", "rgb(0,0,0)", "#١٢٣"]
)
def test_what_is_not_a_colour_counts_as_not_set(text: str) -> None:
    assert Colour.parse(text) is None
    assert stylesheet(Branding(primary_color=text, page_background=text)) == stylesheet(Branding())


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast(WHITE, BLACK) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast(Colour.parse("#777"), WHITE) == pytest.approx(4.48, abs=0.005)
    assert Colour.parse("#1aF") == Colour.parse("#11AAff") == (0x11, 0xAA, 0xFF)


def test_text_on_a_colour_is_white_or_black_and_a_good_colour_is_left_alone() -> None:
    assert text_on(Colour.parse("#354fd6")) == WHITE
    assert text_on(Colour.parse("#ffd400")) == BLACK
    assert set_apart(BLACK, WHITE, 4.5) == BLACK
    assert set_apart(WHITE, WHITE, 3) != WHITE


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Northwind Traders", "NT"), ("ada.lovelace@example.com", "AL"), ("acme", "A"), ("", "·"), ("& <", "·")],
)
def test_initials(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_every_language_has_every_text_with_the_same_values() -> None:
    def values(text: str) -> set[str]:
        return set(re.findall(r"\{\w+\}", text))

    for table in LANGUAGES.values():
        assert {key: values(text) for key, text in table.items()} == {
            key: values(text) for key, text in ENGLISH.items()
        }


@pytest.mark.parametrize("wish", ["", "xx", "de-CH xx", "en-GB", "<script>", "a" * 8000])
def test_a_language_nobody_speaks_here_falls_back_to_english(wish: str) -> None:
    assert choose(wish, ("en",), LANGUAGES) == choose(asked_by(wish), ("en",), LANGUAGES) == "en"


def test_a_browser_is_spoken_to_in_the_language_that_it_wants_most() -> None:
    assert asked_by("fr;q=0.2, de-CH, de;q=0.9, *;q=0.1, en;q=0, x;q=nonsense") == "de-CH de fr"
    for header, language in (
        ("de-CH", "de"),
        ("fr, de;q=0.5", "de"),
        ("en-GB, de", "en"),
        ("", "de"),
        ("fr", "de"),
    ):
        assert choose(asked_by(header), ("de", "en"), LANGUAGES) == language


def test_a_sentence_escapes_its_values_once() -> None:
    assert Texts("en").show("continue_to", client="<b>{0}") == "to continue to <bdi>&lt;b&gt;{0}</bdi>"


def test_the_stylesheet_is_kept_for_ever_under_a_name_made_of_its_content() -> None:
    (name,) = STATIC
    assert hashlib.sha256(STATIC[name].body).hexdigest()[:16] in name
    assert "immutable" in STATIC[name].headers["Cache-Control"]
    assert STATIC[name].headers["Content-Type"].startswith("text/css")
    assert f'href="{STATIC[name].path}"' in render(ErrorPage(description="No.", support_id="req_1"))
