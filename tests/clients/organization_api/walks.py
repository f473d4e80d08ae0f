"""Scenes that nobody thought of: people who invite, accept, promote, remove and leave by chance, alike for a seed."""

from collections.abc import Callable, Iterator
from random import Random
from string import ascii_lowercase

from tests.clients.organization_api.steps import Scene, Step, organization, people

NAMES = ("ada", "ben", "cleo", "dan")
ROLES = ("member", "admin", "owner", "guest", "admin,member", "admin,owner")
ASKED = ({"invitation": ["create"]}, {"member": ["delete"]}, {"organization": ["delete"]})
LENGTH = 70
HERE = {"organizationId": "$org.id"}


class Walk:
    """Ids of what may have been made; a step with one that was not is refused by the driver, here and there."""

    def __init__(self, seed: int) -> None:
        self.name = f"walk{seed}"
        self._random = Random(seed)
        self._invited: list[tuple[str, str]] = []
        self._members = ["$org.members.0.id"]
        self._teams = ["$first.id"]

    def scene(self) -> Scene:
        return Scene(self.name, people(*NAMES), tuple(self._steps()))

    def _steps(self) -> Iterator[Step]:
        yield organization("ada", "create", keep="org", name="Walk", slug=self.name)
        yield organization("ada", "createTeam", keep="first", name="First", **HERE)
        yield self._invites()
        kinds: tuple[tuple[Callable[[], Step], int], ...] = (
            (self._invites, 20),
            (self._accepts, 30),
            (self._rejects, 5),
            (self._changes, 12),
            (self._removes, 8),
            (self._leaves, 3),
            (self._to_team, 5),
            (self._from_team, 3),
            (self._makes_team, 2),
            (self._ends_team, 2),
            (self._reads, 10),
        )
        acts, weights = zip(*kinds, strict=True)
        for act in self._random.choices(acts, weights, k=LENGTH):
            yield act()

    def _who(self) -> str:
        return self._random.choice(NAMES)

    def _by(self) -> str:
        """Most often somebody who may."""
        return self._random.choice((*NAMES, "ada", "ada", "ada", "ada"))

    def _invites(self) -> Step:
        invited, whom = f"invited_{_letters(len(self._invited))}", self._who()
        self._invited.append((invited, whom))
        team = {"teamId": self._random.choice(self._teams)} if self._random.random() < 0.3 else {}
        about = {"email": f"{whom}@{self.name}.example", "role": self._random.choice(ROLES)}
        resend = self._random.random() < 0.2
        return organization(self._by(), "inviteMember", keep=invited, resend=resend, **about, **team, **HERE)

    def _accepts(self) -> Step:
        invited, whom = (
            self._invited[-1] if self._random.random() < 0.85 else self._random.choice(self._invited)
        )
        member = f"in_{invited}"
        self._members.append(f"${member}.member.id")
        return organization(whom, "acceptInvitation", keep=member, invitationId=f"${invited}.id")

    def _rejects(self) -> Step:
        invited, whom = self._random.choice(self._invited)
        return organization(whom, "rejectInvitation", invitationId=f"${invited}.id")

    def _changes(self) -> Step:
        about = {"memberId": self._random.choice(self._members[-4:]), "role": self._random.choice(ROLES)}
        return organization(self._by(), "updateMemberRole", **about, **HERE)

    def _removes(self) -> Step:
        named = self._random.choice([f"{self._who()}@{self.name}.example", *self._members[-2:]])
        return organization(self._by(), "removeMember", memberIdOrEmail=named, **HERE)

    def _leaves(self) -> Step:
        return organization(self._by(), "leave", **HERE)

    def _to_team(self) -> Step:
        return organization(self._by(), "addTeamMember", **self._place())

    def _from_team(self) -> Step:
        return organization(self._by(), "removeTeamMember", **self._place())

    def _place(self) -> dict[str, str]:
        return {"teamId": self._random.choice(self._teams), "userId": f"${self._who()}.id", **HERE}

    def _makes_team(self) -> Step:
        team = f"team_{_letters(len(self._teams))}"
        self._teams.append(f"${team}.id")
        return organization(self._by(), "createTeam", keep=team, name="Team", **HERE)

    def _ends_team(self) -> Step:
        return organization(self._by(), "removeTeam", teamId=self._random.choice(self._teams), **HERE)

    def _reads(self) -> Step:
        by = self._by()
        reads = (
            organization(by, "listMembers", query=HERE),
            organization(by, "listInvitations", query=HERE),
            organization(by, "getFullOrganization", query=HERE),
            organization(by, "listUserTeams", query={"userId": f"${self._who()}.id", **HERE}),
            organization(by, "hasPermission", permissions=self._random.choice(ASKED), **HERE),
        )
        return self._random.choice(reads)


def _letters(number: int) -> str:
    """Names of what is kept have letters only."""
    return ascii_lowercase[number // 26] + ascii_lowercase[number % 26]
