"""A tenant with something of everything, for tools that carry whole tenants about."""

from typing import Any

from entrypoints.network import Api

API = "https://orders.example.com"
PERMISSIONS = [
    {"resource_server_identifier": API, "permission_name": name} for name in ("read:orders", "write:orders")
]
CLIENTS: tuple[dict[str, Any], ...] = (
    {
        "name": "Shop: web/back office",
        "description": "What customers see\nand staff, too",
        "app_type": "regular_web",
        "logo_uri": "https://shop.example.com/logo.png",
        "callbacks": ["https://shop.example.com/callback", "https://staging.shop.example.com/callback"],
        "allowed_logout_urls": ["https://shop.example.com/"],
        "web_origins": ["https://shop.example.com"],
        "allowed_origins": ["https://shop.example.com"],
        "initiate_login_uri": "https://shop.example.com/login",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token", "implicit", "password"],
        "organization_usage": "require",
        "organization_require_behavior": "post_login_prompt",
        "jwt_configuration": {"alg": "RS256", "lifetime_in_seconds": 3600, "secret_encoded": False},
        "refresh_token": {
            "rotation_type": "rotating", "expiration_type": "expiring", "leeway": 10, "token_lifetime": 2592000,
            "idle_token_lifetime": 1296000, "infinite_token_lifetime": False, "infinite_idle_token_lifetime": False,
        },
        "oidc_logout": {
            "backchannel_logout_urls": ["https://shop.example.com/backchannel"],
            "backchannel_logout_initiators": {"mode": "custom", "selected_initiators": ["rp-logout", "idp-logout"]},
        },
        "client_metadata": {"team": "shop", "tier": "gold"},
        "addons": {"samlp": {"audience": "urn:shop", "mappings": {"email": "mail"}}},
        "sso_disabled": False,
        "cross_origin_authentication": False,
        "custom_login_page_on": True,
        "is_token_endpoint_ip_header_trusted": False,
        "oidc_conformant": True,
        "require_pushed_authorization_requests": True,
    },
    {
        "name": "Shop on phones",
        "app_type": "native",
        "token_endpoint_auth_method": "none",
        "callbacks": ["com.example.shop:/callback", "http://127.0.0.1/callback"],
        "mobile": {"ios": {"team_id": "9JA89QQLNQ", "app_bundle_identifier": "com.example.shop"}},
        "native_social_login": {"apple": {"enabled": False}, "facebook": {"enabled": False}},
        "is_first_party": False,
        "require_proof_of_possession": True,
    },
    {
        "name": "Shop, single page",
        "app_type": "spa",
        "token_endpoint_auth_method": "none",
        "callbacks": ["https://spa.example.com/"],
        "web_origins": ["https://spa.example.com"],
        "organization_usage": "deny",
    },
    {"name": "Night job", "app_type": "non_interactive", "grant_types": ["client_credentials"]},
)  # fmt: skip
SETTINGS: dict[str, Any] = {
    "friendly_name": "Example & Sons",
    "picture_url": "https://example.com/logo.png",
    "support_email": "help@example.com",
    "support_url": "https://example.com/help",
    "session_lifetime": 24.5,
    "idle_session_lifetime": 2,
    "enabled_locales": ["en", "de"],
    "allowed_logout_urls": ["https://example.com/bye"],
    "default_audience": API,
    "default_directory": "Username-Password-Authentication",
    "error_page": {"url": "https://example.com/error", "show_log_link": True},
    "flags": {"revoke_refresh_token_grant": True, "enable_client_connections": False},
}
ATTACK_PROTECTION: dict[str, dict[str, Any]] = {
    "brute-force-protection": {
        "enabled": True, "mode": "count_per_identifier", "max_attempts": 7, "shields": ["block"],
        "allowlist": ["192.0.2.7"],
    },
    "suspicious-ip-throttling": {"enabled": True, "shields": ["block"], "allowlist": ["192.0.2.0/24"]},
    "breached-password-detection": {"enabled": False},
}  # fmt: skip
DATABASE = {
    "passwordPolicy": "good",
    "password_history": {"enable": True, "size": 5},
    "disable_signup": True,
    "brute_force_protection": True,
}
EMAIL_PROVIDER: dict[str, Any] = {
    "name": "sendgrid",
    "enabled": False,
    "default_from_address": "Example <post@example.com>",
    "credentials": {"api_key": "SG.key"},
}
EMAIL_TEMPLATES: tuple[dict[str, Any], ...] = (
    {
        "template": "verify_email",
        "body": "<html>\n<body>\n<p>{{ user.name }}: <a href='{{ url }}'>{{ application.name }}</a></p></body></html>",
        "from": "{{ application.name }} <post@example.com>",
        "subject": "Welcome to {{ friendly_name }}",
        "syntax": "liquid",
        "resultUrl": "https://example.com/verified",
        "urlLifetimeInSeconds": 432_000,
        "includeEmailInRedirect": True,
        "enabled": True,
    },
    {"template": "welcome_email", "body": "<p>Hi</p>", "enabled": False},
)
FEDERATED: dict[str, Any] = {
    "name": "corporate",
    "strategy": "oidc",
    "display_name": "Corporate & Sons",
    "show_as_button": True,
    "options": {
        "type": "back_channel",
        "issuer": "https://idp.example.com",
        "discovery_url": "https://idp.example.com/.well-known/openid-configuration",
        "client_id": "upstream",
        "client_secret": "upstream-secret",
        "scope": "openid profile email",
    },
    "metadata": {"owner": "it"},
}
LOG_STREAM: dict[str, Any] = {
    "name": "Audit: everything",
    "type": "http",
    "sink": {
        "httpEndpoint": "https://audit.example.com/logs",
        "httpContentType": "application/json",
        "httpContentFormat": "JSONLINES",
        "httpAuthorization": "Bearer audit-secret",
    },
    "filters": [{"type": "category", "name": "auth.login.fail"}],
}
DISCOVERY_DOMAIN = {
    "domain": "north.example.com",
    "status": "verified",
    "use_for_organization_discovery": False,
}
TEXTS: dict[tuple[str, str], dict[str, Any]] = {
    ("login-id", "en"): {"login-id": {"title": "Welcome to ${clientName}", "buttonText": "Go on"}},
    ("reset-password", "de"): {"reset-password-request": {"title": "Passwort vergessen?"}},
}
"""By prompt and language."""
ORGANIZATIONS: tuple[dict[str, Any], ...] = (
    {
        "name": "north",
        "display_name": "North & Sons",
        "branding": {
            "logo_url": "https://north.example.com/logo.png",
            "colors": {"primary": "#112233", "page_background": "#ffffff"},
        },
        "metadata": {"plan": "gold", "region": "eu"},
    },
    {"name": "south", "display_name": "South"},
)


