"""Who may say something for an organization: whoever may update it."""

from sqlalchemy import Connection

from tenant_runtime.organizations.acting import Acting, acting_member
from tenant_runtime.organizations.members import Member
from tenant_runtime.organizations.wire.errors import refusal

_UPDATE = {"organization": ("update",)}


def require_update(connection: Connection, acting: Acting, organization_id: str) -> Member:
    return acting_member(
        connection,
        acting,
        organization_id,
        _UPDATE,
        stranger=refusal(
            403,
            "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION",
            "You are not a member of this organization",
        ),
        otherwise=refusal(403, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"),
    )
