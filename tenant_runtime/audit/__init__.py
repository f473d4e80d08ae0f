"""The tenant's log of events.

An event that belongs to a change is written in the change's own unit (`record`). Events of requests that write
nothing else are buffered per tenant and written together, so that a token costs no commit of its own; the buffer
is emptied every 50 ms, when it is full, and at shutdown. Which types there are, and what each means, is in `codes`;
how long events are kept, in `retention`. Who reads them: `management.logs`, and `streams`.
"""

from tenant_runtime.audit.events import Event, record
from tenant_runtime.audit.log import AuditLog

__all__ = ["AuditLog", "Event", "record"]
