"""`/api/v2/emails/provider`: the mail server of the tenant's own, or what it may know of the one it inherits.

An inherited provider is shown by its name alone, and only to who asks for provenance: its server, its sender and its
secret belong to tenant one, and what Auth0's tools would write back of it is no provider. Where a secret goes cannot
change without the secret (`specs/bad-inputs.md` 120).
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.params import JSONBody
from msgspec import UNSET
from sqlalchemy import Connection

from core.errors import Conflict, InvalidInput, NotFound
from core.http.paging import parse_boolean, parse_fields
from core.outbound import Outbound, OutboundRefused
from core.tenants import Tenant
from tenant_runtime.documents import Documents, hidden
from tenant_runtime.mail.provider import (
    PROVIDER,
    SECRETS,
    SERVICES,
    EmailProvider,
    address_of,
    is_mailbox,
    said_by,
)
from tenant_runtime.management.calls import CallOf, Written
from tenant_runtime.management.documents import change, read
from tenant_runtime.management.editing import Body, Maybe, Name, Object, ShortText, named
from tenant_runtime.management.routing import changing, creating, reading, removing

SMTP = "smtp"
_SMTP_MEMBERS = frozenset({"smtp_host", "smtp_port", "smtp_user", "smtp_pass"})
_SERVICE_MEMBERS = frozenset({"api_key", "region"})
_LONGEST = 2048
_AT = ("smtp_host", "smtp_port", "smtp_user", "region")
"""Where the secret goes, beside the name of the service."""


class ProviderPost(Body):
    name: Name
    credentials: Object
    default_from_address: ShortText
    enabled: bool = True
    settings: Maybe[Object | None] = UNSET


class ProviderPatch(Body):
    name: Maybe[Name] = UNSET
    credentials: Maybe[Object] = UNSET
    default_from_address: Maybe[ShortText] = UNSET
    enabled: Maybe[bool] = UNSET
    settings: Maybe[Object | None] = UNSET


@reading("/emails/provider", "read:email_provider")
async def get_email_provider(call: CallOf) -> dict[str, Any]:
    query = call.request.query_params
    with_provenance, fields = parse_boolean(query, "include_provenance", default=False), parse_fields(query)
    documents = await call.read(read, PROVIDER)
    shown, is_own = _shown(documents), PROVIDER.key in documents.own
    if shown is None or not (is_own or with_provenance):
        raise _none_of_its_own()
    if with_provenance:
        shown["provenance"] = dict.fromkeys(shown, "tenant" if is_own else "control_plane")
    return fields.apply(shown)


@creating("/emails/provider", "create:email_provider")
async def create_email_provider(call: CallOf, data: JSONBody[ProviderPost]) -> dict[str, Any]:
    answer: dict[str, Any] = await call.write(_create, call.tenant, call.services.outbound, named(data))
    return answer


@changing("/emails/provider", "update:email_provider")
async def update_email_provider(call: CallOf, data: JSONBody[ProviderPatch]) -> dict[str, Any]:
    answer: dict[str, Any] = await call.write(_update, call.tenant, call.services.outbound, named(data))
    return answer


@removing("/emails/provider", "delete:email_provider")
async def delete_email_provider(call: CallOf) -> None:
    await call.write(_stored, call.tenant, {})


def _create(
    connection: Connection, tenant: Tenant, outbound: Outbound, members: Mapping[str, Any]
) -> Written:
    if PROVIDER.key in read(connection, PROVIDER).own:
        raise Conflict("An e-mail provider is configured already.")
    return _say(connection, tenant, outbound, {}, members)


def _update(
    connection: Connection, tenant: Tenant, outbound: Outbound, members: Mapping[str, Any]
) -> Written:
    """Of an inherited provider nothing can be changed."""
    own = read(connection, PROVIDER).own.get(PROVIDER.key)
    if own is None:
        raise _none_of_its_own()
    return _say(connection, tenant, outbound, own, members)


def _none_of_its_own() -> NotFound:
    return NotFound("email_provider", "This tenant has no e-mail provider of its own.")


def _say(
    connection: Connection,
    tenant: Tenant,
    outbound: Outbound,
    own: Mapping[str, Any],
    members: Mapping[str, Any],
) -> Written:
    credentials = _credentials(own, members)
    wanted = {**own, **members, "credentials": credentials}
    wanted["settings"] = wanted.get("settings") or {}
    wanted.setdefault("enabled", True)
    _check(wanted, outbound)
    _check_secret(own, wanted, members.get("credentials", {}))
    return _stored(connection, tenant, wanted)


def _stored(connection: Connection, tenant: Tenant, wanted: Mapping[str, Any]) -> Written:
    """What is told of it is what may be seen: nothing of an inherited provider's server, and no secret."""
    before = _shown(read(connection, PROVIDER))
    done = change(connection, tenant, PROVIDER, wanted, replace=True)
    after = _shown(read(connection, PROVIDER))
    if not done.changed:
        return Written(answer=after, before=before, after=before)
    told = {**after, "secret": "given"} if after is not None and after == before else after
    return Written(answer=after, before=before, after=told)


