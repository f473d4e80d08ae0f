"""How `/api/auth` speaks: Better Auth's wire (`specs/organization-api.md` A.0 and B.1 to B.3).

Owns what every endpoint shares: the call with its session, bodies and queries, dates, errors, cookies, origins. What
an endpoint does is in the rooms beside this one, as units of work that know nothing of HTTP.
"""

from tenant_runtime.organizations.wire.calls import ApiCall, CallOf, read_endpoint, write_endpoint
from tenant_runtime.organizations.wire.errors import ApiError, bare, refusal
from tenant_runtime.organizations.wire.sessions import ApiSession
from tenant_runtime.organizations.wire.shapes import date

__all__ = [
    "ApiCall",
    "ApiError",
    "ApiSession",
    "CallOf",
    "bare",
    "date",
    "read_endpoint",
    "refusal",
    "write_endpoint",
]
