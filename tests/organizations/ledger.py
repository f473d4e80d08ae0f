"""What memberships, sessions and tokens ought to be, by the acts that were done: a test's own account of it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Family:
    """What one authorization became. `begun` and `now`: the organizations it began in and its refresh token names."""

    user: int
    begun: int | None
    now: int | None
    refresh_token: str
    is_alive: bool = True
    access: list[tuple[int | None, str]] = field(default_factory=list)

    def is_for(self, organization: int) -> bool:
        return organization in (self.begun, self.now)


@dataclass(slots=True)
class Ledger:
    """Roles by (organization, user); where each session is, by (user, session)."""

    roles: dict[tuple[int, int], str] = field(default_factory=dict)
    places: dict[tuple[int, int], int | None] = field(default_factory=dict)
    families: list[Family] = field(default_factory=list)

    def is_member(self, organization: int | None, user: int) -> bool:
        return organization is None or (organization, user) in self.roles

    def removed(self, organization: int, user: int) -> None:
        self.roles.pop((organization, user), None)
        for session, place in self.places.items():
            if session[0] == user and place == organization:
                self.places[session] = None
        for family in self.families:
            if family.user == user and family.is_for(organization):
                family.is_alive = False

    def opens(self, family: Family, organization: int | None) -> bool:
        """Whether an access token of that family, which names that organization, is good now."""
        return family.is_alive and self.is_member(organization, family.user)
