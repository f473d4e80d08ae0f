"""What a tenant as a whole says about acting in its organizations."""

from dataclasses import dataclass
from enum import Enum


class Asking(Enum):
    """What an organization can ask beyond membership, by the schema of the tenant's database: nothing; an account at a
    connection that it takes; everything about the log-in."""

    NOTHING = 0
    ACCOUNTS = 1
    LOGINS = 2


@dataclass(frozen=True, slots=True)
class OrganizationRules:
    """`names_allowed`: they may be named by name as well as by id. `chooses`: each may say which connections and client
    grants it takes; `has_settings`: and what else it asks. False only in a database that waits for its migration."""

    names_allowed: bool
    chooses: bool
    has_settings: bool = False

    @property
    def asking(self) -> Asking:
        if self.has_settings:
            return Asking.LOGINS
        return Asking.ACCOUNTS if self.chooses else Asking.NOTHING
