"""Words and tools that both planes use.

Owns settings, errors, the contracts between planes (`tenants`, `catalog`), the database layer, cryptography,
ids, the clock and the HTTP edge. Knows nothing of clients, users, roles or the registry: it imports neither
plane, so that either can be understood, tested and embedded without the other.
"""
