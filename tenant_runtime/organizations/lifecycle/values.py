"""What an organization is made of, as a body says it, or a hook makes of it."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tenant_runtime.login.addresses import origin_of
from tenant_runtime.management.editing import MAX_DEPTH, is_deeper
from tenant_runtime.organizations.wire import refusal
from tenant_runtime.organizations.wire.names import ONE_LINE, SLUG

Name = Annotated[str, Meta(min_length=1, max_length=300, pattern=ONE_LINE)]
Slug = Annotated[str, Meta(pattern=SLUG)]
Logo = Annotated[str, Meta(max_length=2048)]
LONGEST_METADATA = 16 * 1024


class Changes(msgspec.Struct, rename="camel"):
    name: Name | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    logo: Logo | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


def said(data: Changes) -> dict[str, Any]:
    members = ("name", "slug", "logo", "metadata")
    return {name: value for name in members if (value := getattr(data, name)) is not UNSET}


def checked(asked: dict[str, Any]) -> dict[str, Any]:
    """The logo is shown on pages; metadata go with every reading."""
    try:
        msgspec.convert(asked, Changes)
    except msgspec.ValidationError as error:
        raise refusal(400, "VALIDATION_ERROR", f"[body] {error}") from None
    logo, metadata = asked.get("logo"), asked.get("metadata")
    if logo and origin_of(logo) is None:
        raise refusal(400, "VALIDATION_ERROR", "[body.logo] Expected a web address")
    if metadata and len(msgspec.json.encode(metadata)) > LONGEST_METADATA:
        raise refusal(400, "VALIDATION_ERROR", "[body.metadata] Too large")
    if metadata and is_deeper(metadata, MAX_DEPTH):
        raise refusal(400, "VALIDATION_ERROR", f"[body.metadata] Nested more than {MAX_DEPTH} deep")
    return asked
