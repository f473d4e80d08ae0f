"""What Auth0's Authentication API outside of OAuth shares: its bodies, and whose mail and accounts they are about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidRequest
from tenant_runtime.login.emails import is_email, normal_email
from tenant_runtime.oauth.body import JSON, json_object, media_type, parse_form, read_body, texts_of
from tenant_runtime.oauth.wire import Call

LANGUAGES_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Body:
    texts: Mapping[str, str]
    objects: Mapping[str, Mapping[str, Any]]

    def required(self, name: str) -> str:
        value = self.texts.get(name)
        if value is None:
            raise InvalidRequest(f"{name} is missing.")
        return value

    def address(self) -> str:
        email = normal_email(self.required("email"))
        if not is_email(email):
            raise InvalidRequest("email is not an address.")
        return email


def languages_of(call: Call) -> str:
    """The reader's, as Auth0's clients say them, or as a browser does; the most wanted first."""
    said = call.headers.get(b"x-request-language") or call.headers.get(b"accept-language") or (b"",)
    tags = said[0].decode("latin-1")[:LANGUAGES_LENGTH].split(",")
    return " ".join(tag.partition(";")[0].strip() for tag in tags)


async def read(call: Call, *objects: str) -> Body:
    """`objects` name the members that are JSON objects; the SDKs send JSON. A form has none of them."""
    kind = media_type(call.one_header(b"content-type"))
    raw = await read_body(call.receive, call.one_header(b"content-length"))
    if kind != JSON:
        return Body(parse_form(raw), {})
    members = json_object(raw)
    found = {name: members.pop(name) for name in objects if isinstance(members.get(name), dict)}
    return Body(texts_of(members), found)
