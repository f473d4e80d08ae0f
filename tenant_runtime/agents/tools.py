"""The tools: what each is called and takes, what a token must say for it, and what does it.

A tool that is refused answers `isError` with the code and the sentence of the organization API, so that the agent can
tell its person why.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from core.errors import IdentityError
from tenant_runtime.agents import organizations, people
from tenant_runtime.agents.resource import READ, WRITE
from tenant_runtime.agents.tool_calls import ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    title: str
    description: str
    scope: str
    arguments: type[msgspec.Struct]
    run: Callable[[ToolCall, Any], Awaitable[dict[str, Any]]]
    takes_away: bool = False

    def described(self) -> dict[str, Any]:
        """What of it is the protocol's `Tool`."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": _schema(self.arguments),
            "annotations": {
                "readOnlyHint": self.scope == READ,
                "destructiveHint": self.takes_away,
                "openWorldHint": False,
            },
        }


def _schema(type: type[msgspec.Struct]) -> dict[str, Any]:
    """Flat: arguments hold texts, numbers and lists of them."""
    schema: dict[str, Any] = msgspec.json.schema(type)["$defs"][type.__name__]
    schema.pop("title", None)
    return {**schema, "additionalProperties": False}


TOOLS = (
    Tool(
        name="list-organizations",
        title="List organizations",
        description="The organizations that the person belongs to, and which of them the access token is for.",
        scope=READ,
        arguments=organizations.Nothing,
        run=organizations.list_organizations,
    ),
    Tool(
        name="create-organization",
        title="Create an organization",
        description="Makes an organization with the person as its owner. Does not switch to it.",
        scope=WRITE,
        arguments=organizations.NewOrganization,
        run=organizations.create_organization,
    ),
    Tool(
        name="switch-organization",
        title="Switch to an organization",
        description=(
            "Says how to get an access token for another of the person's organizations. It switches nothing by"
            " itself: which organization a call is in is said by its access token."
        ),
        scope=READ,
        arguments=organizations.WantedOrganization,
        run=organizations.switch_organization,
    ),
    Tool(
        name="list-members",
        title="List members",
        description="Who is in an organization, with their roles there.",
        scope=READ,
        arguments=people.MembersOf,
        run=people.list_members,
    ),
    Tool(
        name="invite-member",
        title="Invite somebody",
        description="Sends an invitation to a mail address.",
        scope=WRITE,
        arguments=people.NewInvitation,
        run=people.invite_member,
    ),
    Tool(
        name="update-member-role",
        title="Change a member's role",
        description="Replaces the roles of a member.",
        scope=WRITE,
        arguments=people.NewRole,
        run=people.update_member_role,
        takes_away=True,
    ),
    Tool(
        name="remove-member",
        title="Remove a member",
        description="Ends a membership, with every session's and every token's access to the organization.",
        scope=WRITE,
        arguments=people.LeavingMember,
        run=people.remove_member,
        takes_away=True,
    ),
)
BY_NAME = {tool.name: tool for tool in TOOLS}

_NUL = b"\\u0000"


@dataclass(frozen=True, slots=True)
class Outcome:
    value: dict[str, Any]
    is_error: bool


async def run(tool: Tool, call: ToolCall, given: Mapping[str, Any]) -> Outcome:
    call.agent.require(tool.scope)
    try:
        arguments = _arguments(tool, given)
    except msgspec.ValidationError as error:
        return _failed("VALIDATION_ERROR", str(error))
    try:
        return Outcome(await tool.run(call, arguments), is_error=False)
    except IdentityError as error:
        if error.status >= 500:
            raise
        return _failed(error.code.upper(), error.description)


def _arguments(tool: Tool, given: Mapping[str, Any]) -> Any:
    """JSON can spell texts that nothing can store: lone surrogates, and NUL."""
    try:
        storable = _NUL not in msgspec.json.encode(given)
    except (UnicodeEncodeError, RecursionError):
        storable = False
    if not storable:
        raise msgspec.ValidationError("A text holds characters that are not allowed")
    return msgspec.convert(given, tool.arguments)


def _failed(code: str, message: str) -> Outcome:
    return Outcome({"code": code, "message": message}, is_error=True)
