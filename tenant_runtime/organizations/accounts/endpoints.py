"""Every endpoint of this room."""

from tenant_runtime.organizations.accounts import sessions, sign_in, sign_up

handlers = [*sign_up.handlers, *sign_in.handlers, *sessions.handlers]
