"""The functions of `/api/auth/organization/*` for Python code in the same process, which is trusted to say who acts.

One implementation: a function here calls the very handler that serves its path, with a call (`calls`) that takes its
values from Python instead of a request. So refusals, limits, events and hooks are the same, and so are answers: what
the client would read, as Python objects. Two forms: `Organizations` is awaited, each call a unit of work of its own;
`Organizations.within(connection)` acts in the caller's own unit of work and is undone with it.
"""

from tenant_runtime.organizations.in_process.organizations import Organizations, Within

__all__ = ["Organizations", "Within"]
