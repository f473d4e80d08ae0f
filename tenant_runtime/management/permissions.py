"""The permissions of the Management API: Auth0's `verb:resource` names, and the platform's.

Platform permissions reach across tenants. They exist on tenant one's Management API only, are never part of the
catalogue, and are never put into a token that carries `org_id` (`DESIGN.md` section 5).
"""

from collections.abc import Iterator, Mapping

_CRUD = ("read", "create", "update", "delete")
_RESOURCES = {
    "clients": _CRUD,
    "client_keys": ("read", "update"),
    "client_credentials": _CRUD,
    "client_grants": _CRUD,
    "resource_servers": _CRUD,
    "roles": _CRUD,
    "role_members": ("read", "create", "delete"),
    "users": _CRUD,
    "users_app_metadata": _CRUD,
    "user_idp_tokens": ("read",),
    "organizations": _CRUD,
    "organization_members": ("read", "create", "delete"),
    "organization_member_roles": ("read", "create", "delete"),
    "organization_connections": _CRUD,
    "organization_invitations": ("read", "create", "delete"),
    "organization_client_grants": ("read", "create", "delete"),
    "organization_discovery_domains": _CRUD,
    "products": _CRUD,
    "subscriptions": _CRUD,
    "connections": _CRUD,
    "grants": ("read", "delete"),
    "sessions": ("read", "delete"),
    "refresh_tokens": ("read", "delete"),
    "logs": ("read",),
    "logs_users": ("read",),
    "signing_keys": ("read", "create", "update"),
    "tenant_settings": ("read", "update"),
    "branding": _CRUD,
    "attack_protection": ("read", "update"),
    "anomaly_blocks": ("read", "delete"),
    "authentication_methods": ("read", "delete"),
    "device_credentials": ("read", "delete"),
    "email_provider": _CRUD,
    "email_templates": ("read", "create", "update"),
    "event_deliveries": ("read", "update"),
    "event_streams": _CRUD,
    "log_streams": _CRUD,
    "prompts": ("read", "update"),
    "user_tickets": ("create",),
    "custom_domains": _CRUD,
    "impersonation": ("create",),
    "stats": ("read",),
}
_NOUNS = {
    "client_keys": "client secrets",
    "logs_users": "logs of users",
    "users_app_metadata": "users' app_metadata",
}

PLATFORM: Mapping[str, str] = {
    "read:tenants": "Read every tenant and the state of the fleet",
    "create:tenants": "Create tenants",
    "update:tenants": "Change, suspend, resume, move and back up tenants; manage the members of tenant organizations",
    "delete:tenants": "Delete tenants, take a deletion back, delete backups and restore them",
    "read:operations": "Read operations, and which tenant is at which schema",
    "update:operations": "Retry operations, migrate tenants, hold them back and roll them back",
    "read:sync": "Read how far tenants follow the control plane",
    "update:sync": "Make tenants converge",
}


def _tenant_permissions() -> Iterator[tuple[str, str]]:
    for resource, verbs in _RESOURCES.items():
        noun = _NOUNS.get(resource, resource.replace("_", " "))
        for verb in verbs:
            yield f"{verb}:{resource}", f"{verb.capitalize()} {noun}"


TENANT: Mapping[str, str] = dict(_tenant_permissions())
READ_ONLY = frozenset(
    permission
    for permission in TENANT
    if permission.startswith("read:") and permission not in ("read:client_keys", "read:user_idp_tokens")
)

SUPPORT = READ_ONLY | {"read:tenants", "read:operations", "read:sync"}
"""Sees what is there, everywhere, and neither changes anything nor learns a secret."""

AUDITOR = frozenset({"read:logs", "read:logs_users", "read:operations"})
"""Sees what was done to the installation: in tenant one's log, and in the operations."""

MANAGEMENT_API_NAME = "Auth0 Management API"
"""The name by which Auth0's deploy tool knows the Management API (`specs/management-api.md` section 3)."""
