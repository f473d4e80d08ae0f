"""Organizations of a tenant: who belongs to which, and what that permits.

Owns memberships as every other part asks about them: `membership` answers, inside the unit of work that issues
something, whether a user may act in an organization (`specs/tenancy.md` section 7). Administration of the rows is
`management/`'s.
"""
