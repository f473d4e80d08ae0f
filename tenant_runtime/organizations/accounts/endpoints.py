"""Every endpoint of this room."""

from tenant_runtime.organizations.accounts import (
    addresses,
    deletion,
    forgotten_password,
    own_password,
    own_sessions,
    profile,
    sessions,
    sign_in,
    sign_up,
)

_SUBJECTS = (
    sign_up,
    sign_in,
    sessions,
    own_sessions,
    profile,
    own_password,
    forgotten_password,
    addresses,
    deletion,
)
handlers = [handler for subject in _SUBJECTS for handler in subject.handlers]
