"""Backups: copies of one tenant's database, taken while it serves, sealed, verified, and put back.

    stored       what a backup is as a file: a heading in the clear, the database compressed and sealed under a key
                 derived from the tenant's data key, so that destroying that key destroys every backup with it
    taking       snapshot, verification, file, row; unchanged databases are passed over
    schedule     when: spread over the interval, claimed by lease, at a bounded rate
    retention    how long
    restoring    a new generation of the tenant from a backup, while everybody else serves
    outdated     what a restored database must not bring back: sessions, tokens, codes, erased users, revoked keys
    erasures     deleted users, told to the registry by the tenant's outbox

A backup is a SQLite file whatever the backend is, so it can be restored into another.
"""
