"""Secret members of documents: `{"$sealed": "<base64>"}` in the place of the value.

A tenant's own are sealed with its data key. What the control plane says is sealed with the key that all tenants'
runtimes share and no tenant's database holds, so the row that travels is the same everywhere, and with a child's data
key alone nobody reads it.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, cast

from core.crypto.sealing import SealBroken
from core.tenants import Tenant
from tenant_runtime.documents.documents import Document, Documents

_MARK = "$sealed"
_TABLE, _COLUMN = "settings", "value"


def sealed(tenant: Tenant, document: Document[Any], member: str, secret: str) -> dict[str, str]:
    """As it is stored. Written by the tenant itself: tenant one's are the ones that travel."""
    key = tenant.shared_key if tenant.is_control_plane else tenant.data_key
    box = key.seal(secret.encode(), _TABLE, _COLUMN, _place(document, member))
    return {_MARK: base64.b64encode(box).decode()}


def open_secret(tenant: Tenant, documents: Documents, document: Document[Any], member: str) -> str | None:
    """The secret that stands behind a member of the effective value; None where there is none, or it does not open."""
    for layer, is_own in ((documents.own, True), (documents.inherited, False)):
        said: Any = layer.get(document.key)
        if said is None or member.partition(".")[0] not in said:
            continue
        stored = _at(said, member)
        if not is_sealed(stored):
            return None
        is_shared = tenant.is_control_plane or not is_own
        return _opened(tenant, document, member, stored[_MARK], is_shared)
    return None


def is_sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {_MARK} and isinstance(value[_MARK], str)


def hidden(value: Any) -> Any:
    """A document as it may be shown: without its secrets."""
    match value:
        case Mapping():
            return {name: hidden(item) for name, item in value.items() if not is_sealed(item)}
        case list() | tuple():
            return [hidden(item) for item in value]
    return value


def _opened(tenant: Tenant, document: Document[Any], member: str, text: str, is_shared: bool) -> str | None:
    key = tenant.shared_key if is_shared else tenant.data_key
    try:
        box = base64.b64decode(text, validate=True)
        return key.open(box, _TABLE, _COLUMN, _place(document, member)).decode()
    except (SealBroken, binascii.Error, UnicodeDecodeError):
        return None


def _place(document: Document[Any], member: str) -> str:
    return f"{document.key} {member}"


def _at(value: Mapping[str, Any], member: str) -> Any:
    found: Any = value
    for name in member.split("."):
        found = cast(Mapping[str, Any], found).get(name) if isinstance(found, Mapping) else None
    return found
