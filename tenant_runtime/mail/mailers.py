"""The mailers of a process: the installation's, and one for each tenant with a provider that lately sent a letter."""

from collections import OrderedDict
from dataclasses import replace

from core.clock import Clock
from core.mail import Letter, Mailer, MailFailed
from core.outbound import Outbound
from core.tenants import Tenant
from tenant_runtime.configuration import Configuration
from tenant_runtime.mail.provider import Standing, standing

MOST = 256
"""Tenants whose mailer is remembered; each may keep two connections open for a few seconds."""


class Mailers:
    """Without a provider or a mail server nobody takes a tenant's letters, and nothing that needs one is begun."""

    def __init__(self, outbound: Outbound, clock: Clock, installation: Mailer | None = None) -> None:
        self._outbound = outbound
        self._clock = clock
        self._installation = installation
        self._known: OrderedDict[str, tuple[Standing, Mailer]] = OrderedDict()

    def are_there(self, tenant: Tenant, configuration: Configuration) -> bool:
        return self._installation is not None or self._standing(tenant, configuration) is not None

    async def send(self, tenant: Tenant, configuration: Configuration, letter: Letter) -> None:
        """Raises `MailFailed`. A sender of the letter's own stays only where the tenant's own provider takes it."""
        provider = self._standing(tenant, configuration)
        mailer = self._installation if provider is None else await self._mailer(tenant, provider)
        if mailer is None:
            raise MailFailed("there is no mail server")
        if provider is not None and provider.server.username and provider.server.password is None:
            raise MailFailed("the provider's password cannot be read")
        if not _may_be_from(provider, letter.sender_address):
            letter = replace(letter, sender_address="")
        await mailer.send(letter)

    async def close(self) -> None:
        for _, mailer in self._known.values():
            await mailer.close()
        self._known.clear()
        if self._installation is not None:
            await self._installation.close()

    def _standing(self, tenant: Tenant, configuration: Configuration) -> Standing | None:
        return standing(tenant, configuration.documents, self._outbound.is_allowed)

    async def _mailer(self, tenant: Tenant, provider: Standing) -> Mailer:
        known = self._known.get(tenant.id)
        if known is not None and known[0] == provider:
            self._known.move_to_end(tenant.id)
            return known[1]
        from core.smtp import SmtpMailer  # loaded only where there is a mail server

        mailer = SmtpMailer(
            provider.server,
            provider.sender,
            self._clock,
            tls=self._outbound.tls,
            connect=self._outbound.connect_to_mail_server,
        )
        self._known[tenant.id] = (provider, mailer)
        self._known.move_to_end(tenant.id)
        if known is not None:
            await known[1].close()
        while len(self._known) > MOST:
            _, (_, oldest) = self._known.popitem(last=False)
            await oldest.close()
        return mailer


def _may_be_from(provider: Standing | None, address: str) -> bool:
    """Only at the domain that the tenant's own provider sends from: nobody speaks in the name of others."""
    if provider is None or provider.layer != "tenant":
        return False
    return address.rpartition("@")[2].lower() == provider.sender_domain
