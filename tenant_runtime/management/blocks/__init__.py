"""`/api/v2/user-blocks` and `/api/v2/anomaly/blocks/ips`: who may not sign in at the moment, and letting them.

These are the counts of `tenant_runtime.attack_protection`: of an account, and of an address.
A user whom an operator blocked is `blocked` of the user itself, and nothing here changes that.
"""
