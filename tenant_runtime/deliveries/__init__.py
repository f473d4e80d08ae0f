"""What goes out after a change: logout tokens, e-mails. Kept in the tenant's database with the change, sent later.

`enqueue` writes the row in the unit of the change, so that nothing is told that did not happen and nothing that
happened is kept back; `Deliveries.soon` after the commit starts sending. A delivery is sent at least once: a process
that dies between an answer and its record sends again, so whatever must be recognised as the same (a `jti`) is in the
payload.
"""

from tenant_runtime.deliveries.queue import Outgoing, enqueue
from tenant_runtime.deliveries.sending import Deliveries, DeliveryFailed, Sender

__all__ = ["Deliveries", "DeliveryFailed", "Outgoing", "Sender", "enqueue"]
