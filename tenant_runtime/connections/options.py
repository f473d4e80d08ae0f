"""What a login acts by, of a connection's options: Auth0's names, read into types.

The same types check options that are written. What they do not name is kept as it was written, and means nothing here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, field

T = TypeVar("T", bound=msgspec.Struct)

CODE_LENGTHS = (6, 10)
"""Digits: fewer are guessed too easily (NIST SP 800-63B-4 section 3.1.3)."""

CODE_SECONDS = (60, 600)
EXCELLENT_LENGTH = 10
_Word = Annotated[str, Meta(max_length=128)]


class Switch(msgspec.Struct, frozen=True):
    enable: bool = False


class Complexity(msgspec.Struct, frozen=True):
    min_length: Annotated[int, Meta(ge=1, le=128)] = 1


class Dictionary(msgspec.Struct, frozen=True):
    enable: bool = False
    dictionary: Annotated[tuple[_Word, ...], Meta(max_length=200)] = ()


class History(msgspec.Struct, frozen=True):
    enable: bool = False
    size: Annotated[int, Meta(ge=0, le=24)] = 0


class NameLength(msgspec.Struct, frozen=True):
    min: Annotated[int, Meta(ge=1, le=128)] = 1
    max: Annotated[int, Meta(ge=1, le=128)] = 15


class Validation(msgspec.Struct, frozen=True):
    username: NameLength | None = None


class Offered(msgspec.Struct, frozen=True):
    enabled: bool = True


class Ways(msgspec.Struct, frozen=True):
    password: Offered | None = None


class DatabaseOptions(msgspec.Struct, frozen=True):
    """Of the tenant's own database of users. What would ask less of a password than `login.password_rules` asks less
    in vain; composition rules are none of NIST's, and of Auth0's policies only the length is taken."""

    disable_signup: bool = False
    disable_self_service_change_password: bool = False
    requires_username: bool = False
    brute_force_protection: bool = True
    import_mode: bool = False
    customized: bool = field(name="enabledDatabaseCustomization", default=False)
    policy: Literal["none", "low", "fair", "good", "excellent"] | None = field(
        name="passwordPolicy", default=None
    )
    complexity: Complexity | None = field(name="password_complexity_options", default=None)
    history: History | None = field(name="password_history", default=None)
    no_personal_info: Switch | None = field(name="password_no_personal_info", default=None)
    own_words: Dictionary | None = field(name="password_dictionary", default=None)
    validation: Validation | None = None
    ways: Ways | None = field(name="authentication_methods", default=None)

    @property
    def least_length(self) -> int:
        least = EXCELLENT_LENGTH if self.policy == "excellent" else 1
        return max(least, self.complexity.min_length if self.complexity is not None else 1)

    @property
    def blocked_words(self) -> tuple[str, ...]:
        """Beside those that nobody may use."""
        return self.own_words.dictionary if self.own_words is not None and self.own_words.enable else ()

    @property
    def name_length(self) -> NameLength:
        """Of a user name."""
        return (self.validation and self.validation.username) or NameLength()


class Code(msgspec.Struct, frozen=True):
    length: Annotated[int, Meta(ge=CODE_LENGTHS[0], le=CODE_LENGTHS[1])] = 6
    time_step: Annotated[int, Meta(ge=CODE_SECONDS[0], le=CODE_SECONDS[1])] = 300


class CodeLetter(msgspec.Struct, frozen=True):
    """The letter that brings the code, in Liquid; what is empty is said as everywhere else."""

    subject: Annotated[str, Meta(max_length=500)] | None = None
    body: Annotated[str, Meta(max_length=12_000)] | None = None
    sender: Annotated[str, Meta(max_length=500)] | None = field(name="from", default=None)
    syntax: Literal["liquid"] | None = None


class EmailOptions(msgspec.Struct, frozen=True):
    """Of codes that are sent by mail."""

    disable_signup: bool = False
    brute_force_protection: bool = True
    code: Code = field(name="totp", default=Code())
    letter: CodeLetter = field(name="email", default=CodeLetter())


class FederatedOptions(msgspec.Struct, frozen=True):
    """Nothing acts by these yet; their types are checked where Auth0's tools give them one."""

    client_id: Annotated[str, Meta(max_length=2048)] | None = None
    client_secret: Annotated[str, Meta(max_length=8192)] | None = None
    scope: str | tuple[str, ...] | None = None


DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "auth0": {"brute_force_protection": True, "disable_self_service_change_password": False},
    "email": {"brute_force_protection": True},
}
"""What is answered where nothing was said."""

_TYPES: Mapping[str, type[msgspec.Struct]] = {"auth0": DatabaseOptions, "email": EmailOptions}


def options_type(strategy: str) -> type[msgspec.Struct]:
    return _TYPES.get(strategy, FederatedOptions)


def read_options(kind: type[T], options: Mapping[str, Any]) -> T:
    """A member that does not fit counts as not said: rows of another release are served too."""
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError:
        return msgspec.convert(
            {name: value for name, value in options.items() if _fits(kind, name, value)}, kind
        )


def _fits(kind: type[msgspec.Struct], name: str, value: Any) -> bool:
    try:
        msgspec.convert({name: value}, kind)
    except msgspec.ValidationError:
        return False
    return True
