"""How an invitation is named, and what a name proves.

By its id, which whoever invites is shown: that proves nothing of who shows it. Or by the secret of its letter, made
from the id when the letter is written: who shows that one reads the mail of the invited address. An invitation sent
again keeps its secret, so that each of its letters is good.
"""

import hmac
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, or_, select, update

from core.clock import LEEWAY_MS
from core.crypto.sealing import DataKey
from core.ids import digest, text_of
from tenant_runtime.models import Invitation, Organization

PENDING, ACCEPTED, REJECTED, CANCELED = "pending", "accepted", "rejected", "canceled"

_LENGTH = 43
_i, _o = Invitation.__table__.c, Organization.__table__.c
WITH_ORGANIZATION: Select[Any] = select(
    *_i,
    _o.name.label("organization_name"),
    _o.display_name.label("organization_display_name"),
    _o.branding.label("organization_branding"),
    _o.suspended_at,
    _o.managed_by,
).join(Organization.__table__, _o.id == _i.organization_id)
_FIND = WITH_ORGANIZATION.where(or_(_i.id == bindparam("shown"), _i.link_digest == bindparam("of")))
_SEND = (
    update(Invitation.__table__)
    .where(_i.id == bindparam("of"), _i.status == PENDING, _i.expires_at > bindparam("now"))
    .values(link_digest=bindparam("secret"))
)


@dataclass(frozen=True, slots=True)
class Found:
    """An invitation with its organization. `proves_address`: it was named by the secret of its letter."""

    row: Row[Any]
    proves_address: bool

    @property
    def organization_label(self) -> str:
        return str(self.row.organization_display_name or self.row.organization_name)

    def is_live(self, now: int) -> bool:
        row = self.row
        return bool(row.status == PENDING and row.expires_at > now and row.created_at <= now + LEEWAY_MS)


def find(connection: Connection, shown: str, *, is_proved: bool = False) -> Found | None:
    """Of whatever status. `is_proved`: the secret was shown earlier in this conversation, and the id stands for it."""
    row = connection.execute(_FIND, {"shown": shown, "of": digest(shown)}).one_or_none()
    return None if row is None else Found(row, is_proved or row.id != shown)


def secret_of(data_key: DataKey, invitation_id: str) -> str:
    mac = hmac.digest(data_key.derive("invitation links"), invitation_id.encode(), "sha512")
    return text_of(mac, _LENGTH)


def allow_secret(connection: Connection, invitation_id: str, secret: str, now: int) -> bool:
    """From now on the secret names the invitation. False when there is nothing to answer any more."""
    values = {"of": invitation_id, "secret": digest(secret), "now": now}
    return connection.execute(_SEND, values).rowcount == 1
