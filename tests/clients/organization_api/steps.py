"""How a step of a scene is written: who does what with the client, and what it is answered.

`do` is the client's method by its dotted name, or `fetch` for a request that the client would never send;
`$name.member` is something that a step kept, or a person. A step succeeds unless it `fails` with a status and a code;
`differs` says why the reference answers otherwise there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Refusal = tuple[int, str | None]
"""Status and code; None: a body without a code, or none."""

PASSWORD = "correct horse battery staple"
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    is_verified: bool = True

    def email(self, scene: str) -> str:
        return f"{self.name}@{scene}.example"


@dataclass(frozen=True, slots=True)
class Step:
    by: str
    do: str
    given: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    keep: str = ""
    fails: Refusal | None = None
    differs: str = ""
    together: tuple["Step", ...] = ()

    @property
    def path(self) -> str:
        """That the client makes of it."""
        if self.do == "fetch":
            return str(self.given["path"]).partition("?")[0]
        return re.sub(r"[A-Z]", lambda found: "-" + found[0].lower(), "/" + self.do.replace(".", "/"))

    def sent(self) -> dict[str, Any]:
        if self.together:
            return {"together": [each.sent() for each in self.together]}
        return {"by": self.by, "do": self.do, "with": self.given, "query": self.query, "keep": self.keep}

    def __str__(self) -> str:
        return " | ".join(map(str, self.together)) or f"{self.by} {self.do} {self.given or self.query}"


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    people: tuple[Person, ...]
    steps: tuple[Step, ...]
    options: dict[str, Any] = field(default_factory=dict)
    has_window: bool = False
    """The client believes that it is in a page."""


def step(
    by: str,
    do: str,
    *,
    keep: str = "",
    query: dict[str, Any] | None = None,
    fails: Refusal | None = None,
    differs: str = "",
    **given: Any,
) -> Step:
    return Step(by, do, given, query or {}, keep, fails, differs)


def organization(by: str, do: str, **more: Any) -> Step:
    return step(by, f"organization.{do}", **more)


def at_once(*steps: Step, differs: str = "") -> Step:
    """All begun before one is answered. As many succeed as do not `fail`, whichever they are."""
    return Step("", "", differs=differs, together=steps)


def people(*names: str, strangers: Sequence[str] = ()) -> tuple[Person, ...]:
    """`strangers` have proven no address."""
    return (*map(Person, names), *(Person(name, is_verified=False) for name in strangers))


def joined(
    scene: str, name: str, inviter: str, organization_id: str, role: str = "member"
) -> tuple[Step, Step]:
    """Somebody comes into an organization, as everybody does."""
    kept = f"{name}_invited"
    return (
        organization(
            inviter,
            "inviteMember",
            keep=kept,
            email=f"{name}@{scene}.example",
            role=role,
            organizationId=organization_id,
        ),
        organization(name, "acceptInvitation", keep=f"{name}_in", invitationId=f"${kept}.id"),
    )
