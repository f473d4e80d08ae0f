"""Configuration as code: a tenant as files, in the layout of Auth0's deploy tool (`specs/management-api.md` section 3).

`files` reads and writes both of its forms, one file and a folder; `kinds` says what there is and how it is named;
`state` reads the tenant over its Management API in the same form; `plan` compares the two, `applying` makes the
tenant as the files say. `doors` is how the Management API is reached: from afar with a client's secret, or on the
machine itself, through the same handlers. What the control plane shares (`is_system`) is left alone, and secrets are
written and never read.
"""
