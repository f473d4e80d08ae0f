"""Every sentence of the letters, by language; a translation is one more file with the same tables.

Values are put in by name after the sentence is chosen. `action` is the label of the link, where there is one. A phrase
is a value that is itself said in the reader's language.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenant_runtime.login.language import choose
from tenant_runtime.mail import english, german
from tenant_runtime.mail.english import Part, Template

__all__ = ["LANGUAGES", "LetterTexts", "Part", "Template", "texts_in"]


@dataclass(frozen=True, slots=True)
class LetterTexts:
    language: str
    letters: Mapping[Template, Mapping[Part, str]]
    phrases: Mapping[str, str]
    fallback_brand: str


LANGUAGES: Mapping[str, LetterTexts] = {
    name: LetterTexts(name, module.LETTERS, module.PHRASES, module.FALLBACK_BRAND)
    for name, module in (("en", english), ("de", german))
}


def texts_in(asked: str, enabled: Sequence[str]) -> LetterTexts:
    """In the best language for somebody who asked for these (`login.language`)."""
    return LANGUAGES[choose(asked, enabled, LANGUAGES)]
