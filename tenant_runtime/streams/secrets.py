"""What of a stream is nobody's to read: what it signs with, and what it shows the receiver."""

from typing import Any

import msgspec

from core.crypto.sealing import DataKey
from tenant_runtime.streams.signing import ROTATED_FOR_MS, new_signing_secret


class StreamSecrets(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`authorization` is the value of that header, or what stands in for it in `header`."""

    signing: str
    before: str | None = None
    before_until: int = 0
    authorization: str | None = None
    header: str = "Authorization"

    def signers(self, now: int) -> list[str]:
        return [self.signing, *([self.before] if self.before and now < self.before_until else [])]

    def headers(self) -> dict[str, str]:
        return {} if self.authorization is None else {self.header: self.authorization}

    def rotated(self, now: int) -> "StreamSecrets":
        fresh: dict[str, Any] = {"signing": new_signing_secret(), "before": self.signing}
        return msgspec.structs.replace(self, **fresh, before_until=now + ROTATED_FOR_MS)


def seal_secrets(data_key: DataKey, table: str, id: str, secrets: StreamSecrets) -> bytes:
    return data_key.seal(msgspec.json.encode(secrets), str(table), "secrets", id)


def open_secrets(data_key: DataKey, table: str, id: str, sealed: bytes) -> StreamSecrets:
    return msgspec.json.decode(data_key.open(sealed, str(table), "secrets", id), type=StreamSecrets)
