"""How much mail may be asked for: to one address, so that nobody's mailbox is filled and no short code is guessed at
leisure; and in one tenant, so that its strangers do not spend the installation's good name."""

from tenant_runtime.limits import Limit
from tenant_runtime.registration.rates import Rate

_MINUTE_MS = 60_000

PER_ADDRESS = (Limit(5, 15 * _MINUTE_MS), Limit(60, 1440 * _MINUTE_MS))
"""Known or not. With three guesses a code, a day has 180 of a million, each with a letter to whoever has the address; a
lower bound would let a stranger keep that person out."""

PER_CALLER = Rate(30, 60)
"""Of one process, and of callers who proved nothing: none of them keeps everybody else from their letters, nor sends a
hundred to the many names of one mailbox."""

PER_TENANT = Rate(120, 60)
"""Of one process."""
