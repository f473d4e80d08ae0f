"""`/logs`: what happened in the tenant, the newest first.

Events are written where they happen (`tenant_runtime.audit`); here they are only read, by whoever may
read them.
"""
