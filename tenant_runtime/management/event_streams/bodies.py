"""Bodies of event streams, as Auth0 has them."""

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta

from core.errors import InvalidInput
from core.outbound import Outbound
from tenant_runtime.management.editing import Address, Body, Maybe, Name, Object
from tenant_runtime.management.log_streams.bodies import Moment, check_endpoint
from tenant_runtime.streams.changes import PLATFORM_TYPES, TYPES

Secret = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[\x20-\x7e]+\Z")]
EventType = Annotated[str, Meta(min_length=1, max_length=100)]


class Subscription(Body):
    event_type: EventType


class Authorization(Body):
    """`basic` with `username` and `password`, or `bearer` with `token`."""

    method: Literal["basic", "bearer"]
    username: Maybe[Secret] = UNSET
    password: Maybe[Secret] = UNSET
    token: Maybe[Secret] = UNSET


class WebhookPatch(Body):
    webhook_endpoint: Maybe[Address] = UNSET
    webhook_authorization: Maybe[Authorization | None] = UNSET


class Destination(Body):
    type: Literal["webhook"]
    configuration: WebhookPatch


Subscriptions = Annotated[list[Subscription], Meta(min_length=1, max_length=50)]


class EventStreamPatch(Body):
    name: Maybe[Name] = UNSET
    subscriptions: Maybe[Subscriptions] = UNSET
    destination: Maybe[Destination] = UNSET
    status: Maybe[Literal["enabled", "disabled"]] = UNSET


class EventStreamIn(EventStreamPatch, kw_only=True):
    subscriptions: Subscriptions
    destination: Destination


class TestBody(Body):
    __test__ = False

    event_type: EventType
    data: Maybe[Object] = UNSET


class RedeliverBody(Body):
    date_from: Maybe[Moment] = UNSET
    date_to: Maybe[Moment] = UNSET
    statuses: Maybe[list[Literal["failed"]]] = UNSET
    event_types: Maybe[Annotated[list[EventType], Meta(max_length=50)]] = UNSET


def check(members: Mapping[str, Any], outbound: Outbound, is_control_plane: bool) -> None:
    for item in members.get("subscriptions", ()):
        check_event_type(item["event_type"], is_control_plane)
    configuration = members.get("destination", {}).get("configuration", {})
    if (endpoint := configuration.get("webhook_endpoint")) is not None:
        check_endpoint("destination.configuration.webhook_endpoint", endpoint, outbound)
    if configuration.get("webhook_authorization"):
        header_of(configuration["webhook_authorization"])


def check_event_type(event_type: str, is_control_plane: bool) -> None:
    known = (*TYPES, *PLATFORM_TYPES) if is_control_plane else TYPES
    if event_type not in known:
        raise InvalidInput(f"{event_type!r} is no type of event. There are: {', '.join(known)}.")


def header_of(authorization: Mapping[str, Any]) -> str:
    """The value of the header."""
    wanted = {"basic": ("username", "password"), "bearer": ("token",)}[authorization["method"]]
    if authorization.keys() - {"method"} != set(wanted):
        raise InvalidInput(
            f"`webhook_authorization` with method {authorization['method']} has {' and '.join(wanted)}."
        )
    if authorization["method"] == "bearer":
        return f"Bearer {authorization['token']}"
    pair = f"{authorization['username']}:{authorization['password']}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


def readable(authorization: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in authorization.items() if name in ("method", "username")}
