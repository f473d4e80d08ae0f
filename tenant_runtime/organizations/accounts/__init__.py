"""Accounts and sessions at `/api/auth` (`specs/organization-api.md` B.4).

Owns the wire of them; what happens is what happens at the login pages: the same accounts, counts, letters and rules,
and one session for both (`login.sessions`). Reached by `organizations/api.py`.
"""
