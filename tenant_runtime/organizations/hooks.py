"""Code of the installation's own that is asked before something happens to an organization, and told after.

A hook before may refuse (raise `ApiError`) or answer other values; it runs outside of any transaction. Hooks are found
as entry points of the group `keystead.organization_hooks` when the process starts.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Hooks(Protocol):
    """`name` is the action's, as the in-process function has it: `create_organization`, `add_member`, ..."""

    async def before(self, name: str, values: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
        """The values to go on with. `about`: who asks, in which tenant, for which organization."""

    async def after(self, name: str, about: Mapping[str, Any]) -> None:
        """What was done, after its commit. What it raises is logged, and undoes nothing."""


class NoHooks:
    async def before(self, name: str, values: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values)

    async def after(self, name: str, about: Mapping[str, Any]) -> None:
        return None
