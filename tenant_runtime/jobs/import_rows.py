"""One user of a file: what may be said of them, and what is wrong with a row, in the words of Auth0's import.

Pure: from a row's text to values for the tables, or to errors by member. A hash is taken as it comes, if it is of a
scheme that is verified here and costs no more than it may (`core.crypto.foreign_hashes`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta

from core.crypto.foreign_hashes import SCHEMES, HashRefused, check, scrypt_text
from core.errors import InvalidInput
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.management.addresses import check_link
from tenant_runtime.management.editing import Body, LongText, Maybe, Object, named
from tenant_runtime.management.users.bodies import Email, Phone, Text, Username

HASHES = ("password_hash", "custom_password_hash")
LONGEST_HASH = 1024

ImportedId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.+\-@:~]{1,128}\Z")]


class ImportedUser(Body):
    """Auth0's members; what is no user of a database (factors, identities) is none of them."""

    email: Email
    email_verified: Maybe[bool] = UNSET
    user_id: Maybe[ImportedId] = UNSET
    username: Maybe[Username | None] = UNSET
    phone_number: Maybe[Phone | None] = UNSET
    phone_verified: Maybe[bool] = UNSET
    name: Text = UNSET
    given_name: Text = UNSET
    family_name: Text = UNSET
    nickname: Text = UNSET
    picture: Maybe[LongText | None] = UNSET
    blocked: Maybe[bool] = UNSET
    user_metadata: Maybe[Object | None] = UNSET
    app_metadata: Maybe[Object | None] = UNSET
    password_hash: Maybe[Annotated[str, Meta(max_length=LONGEST_HASH)]] = UNSET
    custom_password_hash: Maybe[Object] = UNSET


class HashValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Annotated[str, Meta(min_length=1, max_length=LONGEST_HASH)]
    encoding: Literal["base64", "hex", "utf8"] = "utf8"


class SaltValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a salt stands is a matter of digests that are not taken in: scrypt has a place of its own for it."""

    value: Annotated[str, Meta(max_length=LONGEST_HASH)]
    encoding: Literal["base64", "hex", "utf8"] = "utf8"
    position: Literal["prefix", "suffix"] = "prefix"


class PasswordEncoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    encoding: Literal["utf8", "ascii"] = "utf8"


class CustomHash(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"block_size": "blockSize"}):
    """`cost`, `blockSize`, `parallelization` and `keylen` are scrypt's."""

    algorithm: Literal["argon2", "bcrypt", "pbkdf2", "scrypt"]
    hash: HashValue
    salt: SaltValue | None = None
    password: PasswordEncoding = PasswordEncoding()
    keylen: int | None = None
    cost: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    block_size: Annotated[int, Meta(ge=1, le=1024)] | None = None
    parallelization: Annotated[int, Meta(ge=1, le=1024)] | None = None


@dataclass(frozen=True, slots=True)
class RowError:
    code: str
    message: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """`shown` is what an error says of the user: nothing of a hash. `email` stands alone: rows are known by it."""

    shown: Mapping[str, Any]
    email: str = ""
    members: Mapping[str, Any] = field(default_factory=dict)
    hash: str | None = field(default=None, repr=False)
    errors: tuple[RowError, ...] = ()


_TYPES = get_type_hints(ImportedUser, include_extras=True)
_NAMED = re.compile(r"`(\w+)`")
_AT = re.compile(r" - at `\$\.?([^`]*)`$")


def read_rows(content: bytes) -> list[Row]:
    """A part of the file: an array, of which only the brackets are looked at as a whole."""
    return [_read(bytes(raw)) for raw in msgspec.json.decode(content, type=list[msgspec.Raw])]


def _read(raw: bytes) -> Row:
    try:
        user = msgspec.json.decode(raw, type=ImportedUser)
    except (msgspec.DecodeError, RecursionError):
        return _wrong(raw)
    members = named(user)
    members["email"] = normal_email(members["email"])
    hashes = {name: members.pop(name) for name in HASHES if name in members}
    errors = tuple(_errors_of(members))
    hashed: str | None = None
    try:
        hashed = _hash_of(hashes)
    except _Refused as refused:
        errors = (*errors, refused.error)
    return Row(members, members["email"], members, hashed, errors)


def _errors_of(members: Mapping[str, Any]) -> list[RowError]:
    errors = []
    if not is_email(members["email"]):
        errors.append(RowError("INVALID_FORMAT", "This is no e-mail address.", "email"))
    try:
        check_link("picture", members.get("picture"))
    except InvalidInput:
        errors.append(RowError("INVALID_FORMAT", "This is no web address.", "picture"))
    return errors


# --- Hashes --------------------------------------------------------------------------------------------------------


class _Refused(Exception):
    def __init__(self, code: str, message: str, path: str) -> None:
        self.error = RowError(code, message, path)
        super().__init__(message)


