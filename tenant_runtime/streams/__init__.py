"""What happens in a tenant, told to those outside who asked for it, at least once.

Log streams read `log_events` and event streams read `changes`, each from a place that it keeps; nothing is copied for
them. A batch of log events goes out in the order of their commits (`log_batches`); a change becomes one delivery for
each stream that subscribes to it (`changes`, `tenant_runtime.deliveries`). Both are signed as Standard Webhooks says
(`signing`). `Streams` follows the tenants that have any (`following`).

Managed at `/api/v2/log-streams` and `/api/v2/event-streams`.
"""

from tenant_runtime.streams.following import Streams

__all__ = ["Streams"]
