"""What the PostgreSQL back end does to a server: databases, their owners, and templates of a schema's version.

A tenant's database belongs to a role of its own, which nobody else may connect as and which may connect nowhere else.
CREATE DATABASE is no part of a transaction, so each step here is safe to repeat after a crash.
"""


from psycopg import sql

SECONDS = 30.0
_TEMPLATES_LOCK = 0x6B65_7974
_MAINTENANCE = "postgres"
_LOCALE = sql.SQL("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
"""Texts are sorted and compared byte by byte, as SQLite does."""
