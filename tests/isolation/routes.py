"""Every route of both OpenAPI documents, with bodies that are good enough to be carried out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.crypto.keys import SigningKey
from tests.isolation.conftest import CONTROL_PLANE, A, Neighbours

CREDENTIAL = {"credential_type": "public_key", "jwk": dict(SigningKey.generate("ES256").public_jwk)}
WRITING = ("POST", "PUT", "PATCH", "DELETE")
PLATFORM_DOCUMENT, TENANT_DOCUMENT = "api/v2/fleet/openapi.json", "api/v2/openapi.json"


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    body: str | None
    """The name of the body's schema."""

    @property
    def writes(self) -> bool:
        return self.method in WRITING

    @property
    def query(self) -> str:
        """Of a route that is told in its query whose things it is about."""
        about = {
            ("DELETE", "/api/v2/grants"): "?user_id={user_id}",
            ("DELETE", "/api/v2/connections/{id}/users"): "?email=taken@over.example",
        }
        return about.get((self.method, self.path), "")

    @property
    def names_something(self) -> bool:
        """Of a tenant: the prompts of the login pages are everybody's."""
        return "{" in (self.path + self.query).replace("{prompt}", "").replace("{language}", "")

    def at(self, ids: Mapping[str, str]) -> str:
        """`/api/v2/roles/{id}` is filled by `roles`, a second parameter by its own name."""
        resource = self.path.split("/")[3]
        path = self.path + self.query
        for name in (
            "id",
            "key",
            "client_id",
            "connection_id",
            "credential_id",
            "grant_id",
            "kid",
            "user_id",
            "provider",
            "identity_id",
            "method_id",
            "tenant_id",
            "operation_id",
            "run_id",
            "backup_id",
            "event_id",
            "invitation_id",
            "discovery_domain_id",
            "discovery_domain",
            "prompt",
            "language",
            "name",
        ):
            if name in ("id", "key", "name"):
                value = ids[f"{resource}.{name}"] if f"{resource}.{name}" in ids else ids.get(resource, "")
            else:
                value = ids[name]
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path, path
        return path.removeprefix("/")


async def routes_of(neighbours: Neighbours, host: str, document: str) -> list[Route]:
    answer = await neighbours.http.get(neighbours.issuer(host) + document)
    assert answer.headers["content-type"].startswith(("application/json", "application/vnd.oai.openapi+json"))
    return [
        Route(method.upper(), path, _schema(operation))
        for path, item in answer.json()["paths"].items()
        for method, operation in item.items()
    ]


async def all_routes(neighbours: Neighbours) -> list[tuple[str, Route]]:
    """With the host each is served on."""
    own = [(A, route) for route in await routes_of(neighbours, A, TENANT_DOCUMENT)]
    return own + [
        (CONTROL_PLANE, route) for route in await routes_of(neighbours, CONTROL_PLANE, PLATFORM_DOCUMENT)
    ]


def _schema(operation: dict[str, Any]) -> str | None:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref")
    return reference.rpartition("/")[2] if reference else None


