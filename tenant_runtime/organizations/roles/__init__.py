"""Roles that an organization makes for itself: a name, and what it permits there (`specs/organization-api.md` A.6).

Nobody gives what they do not hold. A role that is renamed is renamed for whoever holds it and whoever is invited to it;
one that is held, or that somebody is invited to, is not deleted. What the built-in roles permit is in `access`.
"""