async def fill(api: Api) -> None:
    """Whatever is asked here is there: an answer but success ends it."""
    await api.post(
        "/resource-servers",
        {
            "name": "Orders: v1",
            "identifier": API,
            "scopes": [{"value": "read:orders", "description": "Read"}, {"value": "write:orders"}],
            "signing_alg": "ES256",
            "token_lifetime": 900,
            "token_lifetime_for_web": 600,
            "enforce_policies": True,
            "token_dialect": "rfc9068_profile_authz",
            "allow_offline_access": True,
            "skip_consent_for_verifiable_first_party_clients": False,
            "proof_of_possession": {"mechanism": "dpop", "required": False},
        },
    )
    await api.post("/emails/provider", EMAIL_PROVIDER)
    for template in EMAIL_TEMPLATES:
        await api.post("/email-templates", template)
    made = [await api.post("/clients", client) for client in CLIENTS]
    grant = {"client_id": made[3]["client_id"], "audience": API, "scope": ["read:orders"]}
    granted = await api.post("/client-grants", {**grant, "organization_usage": "allow"})
    role = await api.post("/roles", {"name": "Clerk/1", "description": "Works on orders"})
    await api.post(f"/roles/{role['id']}/permissions", {"permissions": PERMISSIONS})
    await api.post("/roles", {"name": "Idle"})
    connections = await api.get("/connections")
    database = next(each for each in connections if each["strategy"] == "auth0")
    for organization in ORGANIZATIONS:
        group = await api.post("/organizations", organization)
        enabled = {
            "connection_id": database["id"],
            "assign_membership_on_login": True,
            "show_as_button": False,
        }
        await api.post(f"/organizations/{group['id']}/enabled_connections", enabled)
        await api.post(f"/organizations/{group['id']}/client-grants", {"grant_id": granted["id"]})
    await api.patch(f"/connections/{database['id']}", {"options": {**database["options"], **DATABASE}})
    statuses = [{"client_id": client["client_id"], "status": client is made[0]} for client in made]
    await api.patch(f"/connections/{database['id']}/clients", statuses)
    north = await api.get(f"/organizations/name/{ORGANIZATIONS[0]['name']}")
    await api.post(f"/organizations/{north['id']}/discovery-domains", DISCOVERY_DOMAIN)
    await api.post("/connections", {**FEDERATED, "enabled_clients": [made[0]["client_id"]]})
    await api.post("/log-streams", LOG_STREAM)
    for (prompt, language), texts in TEXTS.items():
        assert await api.status("PUT", f"/prompts/{prompt}/custom-text/{language}", texts) == 200
    for name, protection in ATTACK_PROTECTION.items():
        await api.patch(f"/attack-protection/{name}", protection)
    await api.patch("/tenants/settings", SETTINGS)
