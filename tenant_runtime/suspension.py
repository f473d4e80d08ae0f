"""What a suspended tenant still answers (`specs/tenancy.md` section 2): metadata and keys, nothing else.

`/authorize` is let through: it alone knows whether the refusal may travel by redirect.
"""

from core.errors import AccessDenied, IdentityError, TenantSuspended

_SERVED = ("/.well-known/", "/authorize", "/u/static/")


def refusal(path: str) -> IdentityError | None:
    """What a request to a suspended tenant is refused with; None when it is served."""
    if path.startswith(_SERVED):
        return None
    if path.startswith("/oauth/"):
        return AccessDenied("This tenant is suspended.", status=400)
    return TenantSuspended()
