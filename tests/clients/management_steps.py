"""What Auth0's clients for the Management API are made to do, said once for both of them."""

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.clients.management_step import Step, end, life, step
from tests.clients.management_steps_of_people import blocks, people, sessions

API = "https://sdk.example.com"
LETTERS = {"python": "welcome_email", "node": "stolen_credentials"}
"""Each client has one of its own to make: nothing takes a template away again."""


def steps(mark: str) -> Iterator[Step]:
    api = f"{API}/{mark}"
    scopes = [{"value": "read:things", "description": "Read"}]
    yield from life(
        "resource_servers",
        {"name": f"API {mark}", "identifier": api, "scopes": scopes},
        {"token_lifetime": 60},
    )
    yield step("resource_servers.create", fails=409, name=f"API {mark}", identifier=api)
    yield from life(
        "clients",
        {"name": f"App {mark}", "app_type": "regular_web", "callbacks": ["https://a.example.com/"]},
        {"description": "What it is for"},
        id="client_id",
    )
    yield step("clients.create", fails=400, name=f"App {mark}", callbacks=["javascript:alert(1)"])
    yield step("clients.rotate_secret", "$clients.client_id", gives={"name": f"App {mark}"})
    yield from _credentials()
    yield from _grants(api)
    yield from life("roles", {"name": f"Role {mark}", "description": "Works"}, {"description": "Rests"})
    permission = {"resource_server_identifier": api, "permission_name": "read:things"}
    yield step("roles.permissions.add", "$roles.id", permissions=[permission])
    yield step("roles.permissions.list", "$roles.id", holds=permission)
    yield from people(mark, api)
    yield from _organizations(mark)
    yield from _documents()
    yield from _keys()
    yield from _letters(LETTERS[mark])
    yield from _texts(mark)
    yield from _custom_domains(mark)
    yield from _connections(mark)
    yield from sessions()
    yield from blocks()
    yield from _streams(mark)
    yield step("roles.permissions.delete", "$roles.id", permissions=[permission])
    for resource, id in (
        ("organizations", "id"), ("users", "user_id"), ("roles", "id"), ("client_grants", "id"),
        ("clients", "client_id"), ("resource_servers", "id"),
    ):  # fmt: skip
        yield from end(resource, id)


def _credentials() -> Iterator[Step]:
    of, client, it = "clients.credentials", "$clients.client_id", "$credential.id"
    key = {"credential_type": "public_key", "name": "A key", "pem": _public_key()}
    yield step(f"{of}.create", client, kept="credential", **key, alg="RS256")
    yield step(f"{of}.list", client, holds={"id": it})
    yield step(f"{of}.get", client, it, gives={"name": "A key", "alg": "RS256"})
    yield step(f"{of}.update", client, it, expires_at="2040-01-01T00:00:00.000Z")
    yield step(f"{of}.create", client, fails=400, credential_type="public_key", pem="no key")
    yield step(f"{of}.delete", client, it)
    yield step(f"{of}.get", client, it, fails=404)


def _public_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _grants(api: str) -> Iterator[Step]:
    asked = {"client_id": "$clients.client_id", "audience": api, "scope": ["read:things"]}
    yield step("client_grants.create", kept="client_grants", **asked, organization_usage="allow")
    yield step("client_grants.list", holds={"id": "$client_grants.id"}, take=2)
    yield step("client_grants.update", "$client_grants.id", gives={"scope": []}, scope=[])
    yield step("client_grants.create", fails=409, **asked)


def _organizations(mark: str) -> Iterator[Step]:
    yield from life(
        "organizations",
        {"name": f"org-{mark}", "display_name": "Ours"},
        {"display_name": "Yours"},
        pagings=({"take": 2},),
    )
    yield step("organizations.get_by_name", f"org-{mark}", gives={"display_name": "Yours"})
    yield step("organizations.members.create", "$organizations.id", members=["$users.user_id"])
    yield step("organizations.members.list", "$organizations.id", holds={"user_id": "$users.user_id"})
    enabled = {"connection_id": "$database.id", "assign_membership_on_login": True}
    yield step("organizations.enabled_connections.add", "$organizations.id", **enabled)
    yield step(
        "organizations.enabled_connections.list", "$organizations.id", holds={"connection_id": "$database.id"}
    )
    yield from _connections_of("$organizations.id", "$database.id")
    yield step("organizations.create", kept="begun", name=f"begun-{mark}", enabled_connections=[enabled])
    yield step("organizations.enabled_connections.list", "$begun.id", holds=enabled)
    yield step("organizations.delete", "$begun.id")
    yield from _member("$organizations.id", "$users.user_id")
    yield step("organizations.client_grants.create", "$organizations.id", grant_id="$client_grants.id")
    held = {"id": "$client_grants.id"}
    yield step("organizations.client_grants.list", "$organizations.id", holds=held, per_page=1)
    yield step(
        "client_grants.organizations.list", "$client_grants.id", holds={"id": "$organizations.id"}, take=1
    )
    yield step("organizations.client_grants.delete", "$organizations.id", "$client_grants.id")
    yield from _invitations(f"invited-{mark}@sdk.example.com")
    yield from _discovery_domains(f"{mark}.example.com")


