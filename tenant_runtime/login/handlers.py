"""The pages' routes, for the application to mount with errors as pages."""

from tenant_runtime.login import (
    consent,
    front,
    identifier,
    joining,
    organization,
    password,
    reset_pages,
    setup,
    signup,
    stylesheet,
    unblocking,
    verification_pages,
)
from tenant_runtime.login.devices import endpoint as device
from tenant_runtime.login.invitations import endpoint as invitations

handlers = [
    *front.handlers,
    *identifier.handlers,
    *password.handlers,
    *setup.handlers,
    *reset_pages.handlers,
    *unblocking.handlers,
    *verification_pages.handlers,
    *signup.handlers,
    *organization.handlers,
    *joining.handlers,
    *consent.handlers,
    *device.handlers,
    *invitations.handlers,
    *stylesheet.handlers,
]