def _credentials(own: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    """Merged with what stands, unless they are for another service."""
    given = members.get("credentials", {})
    for name, value in given.items():
        if isinstance(value, dict):  # what is stored sealed is made here, and nowhere else
            raise InvalidInput(f"`credentials.{name}` must be a text.")
    is_other = members.get("name", own.get("name")) != own.get("name")
    merged = given if is_other else {**own.get("credentials", {}), **given}
    lower = {"smtp_host": str(merged["smtp_host"]).lower()} if merged.get("smtp_host") else {}
    return {name: value for name, value in {**merged, **lower}.items() if value is not None}


def _check(wanted: Mapping[str, Any], outbound: Outbound) -> None:
    name, sender = str(wanted["name"]), wanted.get("default_from_address")
    if name != SMTP and name not in SERVICES:
        raise InvalidInput(
            f"The provider `{name}` is not supported here yet. Its SMTP server can be used with the name `smtp`;"
            f" {', '.join(f'`{known}`' for known in sorted(SERVICES))} take their own key."
        )
    if not sender or not is_mailbox(sender):
        raise InvalidInput("`default_from_address` must be the address that letters come from.")
    _check_credentials(name, wanted["credentials"])
    try:
        outbound.check_mail_server(*address_of(msgspec.convert(wanted, EmailProvider)))
    except OutboundRefused as refused:
        raise InvalidInput(f"`credentials.smtp_host`: {refused}") from None


def _check_credentials(name: str, credentials: Mapping[str, Any]) -> None:
    known = _SMTP_MEMBERS if name == SMTP else _SERVICE_MEMBERS
    if unknown := sorted(credentials.keys() - known):
        raise InvalidInput(f"`credentials` of `{name}` have no member `{unknown[0][:100]}`.")
    port = credentials.get("smtp_port")
    if name == SMTP and (not isinstance(port, int) or isinstance(port, bool)):
        raise InvalidInput("`credentials.smtp_port` must be a number.")
    for member, value in credentials.items():
        if member in SECRETS and isinstance(value, Mapping):
            continue
        if member != "smtp_port" and not _is_text(value):
            raise InvalidInput(f"`credentials.{member}` must be a text.")
    needed = ("smtp_host",) if name == SMTP else ("api_key",)
    if missing := [member for member in needed if not credentials.get(member)]:
        raise InvalidInput(f"`credentials.{missing[0]}` is needed.")
    if ("smtp_pass" in credentials) != ("smtp_user" in credentials):
        raise InvalidInput("`credentials` must have both `smtp_user` and `smtp_pass`, or neither.")
    if credentials.get("region") not in (None, *((SERVICES[name].regions or ()) if name in SERVICES else ())):
        raise InvalidInput(f"`credentials.region` is none of `{name}`.")


def _check_secret(own: Mapping[str, Any], wanted: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    kept = [name for name in SECRETS if name in wanted["credentials"] and name not in given]
    if kept and _place(own) != _place(wanted):
        raise InvalidInput(
            f"`credentials.{kept[0]}` must be given again, as it would be sent elsewhere or for another user."
        )


def _place(said: Mapping[str, Any]) -> list[Any]:
    credentials = said.get("credentials", {})
    return [said.get("name"), *(credentials.get(name) for name in _AT)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _shown(documents: Documents) -> dict[str, Any] | None:
    own = said_by(documents, "tenant")
    if own is not None:
        shown: dict[str, Any] = hidden(msgspec.to_builtins(own))
        return shown
    inherited = said_by(documents, "control_plane")
    return None if inherited is None else {"name": inherited.name, "enabled": inherited.enabled}


handlers = [get_email_provider, create_email_provider, update_email_provider, delete_email_provider]
