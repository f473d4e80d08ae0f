"""Every handler of the Management API, and the router that serves them."""

from litestar import Router

from tenant_runtime.management import absent
from tenant_runtime.management.apis import resource_servers, roles
from tenant_runtime.management.attack_protection import resource as attack_protection
from tenant_runtime.management.blocks import resource as blocks
from tenant_runtime.management.branding import resource as branding
from tenant_runtime.management.clients import connections as client_connections
from tenant_runtime.management.clients import credentials as client_credentials
from tenant_runtime.management.clients import grants as client_grants
from tenant_runtime.management.clients import registration_tokens
from tenant_runtime.management.clients import resource as clients
from tenant_runtime.management.connections import clients as connection_clients
from tenant_runtime.management.connections import people as connection_people
from tenant_runtime.management.connections import resource as connections
from tenant_runtime.management.devices import resource as device_credentials
from tenant_runtime.management.domains import resource as custom_domains
from tenant_runtime.management.emails import provider as email_provider
from tenant_runtime.management.emails import templates as email_templates
from tenant_runtime.management.event_streams import deliveries as event_deliveries
from tenant_runtime.management.event_streams import resource as event_streams
from tenant_runtime.management.jobs import resource as jobs
from tenant_runtime.management.keys import signing as signing_keys
from tenant_runtime.management.licensing import products, subscriptions
from tenant_runtime.management.log_streams import resource as log_streams
from tenant_runtime.management.logs import resource as logs
from tenant_runtime.management.organizations import client_grants as organization_client_grants
from tenant_runtime.management.organizations import connections as organization_connections
from tenant_runtime.management.organizations import (
    connections_by_later_name as organization_connections_later,
)
from tenant_runtime.management.organizations import creation as organization_creation
from tenant_runtime.management.organizations import discovery_domains as organization_discovery_domains
from tenant_runtime.management.organizations import invitations as organization_invitations
from tenant_runtime.management.organizations import members as organization_members
from tenant_runtime.management.organizations import options as organization_options
from tenant_runtime.management.organizations import resource as organizations
from tenant_runtime.management.organizations import settings as organization_settings
from tenant_runtime.management.prompts import resource as prompts
from tenant_runtime.management.routing import management_router
from tenant_runtime.management.sessions import access as revoked_access
from tenant_runtime.management.sessions import refresh_tokens
from tenant_runtime.management.sessions import resource as sessions
from tenant_runtime.management.settings import tenant as tenants_settings
from tenant_runtime.management.tickets import resource as tickets
from tenant_runtime.management.users import access as user_access
from tenant_runtime.management.users import (
    authentication_methods,
    changing,
    grants,
    identities,
    impersonation,
)
from tenant_runtime.management.users import resource as users

handlers = [
    *tenants_settings.handlers,
    *organization_options.handlers,
    *resource_servers.handlers,
    *roles.handlers,
    *clients.handlers,
    *client_credentials.handlers,
    *client_connections.handlers,
    *registration_tokens.handlers,
    *grants.handlers,
    *client_grants.handlers,
    *connections.handlers,
    *connection_clients.handlers,
    *connection_people.handlers,
    *users.handlers,
    *changing.handlers,
    *user_access.handlers,
    *impersonation.handlers,
    *identities.handlers,
    *authentication_methods.handlers,
    *sessions.handlers,
    *refresh_tokens.handlers,
    *revoked_access.handlers,
    *device_credentials.handlers,
    *tickets.handlers,
    *organizations.handlers,
    *organization_creation.handlers,
    *organization_members.handlers,
    *organization_invitations.handlers,
    *organization_connections.handlers,
    *organization_connections_later.handlers,
    *organization_client_grants.handlers,
    *organization_discovery_domains.handlers,
    *organization_settings.handlers,
    *products.handlers,
    *subscriptions.handlers,
    *branding.handlers,
    *prompts.handlers,
    *jobs.handlers,
    *logs.handlers,
    *log_streams.handlers,
    *event_streams.handlers,
    *event_deliveries.handlers,
    *signing_keys.handlers,
    *attack_protection.handlers,
    *blocks.handlers,
    *email_provider.handlers,
    *email_templates.handlers,
    *custom_domains.handlers,
    *absent.handlers,
]


def router() -> Router:
    return management_router(handlers)
