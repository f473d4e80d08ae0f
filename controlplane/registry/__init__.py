"""Units of work over the registry: tenants, their hosts, operations, the ledger, the installation itself.

Plain functions of a connection and values, run in the registry's lane (`core.database`). Ids and times are
arguments. Who may call what, and what is done to databases, is decided elsewhere: the platform API above, and
`provisioning/`.
"""
