"""The pages of a device's approval (RFC 8628 section 3.3), as values like those of `pages`."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from tenant_runtime.login.pages import FormPage, Page, ScopeItem


@dataclass(frozen=True, slots=True)
class UserCodePage(FormPage):
    """Posts `user_code`. `user_code` here only fills the field: the person still sends it themself."""

    template: ClassVar[str] = "device_code.html"

    _: KW_ONLY
    user_code: str = ""


@dataclass(frozen=True, slots=True)
class DevicePage(FormPage):
    """Posts `decision`: `allow` or `deny`."""

    template: ClassVar[str] = "device.html"

    _: KW_ONLY
    user_code: str
    email: str
    scopes: tuple[ScopeItem, ...]
    organization_name: str = ""
    switch_url: str | None = None


@dataclass(frozen=True, slots=True)
class DecidedPage(Page):
    template: ClassVar[str] = "device_decided.html"

    _: KW_ONLY
    is_approved: bool
    client_name: str = ""

    @property
    def screen(self) -> str:
        return "device_approved" if self.is_approved else "device_denied"
