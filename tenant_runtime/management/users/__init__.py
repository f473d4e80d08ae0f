"""People: `/users` and what belongs to one: roles, permissions, organizations, consents.

What ends their log-ins ends them in the same transaction. Nobody gives here what they do not
hold themselves.
"""
