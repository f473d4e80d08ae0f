"""The pages on which a person answers an invitation, and what an invitation changes about signing in.

    a letter ──> /u/invitation ──────────────> accepted or declined ──> the application, or a page that says so
                      │ signed out                    ^
                      └──> log in or sign up ─────────┤  (in the login's unit; else asked on
    /authorize ───────────────────┘                   │   /u/invitation/answer)

Looking never accepts: filters and previews fetch every link of a mail. The invitation itself, and everything that is
asked about it, is `organizations.invitations`.
"""
