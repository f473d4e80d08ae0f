"""Putting a letter on its way, for the features that send one."""

from typing import Any

from core.errors import InvalidRequest
from core.http.networks import network_of
from core.ids import new_id
from core.tenants import Tenant
from tenant_runtime.configuration import configuration
from tenant_runtime.deliveries import Outgoing
from tenant_runtime.dependencies import Services
from tenant_runtime.mail.limits import PER_CALLER, PER_TENANT
from tenant_runtime.mail.texts import Template

KIND = "email"


class MailUnavailable(InvalidRequest):
    """Neither the tenant nor the installation has a mail server: nothing that needs mail is begun."""

    description = "This installation does not send mail."


async def require_mail(services: Services, tenant: Tenant) -> None:
    if not services.mail.are_there(tenant, await configuration(tenant)):
        raise MailUnavailable()


async def admit(services: Services, tenant: Tenant, caller: str | None, now: int) -> None:
    """Somebody whom nobody knows asks for a letter, from the address `caller`; None: a client that proved itself asks
    for them. Raises `MailUnavailable`, and `RateLimited` beyond what strangers may ask of one tenant."""
    await require_mail(services, tenant)
    who = ("mail", tenant.id, tenant.incarnation)
    if caller is not None:
        services.rates.count(PER_CALLER, (*who, network_of(caller)), now)
    services.rates.count(PER_TENANT, who, now)


def posted(template: Template, to: str, *, expires_at: int, languages: str = "", **values: Any) -> Outgoing:
    """After `expires_at` (milliseconds) the letter is of no use and is not sent. `languages` are the reader's, as far
    as they are known (`login.language`). `values` are JSON, for the template's writer (`sending`); of `user_id`,
    `client_id` and `connection_id` a tenant's own template may say more (`rendering`)."""
    payload = {"template": template, "to": to, "expires_at": expires_at, "languages": languages, **values}
    return Outgoing(new_id("dlv"), KIND, to, payload)
