"""Every handler of the Management API, and the router that serves them."""

from litestar import Router

from tenant_runtime.management import (
    absent,
    client_credentials,
    client_grants,
    clients,
    grants,
    logs,
    organization_members,
    organizations,
    registration_tokens,
    resource_servers,
    roles,
    signing_keys,
    tenants_settings,
    user_access,
    users,
)
from tenant_runtime.management.routing import management_router

handlers = [
    *tenants_settings.handlers,
    *resource_servers.handlers,
    *roles.handlers,
    *clients.handlers,
    *client_credentials.handlers,
    *registration_tokens.handlers,
    *grants.handlers,
    *client_grants.handlers,
    *users.handlers,
    *user_access.handlers,
    *organizations.handlers,
    *organization_members.handlers,
    *logs.handlers,
    *signing_keys.handlers,
    *absent.handlers,
]


def router() -> Router:
    return management_router(handlers)