def _hash_of(hashes: Mapping[str, Any]) -> str | None:
    if len(hashes) > 1:
        raise _Refused("NOT_PASSED", "A user has one hash, not two.", "custom_password_hash")
    try:
        if "password_hash" in hashes:
            check("bcrypt", hashes["password_hash"])
            return str(hashes["password_hash"])
        return _custom_hash(hashes["custom_password_hash"]) if hashes else None
    except HashRefused as refused:
        raise _Refused("INVALID_FORMAT", str(refused), next(iter(hashes))) from refused


def _custom_hash(said: Mapping[str, Any]) -> str:
    if said.get("algorithm") not in SCHEMES:
        message = f"No enum match: hashes are taken of {', '.join(SCHEMES)}."
        raise _Refused("ENUM_MISMATCH", message, "custom_password_hash.algorithm")
    try:
        custom = msgspec.convert(said, CustomHash)
    except msgspec.ValidationError as error:
        code, message, path = _told(str(error))
        raise _Refused(code, message, ".".join(filter(None, ("custom_password_hash", path)))) from error
    if custom.algorithm == "scrypt" and not custom.hash.value.startswith("$"):
        return _scrypt(custom)
    if custom.salt is not None or custom.hash.encoding != "utf8":
        raise HashRefused("The salt stands in the hash, and the hash is text.")
    check(custom.algorithm, custom.hash.value)
    return custom.hash.value


def _scrypt(custom: CustomHash) -> str:
    """As Node's: cost 16384, block size 8 and one lane unless they are said."""
    if custom.salt is None or custom.hash.encoding == "utf8":
        raise HashRefused("scrypt needs a salt, and a hash that is base64 or hex.")
    digest, salt = (_decoded(said.value, said.encoding) for said in (custom.hash, custom.salt))
    if custom.keylen not in (None, len(digest)):
        raise HashRefused("The hash is not as long as `keylen` says.")
    return scrypt_text(
        salt,
        digest,
        cost=custom.cost or 16384,
        block_size=custom.block_size or 8,
        lanes=custom.parallelization or 1,
    )


def _decoded(value: str, encoding: str) -> bytes:
    match encoding:
        case "hex":
            try:
                return bytes.fromhex(value)
            except ValueError:
                raise HashRefused("This is not hexadecimal.") from None
        case "base64":
            try:
                return msgspec.convert(value + "=" * (-len(value) % 4), bytes)
            except msgspec.ValidationError:
                raise HashRefused("This is not base64.") from None
    return value.encode()


# --- What is wrong -------------------------------------------------------------------------------------------------


def _wrong(raw: bytes) -> Row:
    """Looked into member by member, so that a row says everything at once."""
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Row({}, errors=(RowError("INVALID_FORMAT", "This is not JSON of a reasonable depth."),))
    if not isinstance(said, dict):
        return Row({}, errors=(RowError("INVALID_TYPE", "A user is an object."),))
    errors = [error for name, value in said.items() if (error := _wrong_member(name, value)) is not None]
    if "email" not in said:
        errors.append(
            RowError("OBJECT_MISSING_REQUIRED_PROPERTY", "Missing required property: email", "email")
        )
    shown = {name: value for name, value in said.items() if name not in HASHES}
    return Row(shown, errors=tuple(errors) or (_wrong_whole(raw),))


def _wrong_member(name: str, value: Any) -> RowError | None:
    if name not in _TYPES:
        message = f"Additional properties not allowed: {name[:100]}"
        return RowError("OBJECT_ADDITIONAL_PROPERTIES", message, name[:100])
    try:
        msgspec.convert(value, _TYPES[name])
    except msgspec.ValidationError as error:
        code, message, path = _told(str(error))
        return RowError(code, message, ".".join(filter(None, (name, path))))
    return None


def _wrong_whole(raw: bytes) -> RowError:
    """What the types of the members do not say: control characters, depth, size."""
    try:
        msgspec.json.decode(raw, type=ImportedUser)
    except msgspec.DecodeError as error:
        code, message, path = _told(str(error))
        found = _NAMED.search(message)
        return RowError(code, message, path or (found[1] if found else ""))
    return RowError("NOT_PASSED", "This user could not be read.")


def _told(text: str) -> tuple[str, str, str]:
    """Code, sentence and path of what the decoder says."""
    place = _AT.search(text)
    message, path = (text[: place.start()], place[1]) if place else (text, "")
    if "matching regex" in message:
        return "PATTERN", message, path
    if "of length <=" in message:
        return "MAX_LENGTH", message, path
    if "of length >=" in message:
        return "MIN_LENGTH", message, path
    if "Invalid enum value" in message:
        return "ENUM_MISMATCH", message, path
    if "missing required field" in message:
        return "OBJECT_MISSING_REQUIRED_PROPERTY", message, path
    if "contains unknown field" in message:
        return "OBJECT_ADDITIONAL_PROPERTIES", message, path
    return ("INVALID_TYPE" if "got `" in message else "INVALID_FORMAT"), message, path
