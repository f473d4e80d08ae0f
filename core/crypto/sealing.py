"""Secrets at rest.

The installation's key wraps one data key per tenant; a tenant's data key seals its secrets. What a value is
for (tenant, table, column, row) is authenticated with it, so a row moved to another place does not open.
Destroying the wrapped data key makes everything sealed with it unreadable for ever.
"""

import base64
import binascii
import os
import secrets
from functools import lru_cache
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.settings import Settings, SettingsError

_VERSION = b"\x01"
_NONCE = 12
_KEY = 32


class SealBroken(Exception):
    """A sealed value does not open: another key, another place, or changed bytes. Says nothing else."""


class SealingKeyError(SettingsError):
    """The installation's key is absent or malformed: the start is refused with this sentence."""


class _Box:
    """AES-256-GCM with a version byte and a random nonce before the text."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, plaintext: bytes, place: tuple[str, ...]) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return _VERSION + nonce + self._aead.encrypt(nonce, plaintext, _bind(place))

    def open(self, sealed: bytes, place: tuple[str, ...]) -> bytes:
        if sealed[:1] != _VERSION:
            raise SealBroken
        try:
            return self._aead.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bind(place))
        except (InvalidTag, ValueError) as error:
            raise SealBroken from error


def _bind(place: tuple[str, ...]) -> bytes:
    """An encoding in which ("a", "bc") and ("ab", "c") differ."""
    return msgspec.json.encode(place)


class DataKey:
    """A tenant's own key. Knows whose it is, so no caller can seal for another tenant by mistake."""

    __slots__ = ("_box", "_key", "tenant_id")

    def __init__(self, tenant_id: str, key: bytes) -> None:
        self.tenant_id = tenant_id
        self._key = _exact(key)
        self._box = _Box(_derive(key, "sealed columns"))

    def seal(self, plaintext: bytes, table: str, column: str, row_id: str) -> bytes:
        return self._box.seal(plaintext, (self.tenant_id, table, column, row_id))

    def open(self, sealed: bytes, table: str, column: str, row_id: str) -> bytes:
        return self._box.open(sealed, (self.tenant_id, table, column, row_id))

    def derive(self, purpose: str) -> bytes:
        """A key for something that is no sealed column: page tokens, cookies, one-time links."""
        return _derived(self._key, purpose)

    def __repr__(self) -> str:
        return f"DataKey({self.tenant_id!r})"


class InstallationKey:
    """The root. Each use has a key derived from it, so that no value of one use opens as another."""

    __slots__ = ("_check", "_root", "_sealing", "_wrapping")

    def __init__(self, key: bytes) -> None:
        _exact(key)
        self._wrapping = _Box(_derive(key, "data-key wrapping"))
        self._sealing = _Box(_derive(key, "installation sealing"))
        self._check = _derive(key, "check value")[:16].hex()
        self._root = _derive(key, "purposes")

    def wrap(self, tenant_id: str, data_key: bytes) -> bytes:
        return self._wrapping.seal(_exact(data_key), (tenant_id,))

    def unwrap(self, tenant_id: str, wrapped: bytes) -> DataKey:
        return DataKey(tenant_id, self._wrapping.open(wrapped, (tenant_id,)))

    def seal(self, purpose: str, plaintext: bytes) -> bytes:
        return self._sealing.seal(plaintext, (purpose,))

    def open(self, purpose: str, sealed: bytes) -> bytes:
        return self._sealing.open(sealed, (purpose,))

    def derive(self, purpose: str) -> bytes:
        """A key for something of the installation that is not sealed: page tokens of the platform API."""
        return _derived(self._root, purpose)

    def shared_key(self) -> DataKey:
        """For what tenant one says for all tenants and no tenant may read. No tenant id has a space."""
        return DataKey("shared by all", _derive(self._root, "shared secrets"))

    def check_value(self) -> str:
        """Stands in the registry: tells a wrong key from a right one, and nothing of the key."""
        return self._check

    def __repr__(self) -> str:
        return "InstallationKey()"


def new_data_key() -> bytes:
    return secrets.token_bytes(_KEY)


def load_installation_key(settings: Settings, *, create: bool) -> InstallationKey:
    """From the environment, else from the key file. Only `create` makes a file: over existing data, a new key
    would be a loss, not a repair."""
    if settings.sealing_key is not None:
        return InstallationKey(_decode(settings.sealing_key.reveal(), "KEYSTEAD_SEALING_KEY"))
    path = settings.sealing_key_file
    if create and not path.exists():
        _create_file(path)
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        raise SealingKeyError(
            f"The sealing key is missing: neither KEYSTEAD_SEALING_KEY nor {path} exists."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SealingKeyError(f"The sealing key file {path} cannot be read.") from error
    return InstallationKey(_decode(text, str(path)))


def _create_file(path: Path) -> None:
    """Whole or not at all, readable by its owner only; of several at once, one wins and all read that one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _decode(text: str, source: str) -> bytes:
    try:
        return _exact(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError):
        raise SealingKeyError(f"{source} is not the base64 text of 32 bytes.") from None


def _exact(key: bytes) -> bytes:
    if len(key) != _KEY:
        raise ValueError("A key of 32 bytes is needed.")
    return key


@lru_cache(4096)
def _derived(key: bytes, purpose: str) -> bytes:
    return _derive(key, f"purpose {purpose}")


def _derive(key: bytes, use: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=f"keystead {use}".encode()).derive(key)
