"""`/log-streams`: who is sent the events of the tenant's log as they happen.

Here streams are made, changed, paused and looked at; `tenant_runtime.streams` sends. Of Auth0's types there is `http`,
signed as Standard Webhooks says. The secret that signs is shown when it is made or rotated, and never again.
"""
