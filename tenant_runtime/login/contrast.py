"""Colours and how well they can be told apart: relative luminance and contrast of WCAG 2.2.

Pure arithmetic. A tenant chooses its colours freely; what is written on them, and what they are written on,
is derived here so that no choice makes a page unreadable.
"""

import re
from typing import NamedTuple, Self

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})", re.ASCII)

TEXT_MINIMUM = 4.5  # WCAG 2.2, success criterion 1.4.3 (AA)
SHAPE_MINIMUM = 3.0  # WCAG 2.2, success criterion 1.4.11 (AA)


class Colour(NamedTuple):
    red: int
    green: int
    blue: int

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Only `#rgb` and `#rrggbb`: the text ends up in a stylesheet, so nothing else may pass."""
        if text is None or not _HEX.fullmatch(text):
            return None
        digits = text[1:] if len(text) == 7 else "".join(digit * 2 for digit in text[1:])
        return cls(*bytes.fromhex(digits))

    @property
    def hex(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


WHITE = Colour(255, 255, 255)
BLACK = Colour(0, 0, 0)


def luminance(colour: Colour) -> float:
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    """From 1 (the same) to 21 (black on white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    return Colour(*(round(a + (b - a) * share) for a, b in zip(colour, other, strict=True)))


def text_on(background: Colour) -> Colour:
    """White where it can be read, else black: one of the two always reaches 4.58."""
    return WHITE if contrast(WHITE, background) >= TEXT_MINIMUM else BLACK


def set_apart(colour: Colour, background: Colour, minimum: float) -> Colour:
    """The colour nearest to `colour` that stands out from `background` by `minimum`."""
    towards = BLACK if contrast(BLACK, background) > contrast(WHITE, background) else WHITE
    steps = (mix(colour, towards, step / 20) for step in range(20))
    return next((each for each in steps if contrast(each, background) >= minimum), towards)
