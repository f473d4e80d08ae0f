"""A tenant goes from one database to another, of any backend, while it serves (`specs/databases.md` section 5).

    capture   triggers in the source write down which rows change
    copy      a snapshot of the source is put in the new place
    catch_up  the rows that changed since are copied, round after round, until little is left
    verify    both hold the same rows, in one moment of the source, and nothing refers to what is not there
    fence     the source refuses every write from here on; whoever writes waits for the pointer
    drain     the last rows; what was copied is compared, and everything counted
    flip      the pointer goes over, compared and set
    settle    what waited follows; the source stays, fenced, for a grace time

Until the flip every step is undone by dropping what it made, and a new try begins from the first one with a place of
its own; after it there is only forward. Each try has the number of its claim: a run that was stopped and wakes up
finds another's number in the source and ends. `capture` and `references` know what lies in a database, `rounds` and
`checking` compare and copy, `attempt` is one try, `run` decides what becomes of it, `begin` records the wish.
"""
