"""Calls to addresses that somebody else chose: key sets, metadata and request objects, logout receivers, webhooks.

One client for all of them. Whose address it is decides nothing; where it leads does (`addresses`), asked when it is
saved and again at every connection, of the very address that is connected to (`client`).
"""

from core.outbound.addresses import OutboundRefused, check_address, is_public
from core.outbound.answers import Fetched, OutboundFailed
from core.outbound.client import Outbound

__all__ = ["Fetched", "Outbound", "OutboundFailed", "OutboundRefused", "check_address", "is_public"]
