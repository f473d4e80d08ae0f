"""`/event-streams`: webhooks for what becomes of users, organizations, members and, on tenant one, tenants.

Here streams are made, changed and tried, and what could not be delivered is looked at and sent again; the changes are
written by triggers (`models.telling`), and `tenant_runtime.streams` sends.
"""
