"""What an organization asks of its people beyond membership: connections, a second factor, how old a log-in may be, an
address in a domain of its own.

Asked of the log-in behind whatever is issued (`specs/tenancy.md` section 7): the browser's session, or the one from
which a refresh token comes. An organization that asks nothing costs the statements of membership no further one.
"""

from tenant_runtime.organizations.policies.logins import LoggedIn
from tenant_runtime.organizations.policies.settings import OrganizationSettings, settings_of
from tenant_runtime.organizations.policies.terms import (
    Suspended,
    Terms,
    Unmet,
    asked_of,
    closed_to,
    refused_in,
    terms_of,
    unmet,
)

__all__ = [
    "LoggedIn",
    "OrganizationSettings",
    "Suspended",
    "Terms",
    "Unmet",
    "asked_of",
    "closed_to",
    "refused_in",
    "settings_of",
    "terms_of",
    "unmet",
]
