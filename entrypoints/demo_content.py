"""What a demo installation holds: three tenants with users, organizations, applications and an API.

Everything is made through the front door, the platform API and each tenant's Management API, as a customer's own
set-up would be.
"""

import secrets
from typing import Any

import httpx
import msgspec

from entrypoints.network import Api

CALLBACK_PORT = 9871
CALLBACK = f"http://127.0.0.1:{CALLBACK_PORT}/callback"
SIGNED_OUT = f"http://127.0.0.1:{CALLBACK_PORT}/signed-out"
MAILBOX = f"http://127.0.0.1:{CALLBACK_PORT}/mailbox"
APP_PORT = 9872
TENANTS = {"acme": "Acme", "globex": "Globex", "initech": "Initech"}
ORGANIZATIONS = ("north", "south", "east")
SCOPES = {"read:invoices": "Read invoices", "write:invoices": "Create and change invoices"}


class DemoUser(msgspec.Struct, frozen=True):
    email: str
    password: str


class DemoClient(msgspec.Struct, frozen=True):
    client_id: str
    client_secret: str | None = None


class DemoOrganization(msgspec.Struct, frozen=True):
    id: str
    name: str
    members: list[str]


class DemoTenant(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    issuer: str
    management_audience: str
    api_audience: str
    users: list[DemoUser]
    organizations: list[DemoOrganization]
    clients: dict[str, DemoClient]


class DemoControlPlane(msgspec.Struct, frozen=True, kw_only=True):
    issuer: str
    management_audience: str
    users: list[DemoUser]
    clients: dict[str, DemoClient]


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    control_plane: DemoControlPlane
    tenants: list[DemoTenant]


def new_password() -> str:
    """Random per installation, and long enough to be a password by itself."""
    return secrets.token_urlsafe(15)


async def share_an_api(platform: Api) -> None:
    """A catalogue to look at: an API and a role of the control plane, which every tenant receives."""
    server = await platform.post(
        "/resource-servers",
        {
            "name": "Billing",
            "identifier": "https://billing.example.com",
            "scopes": [{"value": value, "description": text} for value, text in SCOPES.items()],
            "enforce_policies": True,
            "token_dialect": "access_token_authz",
            "allow_offline_access": True,
        },
    )
    role = await platform.post("/roles", {"name": "Accountant", "description": "Reads and writes invoices"})
    permissions = [
        {"resource_server_identifier": server["identifier"], "permission_name": value} for value in SCOPES
    ]
    await platform.post(f"/roles/{role['id']}/permissions", {"permissions": permissions})


async def make_tenant(
    platform: Api, http: httpx.AsyncClient, token: str, tenant_id: str, issuer: str
) -> DemoTenant:
    await platform.post("/tenants", {"id": tenant_id, "display_name": _title(tenant_id)})
    api = Api(http, f"{issuer}api/v2", token)
    audience = f"https://api.{tenant_id}.example"
    role_id = await _make_api(api, audience)
    users = [DemoUser(f"{name}@{tenant_id}.example", new_password()) for name in ("ada", "ben", "cleo")]
    user_ids = [await _make_user(api, user, role_id) for user in users]
    return DemoTenant(
        id=tenant_id,
        issuer=issuer,
        management_audience=f"{issuer}api/v2/",
        api_audience=audience,
        users=users,
        organizations=await _make_organizations(api, tenant_id, users, user_ids, role_id),
        clients=await _make_clients(api, issuer, audience),
    )


def _title(tenant_id: str) -> str:
    return TENANTS.get(tenant_id, tenant_id.title())


async def _make_api(api: Api, audience: str) -> str:
    await api.post(
        "/resource-servers",
        {
            "name": "Demo API",
            "identifier": audience,
            "scopes": [{"value": value, "description": text} for value, text in SCOPES.items()],
            "enforce_policies": True,
            "token_dialect": "access_token_authz",
            "allow_offline_access": True,
        },
    )
    role = await api.post("/roles", {"name": "Clerk", "description": "May work on invoices"})
    permissions = [{"resource_server_identifier": audience, "permission_name": value} for value in SCOPES]
    await api.post(f"/roles/{role['id']}/permissions", {"permissions": permissions})
    return str(role["id"])


async def _make_user(api: Api, user: DemoUser, role_id: str) -> str:
    name = user.email.partition("@")[0].capitalize()
    made = await api.post(
        "/users",
        {
            "connection": "Username-Password-Authentication",
            "email": user.email,
            "password": user.password,
            "email_verified": True,
            "name": f"{name} Example",
            "given_name": name,
            "family_name": "Example",
            "nickname": name.lower(),
        },
    )
    await api.post(f"/users/{made['user_id']}/roles", {"roles": [role_id]})
    return str(made["user_id"])


async def _make_organizations(
    api: Api, tenant_id: str, users: list[DemoUser], user_ids: list[str], role_id: str
) -> list[DemoOrganization]:
    """The first user belongs to the first two organizations, the second to the last two, the third to all. Each has an
    owner, so that somebody can invite."""
    belongs = {"north": (0, 2), "south": (0, 1, 2), "east": (1, 2)}
    made = []
    for name in ORGANIZATIONS:
        organization = await api.post(
            "/organizations",
            {"name": f"{tenant_id}-{name}", "display_name": f"{_title(tenant_id)} {name.title()}"},
        )
        owner, *others = members = [user_ids[index] for index in belongs[name]]
        its_members = f"/organizations/{organization['id']}/members"
        await api.post(its_members, {"members": [owner], "organization_roles": ["owner"]})
        await api.post(its_members, {"members": others})
        for user_id in members:
            await api.post(f"{its_members}/{user_id}/roles", {"roles": [role_id]})
        emails = [users[index].email for index in belongs[name]]
        made.append(DemoOrganization(organization["id"], organization["name"], emails))
    return made


async def _make_clients(api: Api, issuer: str, audience: str) -> dict[str, DemoClient]:
    app = _app_address(issuer)
    confidential = {
        "app_type": "regular_web",
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "callbacks": [CALLBACK],
        "allowed_logout_urls": [SIGNED_OUT],
    }
    public = {
        "app_type": "spa",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "callbacks": [CALLBACK, app, f"{app}callback"],
        "allowed_logout_urls": [SIGNED_OUT, app],
        "web_origins": [app.rstrip("/")],
    }
    machine = {"app_type": "non_interactive", "grant_types": ["client_credentials"]}
    clients = {
        "web": await _make_client(api, "Demo web application", confidential),
        "web2": await _make_client(api, "Demo back office", confidential),
        "spa": await _make_client(api, "Demo single-page application", public),
        "m2m": await _make_client(api, "Demo automation", machine),
    }
    for name in ("web", "web2"):
        await _grant(api, clients[name], audience, list(SCOPES))
    servers = await api.get("/resource-servers", per_page=100)
    management = next(server for server in servers if server["identifier"] == f"{issuer}api/v2/")
    await _grant(
        api, clients["m2m"], management["identifier"], [scope["value"] for scope in management["scopes"]]
    )
    return clients


async def _make_client(api: Api, name: str, settings: dict[str, Any]) -> DemoClient:
    made = await api.post("/clients", {"name": name, "is_first_party": True, **settings})
    return DemoClient(made["client_id"], made.get("client_secret"))


async def _grant(api: Api, client: DemoClient, audience: str, scope: list[str]) -> None:
    await api.post("/client-grants", {"client_id": client.client_id, "audience": audience, "scope": scope})


def _app_address(issuer: str) -> str:
    """`http://app.acme.localhost:9872/`: a site of the tenant's, beside its issuer."""
    host = httpx.URL(issuer).host
    return f"http://app.{host}:{APP_PORT}/"