def body_of(route: Route, ids: Mapping[str, str]) -> Any:
    """What would be done, if it were allowed."""
    bodies: dict[str | None, Any] = {
        None: None,
        "BruteForcePatch": {"enabled": False},
        "SuspiciousIpPatch": {"enabled": False},
        "BreachedPasswordsPatch": {"enabled": True},
        "SettingsPatch": {"friendly_name": "Taken over"},
        "ResourceServerIn": {"name": "x", "identifier": "https://taken.example"},
        "ResourceServerPatch": {"name": "Taken over"},
        "CustomDomainIn": {"domain": "taken-over.test", "type": "self_managed_certs"},
        "CustomDomainPatch": {"domain_metadata": {"taken": "over"}},
        "PrimaryDomain": {"domain": "acme.localhost"},
        "ImpersonationIn": {
            "reason": "Taken over for fun",
            "client_id": ids["client_id"],
            "audience": ids["identifier"],
        },
        "RoleIn": {"name": "Taken over"},
        "RolePatch": {"description": "Taken over"},
        "PermissionsBody": {
            "permissions": [
                {"resource_server_identifier": ids["identifier"], "permission_name": "read:invoices"}
            ]
        },
        "UsersBody": {"users": [ids["user_id"]]},
        "RolesBody": {"roles": [ids["roles"]]},
        "MembersBody": {"members": [ids["user_id"]]},
        "NewMembersBody": {"members": [ids["user_id"]], "organization_roles": ["owner"]},
        "ClientIn": {"name": "Taken over", "app_type": "resource_server"}
        | {"resource_server_identifier": ids["identifier"]},
        "RegistrationTokenIn": {"max_uses": 1},
        "ClientPatch": {"name": "Taken over"},
        "CredentialIn": CREDENTIAL,
        "CredentialPatch": {"expires_at": "2040-01-01T00:00:00Z"},
        "ClientGrantIn": {"client_id": ids["client_id"], "audience": ids["identifier"], "scope": []},
        "ClientGrantPatch": {"scope": []},
        "UserIn": {
            "connection": "Username-Password-Authentication",
            "email": "taken@over.example",
            "password": "correct horse battery staple",
        },
        "UserPatch": {"name": "Taken over"},
        "LinkBody": {"provider": "auth0", "user_id": ids["user_id"]},
        "VerificationTicketIn": {"user_id": ids["user_id"]},
        "PasswordTicketIn": {"user_id": ids["user_id"]},
        "RevokeAccessBody": {},
        "RevokeTokensBody": {"user_id": ids["user_id"]},
        "LogStreamIn": {
            "name": "Taken over",
            "type": "http",
            "status": "paused",
            "sink": {"httpEndpoint": "https://taken.example/"},
        },
        "LogStreamPatch": {"name": "Taken over"},
        "EventStreamIn": {
            "status": "disabled",
            "subscriptions": [{"event_type": "user.created"}],
            "destination": {
                "type": "webhook",
                "configuration": {"webhook_endpoint": "https://taken.example/"},
            },
        },
        "EventStreamPatch": {"name": "Taken over"},
        "ProviderPost": {
            "name": "smtp",
            "default_from_address": "taken@over.example",
            "credentials": {"smtp_host": "mail.taken.example", "smtp_port": 587},
        },
        "ProviderPatch": {"enabled": True},
        "TemplatePatch": {"body": "Taken over"},
        "RedeliverBody": {},
        "TestBody": {"event_type": "user.created"},
        "BrandingPatch": {"colors": {"primary": "#010203"}},
        "PromptsPatch": {"identifier_first": True},
        "UsersExportIn": {"limit": 1},
        "VerificationEmailIn": {"user_id": ids["user_id"]},
        "ConnectionIn": {"name": "taken-over", "strategy": "oidc", "enabled_clients": [ids["client_id"]]},
        "ConnectionPatch": {"display_name": "Taken over", "enabled_clients": [ids["client_id"]]},
        "ClientStatus": [{"client_id": ids["client_id"], "status": False}],
        "EnabledConnectionIn": {"connection_id": ids["connection_id"]},
        "EnabledConnectionPatch": {"show_as_button": False},
        "OrganizationGrantIn": {"grant_id": ids["grant_id"]},
        "OrganizationIn": {"name": "taken-over"},
        "OrganizationPatch": {"display_name": "Taken over"},
        "OrganizationOptionsPatch": {"membership_limit": 7},
        "OrganizationSettingsPatch": {"require_domain": True},
        "InvitationIn": {
            "inviter": {"name": "Taken over"},
            "invitee": {"email": "taken@over.example"},
            "client_id": ids["client_id"],
            "send_invitation_email": False,
        },
        "DiscoveryDomainIn": {"domain": "taken-over.example"},
        "DiscoveryDomainPatch": {"use_for_organization_discovery": False},
        "ProductIn": {"name": "taken-over", "features": ["taken:true"]},
        "ProductPatch": {"display_name": "Taken over"},
        "SubscriptionIn": {"organization_id": ids["organizations"], "product_id": ids["products"]},
        "SubscriptionPatch": {"seats": 1000},
        "TenantBody": {"id": "taken-over"},
        "TenantPatch": {"display_name": "Taken over"},
        "ConvergeBody": {"dry_run": False},
        "StartBody": {"dry_run": True},
        "ResumeBody": {"retry": False},
        "ReasonBody": {"reason": "Taken over"},
        "MoveBody": {"backend": "sqlite"},
        "RestoreBody": {"present_is_lost": False},
    }
    return bodies[route.body]
