"""What a tenant as a whole says about acting in its organizations."""

from dataclasses import dataclass
from enum import Enum


class Asking(Enum):
    """What an organization asks beyond membership: nothing, where none is asked about; an account at a connection that
    it takes; everything about the log-in."""

    NOTHING = 0
    ACCOUNTS = 1
    LOGINS = 2


@dataclass(frozen=True, slots=True)
class OrganizationRules:
    """`names_allowed`: they may be named by name as well as by id. `has_settings`: each may ask more of a log-in than
    its connection; false only in a database that waits for its migration."""

    names_allowed: bool
    has_settings: bool = False

    @property
    def asking(self) -> Asking:
        return Asking.LOGINS if self.has_settings else Asking.ACCOUNTS
