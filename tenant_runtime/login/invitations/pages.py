"""The page of an invitation, as a value like those of `login.pages`."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from tenant_runtime.login.pages import FormPage


@dataclass(frozen=True, slots=True)
class InvitationPage(FormPage):
    """Posts `decision`: `accept`, `decline`, `switch` (another account), `letter` (one that proves the address) or
    `again` (once it is proved). `email` is whom it is for, `account` who is signed in."""

    template: ClassVar[str] = "invitation.html"

    _: KW_ONLY
    organization_name: str
    inviter: str = ""
    email: str
    account: str = ""
    is_wrong_account: bool = False
    is_unverified: bool = False
    letter_was_sent: bool = False
    may_accept: bool = True
    may_decline: bool = False
