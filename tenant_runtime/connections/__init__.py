"""Connections, the ways to log in: which strategies there are, what their options mean, their secrets.

Options are kept as Auth0's tools wrote them; `options` reads out of them what a login acts by. Two strategies have a
runtime: the tenant's own database of users, and codes by mail. The others are kept and managed, and offered nowhere.
How connections are written is `management.connections`; how tenant one's reach the tenants is `sync/`.
"""
