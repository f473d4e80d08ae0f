"""Making and unmaking tenants: everything that brings a tenant's database to its desired state.

`converge` is the one way: named steps, each safe to repeat, each recorded (`DESIGN.md` section 3). `lifecycle` is
what the platform API calls, `operations` runs what is recorded and survives `kill -9` between any two steps,
`worker` does in the background whatever is left, `installation` makes the control plane itself, and `platform` opens
it all for a process. Where databases live is a `backends` matter.
"""
