"""What a member may do to their organization: statements, roles, and the one question that is asked of them.

Pure: rows come in, an answer goes out. Which tenant roles a member holds in the product's APIs is another thing
(`specs/organization-api.md` section 0). A question succeeds when one role alone satisfies every pair that is asked.
"""

from tenant_runtime.organizations.access.statements import (
    ADMIN,
    GUEST,
    MEMBER,
    OWNER,
    Permissions,
    Statements,
    built_in_names,
    missing,
    of_roles,
    permits,
    resources,
)

__all__ = [
    "ADMIN",
    "GUEST",
    "MEMBER",
    "OWNER",
    "Permissions",
    "Statements",
    "built_in_names",
    "missing",
    "of_roles",
    "permits",
    "resources",
]