def _connections_of(organization: str, database: str) -> Iterator[Step]:
    """By the path that Auth0 had first, and by the one that it has beside it."""
    of, it = "organizations.enabled_connections", (organization, database)
    yield step(f"{of}.update", *it, assign_membership_on_login=False)
    yield step(f"{of}.get", *it, gives={"connection_id": database, "assign_membership_on_login": False})
    yield step(f"{of}.delete", *it)
    yield step(f"{of}.get", *it, fails=404)
    of = "organizations.connections"
    yield step(f"{of}.create", organization, connection_id=database, assign_membership_on_login=True)
    yield step(f"{of}.list", organization, holds={"connection_id": database}, per_page=1)
    yield step(f"{of}.update", *it, gives={"is_signup_enabled": True}, is_signup_enabled=True)
    yield step(f"{of}.get", *it, gives={"assign_membership_on_login": True, "is_signup_enabled": True})
    yield step(f"{of}.delete", *it)
    yield step(f"{of}.get", *it, fails=404)


def _member(organization: str, person: str) -> Iterator[Step]:
    yield step("users.organizations.list", person, holds={"id": organization}, per_page=1)
    yield step("organizations.members.roles.assign", organization, person, roles=["$roles.id"])
    yield step("organizations.members.roles.list", organization, person, holds={"id": "$roles.id"})
    yield step("organizations.members.roles.delete", organization, person, roles=["$roles.id"])
    yield step("organizations.members.delete", organization, members=[person])


def _invitations(address: str) -> Iterator[Step]:
    organization, it = "$organizations.id", "$invitation.id"
    asked = {
        "inviter": {"name": "Sam"},
        "invitee": {"email": address},
        "client_id": "$clients.client_id",
        "roles": ["$roles.id"],
        "send_invitation_email": False,
    }
    yield step("organizations.invitations.create", organization, kept="invitation", **asked)
    yield step("organizations.invitations.create", organization, fails=409, **asked)
    yield step("organizations.invitations.list", organization, holds={"id": it}, sort="created_at:-1")
    yield step(
        "organizations.invitations.get", organization, it, gives={"ticket_id": "$invitation.ticket_id"}
    )
    yield step("organizations.invitations.delete", organization, it)
    yield step("organizations.invitations.get", organization, it, fails=404)


def _discovery_domains(domain: str) -> Iterator[Step]:
    of, organization, it = "organizations.discovery_domains", "$organizations.id", "$discovery.id"
    yield step(f"{of}.create", organization, kept="discovery", domain=domain, status="pending")
    yield step(f"{of}.create", organization, fails=409, domain=domain)
    yield step(f"{of}.get", organization, it, gives={"domain": domain, "status": "pending"})
    yield step(f"{of}.get_by_name", organization, domain, gives={"id": it})
    yield step(f"{of}.list", organization, holds={"id": it}, take=1)
    yield step(f"{of}.update", organization, it, gives={"status": "verified"}, status="verified")
    yield step(f"{of}.delete", organization, it)
    yield step(f"{of}.get", organization, it, fails=404)


def _documents() -> Iterator[Step]:
    yield step("tenants.settings.update", gives={"friendly_name": "By a client"}, friendly_name="By a client")
    yield step("tenants.settings.get", gives={"friendly_name": "By a client"})
    guard = "attack_protection.brute_force_protection"
    yield step(f"{guard}.update", gives={"max_attempts": 8}, max_attempts=8)
    yield step(f"{guard}.get", gives={"max_attempts": 8})
    yield step("logs.list", holds={"type": "sapi"}, kept="event", per_page=50)
    yield step("logs.get", "$event.log_id", gives={"type": "sapi"})
    colors = {"colors": {"primary": "#123456"}}
    yield step("branding.update", gives=colors, **colors)
    yield step("branding.get", gives=colors)
    guard = "attack_protection.suspicious_ip_throttling"
    yield step(f"{guard}.update", gives={"allowlist": ["192.0.2.7"]}, allowlist=["192.0.2.7"])
    yield step(f"{guard}.get", gives={"allowlist": ["192.0.2.7"]})
    yield step(
        "attack_protection.breached_password_detection.update", gives={"enabled": False}, enabled=False
    )
    yield step("attack_protection.breached_password_detection.get", gives={"enabled": False})


def _keys() -> Iterator[Step]:
    yield step("keys.signing.list", holds={"current": True}, kept="current")
    yield step("keys.signing.rotate", kept="rotated")
    yield step("keys.signing.list", holds={"kid": "$rotated.kid", "next": True})
    yield step("keys.signing.revoke", "$rotated.kid", gives={"kid": "$rotated.kid"})
    yield step("keys.signing.get", "$rotated.kid", gives={"revoked": True})
    yield step("keys.signing.get", "$current.kid", gives={"current": True})


