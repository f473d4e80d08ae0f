"""What a tenant says on its pages in its own words, and in which language a page speaks.

A document for each prompt and language, `prompts:<prompt>:<language>`, in Auth0's shape: screen, name of the text,
text. A variable (`${clientName}`) is put in when the page is shown, and escaped as everything else is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from tenant_runtime.configuration import Configuration
from tenant_runtime.documents import Documents, Family
from tenant_runtime.login.language import DEFAULT_LANGUAGE, choose
from tenant_runtime.login.screens import SCREENS
from tenant_runtime.login.texts import LANGUAGES, Texts


class CustomTexts(msgspec.Struct, frozen=True):
    """Said as a whole: a tenant's own texts of a prompt stand instead of those that the control plane says."""

    screens: dict[str, dict[str, str]] = {}


CUSTOM_TEXTS = Family("prompts", CustomTexts)

VARIABLES: Mapping[str, str] = {
    "clientName": "client",
    "companyName": "company",
    "email": "email",
    "organizationName": "organization",
}
"""In every text; those of a text's own sentence by their names here (`${minutes}`)."""

_VARIABLE = re.compile(r"\$\{([A-Za-z]+)\}")
_VALUE = re.compile(r"\{(\w+)\}")


def variables_of(text: str) -> list[str]:
    return _VARIABLE.findall(text)


def values_of(sentence: str) -> frozenset[str]:
    """What a sentence of ours has put in."""
    return frozenset(_VALUE.findall(sentence))


def sentence_of(text: str) -> str:
    """As our own sentences are written: everything but a variable stands for itself."""
    pieces = _VARIABLE.split(text)
    for place, piece in enumerate(pieces):
        if place % 2:
            pieces[place] = f"{{{VARIABLES.get(piece, piece)}}}"
        else:
            pieces[place] = piece.replace("{", "{{").replace("}", "}}")
    return "".join(pieces)


@dataclass(frozen=True, slots=True)
class Speech:
    """How a tenant speaks to one reader. `asked` are the languages they want, the most wanted first."""

    language: str = DEFAULT_LANGUAGE
    asked: str = ""
    documents: Documents = field(default_factory=lambda: Documents({}, {}), repr=False, compare=False)

    def of(self, screen: str, **values: str) -> Texts:
        """The texts of one page, with what may stand in each."""
        own = self._own(screen)
        return Texts(self.language, own, values if own else {})

    def _own(self, name: str) -> Mapping[str, str]:
        screen = SCREENS.get(name)
        if screen is None:
            return {}
        document = CUSTOM_TEXTS.of(screen.prompt, self.language)
        if not self.documents.is_said(document):
            return {}
        said = self.documents.value(document).screens.get(screen.name, {})
        return {screen.keys[key]: sentence_of(text) for key, text in said.items() if key in screen.keys}


def speech_in(found: Configuration, asked: str) -> Speech:
    """In the best of the tenant's languages that there are texts in, ours or its own."""
    own = {name.rpartition(":")[2] for name in found.documents.names(CUSTOM_TEXTS)}
    language = choose(asked, found.settings.enabled_locales, LANGUAGES.keys() | own)
    return Speech(language, asked, found.documents)
