"""What a member may do to their organization, by the names that a program asks with (scope `org_permissions`).

A token says `member.delete`: a resource of the organization API and an action. Both that and the names of this table
are understood wherever a permission is asked for.
"""

from collections.abc import Mapping

SPELLINGS: Mapping[str, str] = {
    "members.add": "member.create",
    "members.update": "member.update",
    "members.remove": "member.delete",
    "members.invite": "invitation.create",
    "invitations.create": "invitation.create",
    "invitations.cancel": "invitation.cancel",
    "teams.create": "team.create",
    "teams.update": "team.update",
    "teams.remove": "team.delete",
    "roles.create": "ac.create",
    "roles.read": "ac.read",
    "roles.update": "ac.update",
    "roles.remove": "ac.delete",
}


def as_told(name: str) -> str:
    """As a token says it."""
    return SPELLINGS.get(name, name)
