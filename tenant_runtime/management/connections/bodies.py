"""Bodies of connections, in Auth0's shape."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from core.errors import InvalidInput
from core.outbound import Outbound
from tenant_runtime.connections.addresses import check_addresses
from tenant_runtime.connections.options import DatabaseOptions, EmailOptions, options_type, read_options
from tenant_runtime.connections.secrets import are_in_lists
from tenant_runtime.connections.strategies import Strategy
from tenant_runtime.management.editing import Body, Id, Maybe, Name, Object, named
from tenant_runtime.management.emails.checking import check_liquid

ConnectionName = Annotated[str, Meta(max_length=128, pattern=r"^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$")]
Clients = Annotated[list[Id], Meta(max_length=1000)]
Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=255)], Annotated[str, Meta(max_length=255)] | bool | None
    ],
    Meta(max_length=25),
]
KEPT = "$kept"
"""Among the stored options: members of a connection that are kept as they were written and mean nothing here."""

_KEPT_MEMBERS = ("show_as_button", "realms", "authentication", "connected_accounts")


class Active(Body):
    active: bool


class ConnectedAccounts(Body):
    active: bool
    cross_app_access: Maybe[bool] = UNSET


class ConnectionPatch(Body):
    display_name: Maybe[Annotated[str, Meta(max_length=128)] | None] = UNSET
    options: Maybe[Object | None] = UNSET
    enabled_clients: Maybe[Clients] = UNSET
    is_domain_connection: Maybe[bool] = UNSET
    show_as_button: Maybe[bool] = UNSET
    realms: Maybe[Annotated[list[Name], Meta(max_length=10)]] = UNSET
    metadata: Maybe[Metadata | None] = UNSET
    authentication: Maybe[Active | None] = UNSET
    connected_accounts: Maybe[ConnectedAccounts | None] = UNSET


class ConnectionIn(ConnectionPatch, kw_only=True):
    name: ConnectionName
    strategy: Strategy


class ClientStatus(Body):
    client_id: Id
    status: bool


AT_ONCE = 50
"""Clients in the list of `PATCH /connections/{id}/clients`."""


def members_of(data: ConnectionPatch) -> dict[str, Any]:
    """As columns; `enabled_clients` and what is only kept stand beside them."""
    members = named(data)
    kept = {name: members.pop(name) for name in _KEPT_MEMBERS if name in members}
    return {**members, KEPT: kept}


def check_options(strategy: str, options: Mapping[str, Any], outbound: Outbound) -> None:
    if any(name.startswith("$") for name in options):
        raise InvalidInput("The members of `options` must not begin with $.")
    if are_in_lists(options):
        raise InvalidInput("`options`: a list may hold no secret.")
    kind = options_type(strategy)
    try:
        msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"`options`: {error}") from None
    check_addresses(options, outbound)
    if kind is DatabaseOptions:
        _check_database(read_options(DatabaseOptions, options))
    if kind is EmailOptions:
        letter = read_options(EmailOptions, options).letter
        for name, text in (("body", letter.body), ("subject", letter.subject), ("from", letter.sender)):
            check_liquid(f"options.email.{name}", text)


def _check_database(options: DatabaseOptions) -> None:
    if options.import_mode or options.customized:
        raise InvalidInput(
            "`options.import_mode` and `options.enabledDatabaseCustomization` must be false: users are imported by a"
            " job, and no code of the tenant's runs here."
        )
    if options.ways is not None and options.ways.password is not None and not options.ways.password.enabled:
        raise InvalidInput(
            "`options.authentication_methods.password` must be enabled: it is the only way here."
        )
    if options.name_length.min > options.name_length.max:
        raise InvalidInput("`options.validation.username.min` must not be more than `max`.")
