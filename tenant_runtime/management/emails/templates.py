"""`/api/v2/email-templates`: letters in the tenant's own words, by Auth0's names.

A template is there once somebody wrote it: the tenant, or the control plane for it. What does not parse is refused
with the line where it goes wrong.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn

import msgspec
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from core.errors import Conflict, InvalidInput, NotFound
from core.http.paging import parse_boolean, parse_fields
from core.tenants import Tenant
from tenant_runtime.documents import Document, Documents
from tenant_runtime.mail.provider import is_mailbox
from tenant_runtime.mail.templates import NAMES, TEMPLATES, EmailTemplate, TemplateName
from tenant_runtime.management.calls import Call, CallOf, Written
from tenant_runtime.management.documents import change, read
from tenant_runtime.management.editing import Maybe, ShortText
from tenant_runtime.management.emails.checking import check_liquid
from tenant_runtime.management.routing import changing, creating, reading, replacing
from tenant_runtime.management.settings.tenant import Locale

MOST_TRANSLATIONS = 30
Letter = Annotated[str, Meta(max_length=65_536)]
Lifetime = Annotated[int, Meta(ge=60, le=2_592_000)]
_LIQUID = ("body", "subject", "from", "resultUrl")


class TranslationIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    subject: ShortText | None = None
    body: Letter | None = None


class TemplatePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    template: Maybe[TemplateName] = UNSET
    body: Maybe[Letter | None] = UNSET
    from_: Maybe[ShortText | None] = msgspec.field(default=UNSET, name="from")
    subject: Maybe[ShortText | None] = UNSET
    syntax: Maybe[Literal["liquid"] | None] = UNSET
    resultUrl: Maybe[ShortText | None] = UNSET
    urlLifetimeInSeconds: Maybe[Lifetime | None] = UNSET
    includeEmailInRedirect: Maybe[bool | None] = UNSET
    enabled: Maybe[bool | None] = UNSET
    translations: Maybe[dict[Locale, TranslationIn] | None] = UNSET


@creating("/email-templates", "create:email_templates")
async def create_email_template(call: CallOf, data: JSONBody[TemplatePatch]) -> dict[str, Any]:
    if isinstance(data.template, UnsetType):
        raise InvalidInput("`template` is needed.")
    document, members = TEMPLATES.of(data.template), await asyncio.to_thread(_members, data)
    if not members.get("body"):
        raise InvalidInput("`body` is needed.")
    answer: dict[str, Any] = await call.write(_create, call.tenant, document, members)
    return answer


@reading("/email-templates/{name:str}", "read:email_templates")
async def get_email_template(call: CallOf, name: FromPath[str]) -> dict[str, Any]:
    document, query = _document(name), call.request.query_params
    with_provenance, fields = parse_boolean(query, "include_provenance", default=False), parse_fields(query)
    documents = await call.read(read, document)
    if not documents.is_said(document):
        _missing()
    shown = _shown(documents, document)
    if with_provenance:
        shown["provenance"] = documents.provenance(document)
    return fields.apply(shown)


@changing("/email-templates/{name:str}", "update:email_templates")
async def update_email_template(
    call: CallOf, name: FromPath[str], data: JSONBody[TemplatePatch]
) -> dict[str, Any]:
    return await _update(call, name, data, replace=False)


@replacing("/email-templates/{name:str}", "update:email_templates")
async def replace_email_template(
    call: CallOf, name: FromPath[str], data: JSONBody[TemplatePatch]
) -> dict[str, Any]:
    return await _update(call, name, data, replace=True)


async def _update(call: Call, name: str, data: TemplatePatch, *, replace: bool) -> dict[str, Any]:
    document = _document(name)
    if data.template not in (UNSET, name):
        raise InvalidInput("`template` is another one than the path names.")
    members = await asyncio.to_thread(_members, data)
    answer: dict[str, Any] = await call.write(_change, call.tenant, document, members, replace=replace)
    return answer


def _create(
    connection: Connection, tenant: Tenant, document: Document[EmailTemplate], members: Mapping[str, Any]
) -> Written:
    if document.key in read(connection, document).own:
        raise Conflict("This e-mail template exists already.")
    return _written(connection, tenant, document, members, replace=True)


def _change(
    connection: Connection,
    tenant: Tenant,
    document: Document[EmailTemplate],
    members: Mapping[str, Any],
    *,
    replace: bool,
) -> Written:
    """A PUT says it anew as a whole, a PATCH what it names; neither makes it."""
    if not read(connection, document).is_said(document):
        _missing()
    return _written(connection, tenant, document, members, replace=replace)


def _written(
    connection: Connection,
    tenant: Tenant,
    document: Document[EmailTemplate],
    members: Mapping[str, Any],
    *,
    replace: bool,
) -> Written:
    done = change(connection, tenant, document, members, replace=replace)
    shown = _shown(read(connection, document), document)
    return Written(answer=shown, before=done.before, after=done.after)


def _document(name: str) -> Document[EmailTemplate]:
    if name not in NAMES:
        _missing()
    return TEMPLATES.of(name)


def _missing() -> NoReturn:
    raise NotFound("email_template", "This e-mail template does not exist.")


def _members(data: TemplatePatch) -> dict[str, Any]:
    """What was named, checked: in a thread, as reading the longest template takes a while."""
    pairs = zip(data.__struct_fields__, data.__struct_encode_fields__, strict=True)
    named = {wire: getattr(data, name) for name, wire in pairs if wire != "template"}
    members = {name: msgspec.to_builtins(value) for name, value in named.items() if value is not UNSET}
    for name in _LIQUID:
        check_liquid(name, members.get(name))
    sender = members.get("from")
    if sender and "{" not in sender and not is_mailbox(sender):
        raise InvalidInput("`from` must be an address, with or without a name before it.")
    _check_translations(members.get("translations") or {})
    return members


def _check_translations(translations: Mapping[str, Mapping[str, str | None]]) -> None:
    if len(translations) > MOST_TRANSLATIONS:
        raise InvalidInput(f"`translations` may be {MOST_TRANSLATIONS} at most.")
    for language, texts in translations.items():
        for name, text in texts.items():
            check_liquid(f"translations.{language}.{name}", text)


def _shown(documents: Documents, document: Document[EmailTemplate]) -> dict[str, Any]:
    """Whose letters they are is said by each tenant itself: an inherited `from` is neither used nor shown."""
    shown: dict[str, Any] = {"template": document.key.partition(":")[2]}
    shown |= msgspec.to_builtins(documents.value(document))
    if documents.source(document, "from") != "tenant":
        shown["from"] = None
    return shown


handlers = [
    create_email_template,
    get_email_template,
    update_email_template,
    replace_email_template,
]
