"""The people of an organization: who they are, what they may, and how they stop being there.

`listing` reads many, `roles` changes what one may (with ownership), `removing` takes one out, `asking` answers single
questions, `endpoints` serves them (`specs/organization-api.md` A.2 and A.4). Becoming a member is `admission`'s.
Every unit asks itself who acts, in the transaction in which it acts; that somebody owns the organization is counted
there too, so that of two owners who give up at once one stays.
"""
