"""Somebody who would rather not sign in: the application is told, as when they do not consent (`access_denied`)."""

from litestar import Response

from tenant_runtime.login.authorization_requests import refuse_request
from tenant_runtime.login.steps import RESUME, StepVisit


def may_cancel(visit: StepVisit) -> bool:
    """A device has nowhere to be told: its code is denied where it is confirmed, or runs out."""
    return bool(visit.request.destination.redirect_uri)


def is_cancelled(visit: StepVisit) -> bool:
    return visit.fields.get("decision") == "cancel" and may_cancel(visit)


async def cancel(visit: StepVisit) -> Response[str]:
    await visit.tenant.database.write(refuse_request, visit.key, visit.now)
    return visit.go(RESUME)
