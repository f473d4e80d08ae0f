"""What a body may come as: JSON; of a sign-in and a sign-up a form, too (`specs/organization-api.md` A.0)."""

from collections.abc import Iterable

from tenant_runtime.oauth.body import FORM, JSON
from tenant_runtime.organizations.wire.errors import refusal

RawHeaders = Iterable[tuple[bytes, bytes]]


def media_type_of(headers: RawHeaders) -> str:
    """In small letters, without parameters; empty where there is none, or more than one."""
    found = [value for name, value in headers if name == b"content-type"]
    return found[0].decode("latin-1").partition(";")[0].strip().lower() if len(found) == 1 else ""


def check_media_type(headers: RawHeaders, *, takes_forms: bool) -> None:
    """Of a request that has a body."""
    kind = media_type_of(headers)
    is_json = kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))
    if not is_json and not (takes_forms and kind == FORM):
        raise refusal(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json")


def has_body(headers: RawHeaders) -> bool:
    sent = dict(headers)
    return b"transfer-encoding" in sent or sent.get(b"content-length", b"0").strip() not in (b"", b"0")
