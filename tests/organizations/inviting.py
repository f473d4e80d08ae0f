"""Owners who invite, people who come, and what they are told."""

from typing import Any

from tests.mailbox import Mailed
from tests.organizations.people import AuthAnswer, AuthClient, signed_in

NOT_FOUND = (400, "INVITATION_NOT_FOUND")
NOT_THIS_ROLE = (403, "YOU_ARE_NOT_ALLOWED_TO_INVITE_USER_WITH_THIS_ROLE")


async def owner_of(mail: Mailed, slug: str, tenant_id: str = "acme") -> AuthClient:
    owner = await signed_in(mail.installation, tenant_id, name="Ada Owner")
    made = await owner.post("/organization/create", name=slug.title(), slug=slug)
    assert made.status == 200, made
    return owner


async def invited(inviter: AuthClient, email: str, **more: Any) -> dict[str, Any]:
    answer = await inviter.post("/organization/invite-member", email=email, **{"role": "member", **more})
    assert answer.status == 200, answer
    invitation: dict[str, Any] = answer.body
    return invitation


async def joins(mail: Mailed, inviter: AuthClient, **more: Any) -> AuthClient:
    """Somebody new who was invited and came."""
    person = await signed_in(mail.installation)
    invitation = await invited(inviter, person.email, **more)
    answer = await person.post("/organization/accept-invitation", invitationId=invitation["id"])
    assert answer.status == 200, answer
    return person


async def set_options(mail: Mailed, **options: Any) -> None:
    await (await mail.installation.manager("acme")).patch("/tenants/organizations", options)


def told(answer: AuthAnswer) -> tuple[int, str | None]:
    return answer.status, answer.code
