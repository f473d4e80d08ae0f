"""A tenant goes from one database to another, of any backend, while it serves (`specs/databases.md` section 5).

`begin` records the wish, `attempt` is one try, step by step, `run` decides what becomes of it; `capture` and
`references` know what lies in a database, `rounds` and `checking` compare and copy. Until the pointer goes over every
step is undone by dropping what it made, and a new try begins with a place of its own; after it there is only forward.
Each try has the number of its claim: a run that was stopped and wakes up finds another's in the source and ends.
"""
