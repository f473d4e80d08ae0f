"""Everything that acts for one tenant: the protocol, the login pages, the Management API.

A request is handed a `core.tenants.Tenant` with that tenant's database and has no way to name another; there is
no tenant column in any table here. The control-plane tenant runs this same code. Never imports `controlplane`.
"""
