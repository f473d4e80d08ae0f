"""Somebody is asked into an organization, and says yes or no.

Owns invitations from the letter to the membership: `inviting` (who may ask whom, as what), `tickets` (how an
invitation is named, and what a name proves), `answering` (accepted, rejected, taken back), `reading`, `letters`. The
pages on which a person answers are `login.invitations`; Auth0's shape is `management.organizations.invitations`.
Implements `specs/organization-api.md` A.3 and C.5, stricter by its section 0.
"""
