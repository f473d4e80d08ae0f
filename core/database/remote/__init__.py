"""Databases behind a server: units of work run in threads, few at a time for each database.

A lane belongs to one database and never waits for another's: its own queue, its own width, its own circuit breaker.
Every transaction asks first whose the database is and which version its configuration has. A transaction that is lost
before COMMIT is run again; one whose COMMIT was not answered is looked up by its mark (`specs/databases.md` 2.3).
What differs between engines is a `Driver` and its `Session` (`session.py`).
"""
