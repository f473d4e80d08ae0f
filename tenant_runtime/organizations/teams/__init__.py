"""Teams: what an organization is divided into, and who of its members is in which.

A team grants nothing by itself: what its members may is said by their roles. Its members are members of the
organization; who leaves that, leaves its teams (`organizations.leaving`). `units` makes, changes and removes teams,
`people` says who is in them, `endpoints` serves both (`specs/organization-api.md` A.5).
"""
