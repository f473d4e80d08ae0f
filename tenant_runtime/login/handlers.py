"""The pages' routes, for the application to mount with errors as pages."""

from tenant_runtime.login import consent, front, identifier, organization, password, signup, stylesheet

handlers = [
    *front.handlers,
    *identifier.handlers,
    *password.handlers,
    *signup.handlers,
    *organization.handlers,
    *consent.handlers,
    *stylesheet.handlers,
]