def _letters(template: str) -> Iterator[Step]:
    given = {"name": "sendgrid", "default_from_address": "post@example.com", "enabled": False}
    credentials = {"api_key": "SG.key"}
    yield step("emails.provider.get", fails=404)
    yield step("emails.provider.create", gives=given, **given, credentials=credentials)
    yield step("emails.provider.create", fails=409, **given, credentials=credentials)
    sender = {"default_from_address": "other@example.com"}
    yield step("emails.provider.update", gives=sender, **sender)
    yield step("emails.provider.get", gives={"name": "sendgrid", **sender})
    yield step("emails.provider.delete")
    yield step("emails.provider.get", fails=404)
    letter = {"template": template, "body": "<p>{{ user.name }}</p>", "enabled": False}
    yield step("email_templates.get", template, fails=404)
    yield step("email_templates.create", gives=letter, **letter)
    yield step("email_templates.create", fails=409, **letter)
    yield step("email_templates.update", template, gives={"subject": "Hello"}, subject="Hello")
    yield step("email_templates.get", template, gives={**letter, "subject": "Hello"})
    yield step("email_templates.update", template, fails=400, body="{{ user.name")
    yield step("email_templates.set", template, gives=letter, **letter)


def _texts(mark: str) -> Iterator[Step]:
    of = ("reset-password", "fr")
    texts = {"reset-password-request": {"title": f"Par {mark}"}}
    yield step("prompts.custom_text.set", *of, whole=texts)
    yield step("prompts.custom_text.get", *of, gives=texts)
    yield step("prompts.custom_text.set", *of, fails=400, whole={"reset-password-request": {"unheard": "Of"}})
    yield step("prompts.custom_text.set", *of, whole={})
    yield step("prompts.custom_text.get", "unheard-of", "fr", fails=404)
    yield step("prompts.get_settings", gives={"identifier_first": True})
    yield step("prompts.update_settings", gives={"identifier_first": True}, identifier_first=True)


def _custom_domains(mark: str) -> Iterator[Step]:
    asked = {"domain": f"login-{mark}.example.com", "type": "auth0_managed_certs"}
    yield from life(
        "custom_domains",
        asked,
        {"domain_metadata": {"region": "eu"}},
        id="custom_domain_id",
        pagings=({},),
    )
    yield step(
        "custom_domains.get", "$custom_domains.custom_domain_id", gives={"status": "pending_verification"}
    )
    yield step(
        "custom_domains.verify", "$custom_domains.custom_domain_id", gives={"status": "pending_verification"}
    )
    yield step("custom_domains.create", fails=409, **asked)
    yield step("custom_domains.set_default", fails=409, domain=asked["domain"])
    yield step("custom_domains.get_default", gives={"domain": "$tenant.host"})
    yield from end("custom_domains", "custom_domain_id")


def _connections(mark: str) -> Iterator[Step]:
    options = {"client_id": "upstream", "client_secret": "secret", "issuer": "https://idp.example.com"}
    asked = {"name": f"corporate-{mark}", "strategy": "oidc", "options": options}
    yield from life("connections", asked, {"display_name": "Corporate"}, pagings=({"take": 1},))
    yield step("connections.create", fails=409, **asked)
    it, client = "$connections.id", "$clients.client_id"
    yield step("connections.clients.update", it, whole=[{"client_id": client, "status": True}])
    yield step("connections.clients.get", it, holds={"client_id": client}, take=1)
    yield step("clients.connections.get", client, holds={"id": it}, take=1)
    yield step("connections.clients.update", it, fails=404, whole=[{"client_id": "nobody", "status": True}])
    elsewhere = {"client_id": "upstream", "issuer": "https://elsewhere.example.com"}
    yield step("connections.update", it, fails=400, options=elsewhere)
    yield from end("connections")


def _streams(mark: str) -> Iterator[Step]:
    sink = {"httpEndpoint": "https://receiver.example.com/", "httpAuthorization": "Bearer x"}
    yield from life(
        "log_streams",
        {"name": f"Stream {mark}", "type": "http", "sink": sink},
        {"status": "paused"},
        pagings=({},),
    )
    yield step("log_streams.update", "$log_streams.id", gives={"name": "Renamed"}, name="Renamed")
    yield step(
        "log_streams.create", fails=400, name=f"Other {mark}", type="http", sink={"httpEndpoint": "http://x/"}
    )
    yield from end("log_streams")
    authorization = {"method": "bearer", "token": "secret"}
    configuration = {
        "webhook_endpoint": "https://receiver.example.com/",
        "webhook_authorization": authorization,
    }
    yield from life(
        "event_streams",
        {
            "name": f"Events {mark}",
            "subscriptions": [{"event_type": "user.created"}],
            "destination": {"type": "webhook", "configuration": configuration},
        },
        {"status": "disabled"},
        pagings=({"take": 2},),
    )
    yield step("event_streams.test", "$event_streams.id", kept="tried", event_type="user.created")
    yield step("event_streams.deliveries.list", "$event_streams.id", take=2)
    yield step("event_streams.redeliveries.create", "$event_streams.id")
    yield step("event_streams.redeliveries.create_by_id", "$event_streams.id", "$tried.id")
    yield from end("event_streams")
