"""The sender of mail: a queued delivery becomes a letter at the moment it is sent.

Each template has a writer, which looks at the tenant as it is by then. Whether anybody has the address is asked here,
not in the request that somebody makes for it: that one takes as long for a stranger as for a member
(`specs/bad-inputs.md` 106). A writer that answers None has found that nobody is to have the letter.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from core.clock import Clock, now_ms
from core.mail import MailFailed
from core.tenants import Tenant
from tenant_runtime.attack_protection import letters
from tenant_runtime.configuration import configuration
from tenant_runtime.deliveries import DeliveryFailed, Sender
from tenant_runtime.login import email_verification, reset, unblocking
from tenant_runtime.mail.letters import Contents
from tenant_runtime.mail.mailers import Mailers
from tenant_runtime.mail.rendering import compose
from tenant_runtime.mail.texts import Template
from tenant_runtime.oauth.authentication_api import passwordless
from tenant_runtime.organizations.invitations import letters as invitations
from tenant_runtime.organizations.joining import letters as joining

Writer: TypeAlias = Callable[[Tenant, Mapping[str, Any], int], Awaitable[Contents | None]]

WRITERS: Mapping[Template, Writer] = {
    "login_code": passwordless.write_letter,
    "password_reset": reset.write_link,
    "password_changed": reset.write_notice,
    "password_replaced": reset.write_notice,
    "verify_email": email_verification.write_letter,
    "change_email": email_verification.write_letter,
    "new_email": email_verification.write_letter,
    "email_changed": reset.write_notice,
    "blocked_account": unblocking.write_link,
    "stolen_credentials": letters.write_stolen,
    "attack_notice": letters.write_notice,
    "invitation": invitations.write_letter,
    "join_request": joining.write_letter,
    "join_approved": joining.write_letter,
    "join_rejected": joining.write_letter,
}


def mail_sender(mailers: Mailers, clock: Clock) -> Sender:
    async def send(tenant: Tenant, payload: Mapping[str, Any]) -> None:
        now = now_ms(clock)
        if payload["expires_at"] <= now:
            raise DeliveryFailed("the letter came too late to be of use", is_final=True)
        contents = await WRITERS[payload["template"]](tenant, payload, now)
        if contents is None:
            return
        current = await configuration(tenant)
        try:
            written = await compose(tenant, current, payload, contents, now)
            await mailers.send(tenant, current, written)
        except MailFailed as failed:
            raise DeliveryFailed(failed.reason, is_final=failed.is_final) from failed

    return send
