"""Code of the installation's own that is asked before something happens to an organization, and told after.

A hook is an object with some of these methods, each of them async, for the actions below:

    before_ACTION(values, about)   may refuse (raise `refusal(...)`), or answer values to be used instead
    after_ACTION(about)            is told after the commit; what it raises is logged, and undoes nothing
    send_invitation(invitation, about)   sends the letter itself

They are found as entry points of the group `keystead.organization_hooks` when the process starts, and asked in the
order of the entry points' names. None runs inside of a transaction.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Protocol, get_args

import structlog

from core.settings import SettingsError

_log = structlog.get_logger(__name__)

Action = Literal[
    "create_organization",
    "update_organization",
    "delete_organization",
    "add_member",
    "remove_member",
    "update_member_role",
    "invite_member",
    "accept_invitation",
    "reject_invitation",
    "cancel_invitation",
    "create_team",
    "update_team",
    "remove_team",
    "add_team_member",
    "remove_team_member",
]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
OVERRIDABLE: Final[frozenset[Action]] = frozenset(
    {
        "create_organization",
        "update_organization",
        "add_member",
        "update_member_role",
        "invite_member",
        "create_team",
        "update_team",
        "add_team_member",
    }
)
"""Of the others a hook can only say no."""

SEND_INVITATION: Final = "send_invitation"
METHODS: Final[frozenset[str]] = frozenset(
    {*(f"{when}_{action}" for when in ("before", "after") for action in ACTIONS), SEND_INVITATION}
)


class Hooks(Protocol):
    @property
    def sends_invitations(self) -> bool:
        """Whether somebody here sends letters of invitation themselves."""

    def has_before(self, action: Action) -> bool:
        """Whether anybody is asked."""

    async def before(
        self, action: Action, values: Mapping[str, Any], about: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values to go on with. `about`: who asks, in which tenant, for which organization."""

    async def after(self, action: Action, about: Mapping[str, Any]) -> None:
        """What was done, after its commit."""

    async def send_invitation(self, invitation: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """What it raises is a letter that was not sent."""


class NoHooks:
    sends_invitations = False

    def has_before(self, action: Action) -> bool:
        return False

    async def before(
        self, action: Action, values: Mapping[str, Any], about: Mapping[str, Any]
    ) -> dict[str, Any]:
        return dict(values)

    async def after(self, action: Action, about: Mapping[str, Any]) -> None:
        return None

    async def send_invitation(self, invitation: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        raise LookupError("Nobody here sends letters of invitation.")


class InstalledHooks:
    """Several objects as one. Of two that send invitations neither would know of the other: there is one at most."""

    def __init__(self, hooks: Iterable[Any]) -> None:
        self._methods: dict[str, list[Any]] = {}
        for hook in hooks:
            for name in _methods_of(hook):
                self._methods.setdefault(name, []).append(getattr(hook, name))
        if len(self._methods.get(SEND_INVITATION, ())) > 1:
            raise SettingsError("More than one organization hook sends invitations. Keep one.")

    @property
    def sends_invitations(self) -> bool:
        return SEND_INVITATION in self._methods

    def has_before(self, action: Action) -> bool:
        return f"before_{action}" in self._methods

    async def before(
        self, action: Action, values: Mapping[str, Any], about: Mapping[str, Any]
    ) -> dict[str, Any]:
        current = dict(values)
        for method in self._methods.get(f"before_{action}", ()):
            answer = await method(dict(current), about)
            if action in OVERRIDABLE and isinstance(answer, Mapping):
                current |= answer
        return current

    async def after(self, action: Action, about: Mapping[str, Any]) -> None:
        for method in self._methods.get(f"after_{action}", ()):
            try:
                await method(about)
            except Exception:  # noqa: BLE001  (it is done, whatever an observer makes of it)
                _log.exception("organization_hook_failed", hook=f"after_{action}", tenant=about.get("tenant"))

    async def send_invitation(self, invitation: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        (method,) = self._methods[SEND_INVITATION]
        await method(invitation, about)


def _methods_of(hook: Any) -> list[str]:
    """A name that looks like a hook and is none, or is not async, would never be called: nobody would notice."""
    found = []
    for name in dir(hook):
        if not name.startswith(("before_", "after_", SEND_INVITATION)):
            continue
        if name not in METHODS:
            raise SettingsError(f"There is no organization hook {name}.")
        if not inspect.iscoroutinefunction(getattr(hook, name)):
            raise SettingsError(f"The organization hook {name} must be async.")
        found.append(name)
    return found
