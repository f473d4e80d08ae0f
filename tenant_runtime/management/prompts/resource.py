"""`/api/v2/prompts` and `/prompts/{prompt}/custom-text/{language}`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta
from sqlalchemy import Connection

from core.errors import InvalidInput, NotFound
from core.http.paging import parse_boolean
from core.tenants import Tenant
from tenant_runtime.documents import Document
from tenant_runtime.login.custom_texts import CUSTOM_TEXTS, VARIABLES, CustomTexts, values_of, variables_of
from tenant_runtime.login.screens import LANGUAGE_TAGS, PAGE_TITLE, PROMPTS, Screen, screens_of
from tenant_runtime.login.texts import ENGLISH
from tenant_runtime.management import documents
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.editing import Body, Maybe
from tenant_runtime.management.routing import changing, reading, replacing

Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Name: TypeAlias = Annotated[str, Meta(max_length=100)]
CustomTextsIn: TypeAlias = Annotated[
    dict[Name, Annotated[dict[Name, Text], Meta(max_length=50)]], Meta(max_length=20)
]

SETTINGS: Mapping[str, Any] = {
    "universal_login_experience": "new",
    "identifier_first": True,
    "webauthn_platform_first_factor": False,
}
"""What is true of the pages, and the only thing that may be said of them."""


class PromptsPatch(Body):
    universal_login_experience: Maybe[Literal["new"]] = UNSET
    identifier_first: Maybe[bool] = UNSET
    webauthn_platform_first_factor: Maybe[bool] = UNSET


@reading("/prompts", "read:prompts")
async def get_prompts(call: CallOf) -> dict[str, Any]:
    return dict(SETTINGS)


@changing("/prompts", "update:prompts")
async def update_prompts(call: CallOf, data: JSONBody[PromptsPatch]) -> dict[str, Any]:
    for name, value in SETTINGS.items():
        if getattr(data, name) not in (UNSET, value):
            raise InvalidInput(f"`{name}` can be {str(value).lower()} only.")
    return dict(SETTINGS)


@reading("/prompts/{prompt:str}/custom-text/{language:str}", "read:prompts")
async def get_custom_text(call: CallOf, prompt: FromPath[str], language: FromPath[str]) -> dict[str, Any]:
    with_provenance = parse_boolean(call.request.query_params, "include_provenance", default=False)
    return await call.read(_get, _document(prompt, language), with_provenance)


@replacing("/prompts/{prompt:str}/custom-text/{language:str}", "update:prompts")
async def set_custom_text(
    call: CallOf, prompt: FromPath[str], language: FromPath[str], data: JSONBody[CustomTextsIn]
) -> dict[str, Any]:
    """The tenant's own texts are what is sent, and nothing else; nothing returns to what is inherited."""
    document = _document(prompt, language)
    _check(prompt, data)
    return await call.write(_put, call.tenant, document, data)


def _document(prompt: str, language: str) -> Document[CustomTexts]:
    if prompt not in PROMPTS:
        raise NotFound("prompt")
    if language not in LANGUAGE_TAGS:
        raise NotFound("language")
    return CUSTOM_TEXTS.of(prompt, language)


def _check(prompt: str, data: Mapping[str, Mapping[str, str]]) -> None:
    screens = screens_of(prompt)
    for name, texts in data.items():
        if name not in screens:
            raise InvalidInput(f"The prompt has the screens: {', '.join(sorted(screens)) or 'none'}.")
        for key, text in texts.items():
            _check_text(screens[name], key, text)


def _check_text(screen: Screen, key: str, text: str) -> None:
    if key not in screen.keys:
        raise InvalidInput(f"The screen {screen.name} has the texts: {', '.join(sorted(screen.keys))}.")
    ours = screen.keys[key]
    known = {*VARIABLES, *(values_of(ENGLISH[ours]) if ours != PAGE_TITLE else ())}
    if unknown := sorted(set(variables_of(text)) - known):
        raise InvalidInput(f"${{{unknown[0]}}} stands for nothing in {key}.")


def _get(
    connection: Connection, document: Document[CustomTexts], with_provenance: bool = False
) -> dict[str, Any]:
    found = documents.read(connection, document)
    shown: dict[str, Any] = dict(found.value(document).screens)
    return {**shown, "provenance": found.source(document, "screens")} if with_provenance else shown


def _put(
    connection: Connection, tenant: Tenant, document: Document[CustomTexts], data: Mapping[str, Any]
) -> Written:
    said = {name: dict(texts) for name, texts in data.items() if texts}
    before = _get(connection, document, with_provenance=True)
    documents.change(connection, tenant, document, {"screens": said} if said else {}, replace=True)
    after = _get(connection, document, with_provenance=True)
    return Written(answer=_get(connection, document), before=before, after=after)


handlers = [get_prompts, update_prompts, get_custom_text, set_custom_text]
