"""What a tenant as a whole says about acting in its organizations."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrganizationRules:
    """`names_allowed`: they may be named by name as well as by id. `chooses`: each may say which connections and client
    grants it takes; false only in a database that waits for its migration."""

    names_allowed: bool
    chooses: bool
