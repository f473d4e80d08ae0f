"""One of everything that stands in a tenant and is its own: what the ids in paths and bodies are of."""

import secrets
from typing import Any

from controlplane.registry.custom_domains import DomainClaim, put_claim
from core.crypto.keys import SigningKey
from core.ids import new_id, new_secret
from entrypoints.demo_content import CALLBACK, DemoClient
from tests.isolation.conftest import CONTROL_PLANE, A, Neighbours
from tests.registrations import consented_code
from tests.relying_party import RelyingParty


async def ids_of(neighbours: Neighbours, tenant_id: str) -> dict[str, str]:
    base, caller = f"{neighbours.issuer(tenant_id)}api/v2", neighbours.platform

    async def first(path: str, **query: Any) -> dict[str, Any]:
        found = (await caller.call("GET", f"{base}{path}", per_page=100, **query)).json()
        own = [
            item for item in found if not item.get("is_system") and "api/v2" not in item.get("identifier", "")
        ]
        chosen: dict[str, Any] = own[0]
        return chosen

    server, client = await first("/resource-servers"), await first("/clients")
    user, organization = await first("/users"), await first("/organizations")
    plane = f"{neighbours.issuer(CONTROL_PLANE)}api/v2"
    operation = (await caller.call("GET", f"{plane}/tenants/{tenant_id}/operations")).json()[0]
    token = await neighbours.made(tenant_id, "/client-registration-tokens", {"max_uses": 1})
    grant, connection = await first("/client-grants"), await first("/connections")
    return {
        "roles": (await first("/roles"))["id"],
        "resource-servers": server["id"],
        "identifier": server["identifier"],
        "client-grants": grant["id"],
        "grant_id": grant["id"],
        "connections": connection["id"],
        "connection_id": connection["id"],
        "client-registration-tokens": token["id"],
        "grants": await _consent(neighbours, tenant_id),
        "clients": client["client_id"],
        "client_id": client["client_id"],
        "credential_id": await _credential(neighbours, tenant_id, client["client_id"]),
        "user_id": user["user_id"],
        "provider": "auth0",
        "identity_id": user["user_id"].partition("|")[2],
        "method_id": f"password|{user['user_id'].partition('|')[2]}",
        **await _signed_in(neighbours, tenant_id),
        "user-blocks": user["user_id"],
        "anomaly": "198.51.100.7",
        "kid": (await first("/keys/signing"))["kid"],
        "organizations": organization["id"],
        "organizations.name": organization["name"],
        **await _sold(neighbours, tenant_id, organization["id"]),
        **await _asked(neighbours, tenant_id, organization["id"], client["client_id"]),
        "custom-domains": await _custom_domain(neighbours, tenant_id),
        "users.id": "imp_0000000000000000",
        "prompt": "login-id",
        "language": "en",
        "jobs": await _export(neighbours, tenant_id),
        "logs": (await first("/logs"))["log_id"],
        **await _streams(neighbours, tenant_id),
        "email-templates": await _letters(neighbours, tenant_id),
        "tenant_id": tenant_id,
        "operation_id": operation["id"],
        "run_id": "mig_0000000000000000",  # no run and no backup stands: who may ask learns that, nobody else
        "backup_id": "bak_0000000000000000",
    }


async def _asked(
    neighbours: Neighbours, tenant_id: str, organization_id: str, client_id: str
) -> dict[str, str]:
    """An invitation that no letter tells of, and a domain that nobody proved."""
    path = f"/organizations/{organization_id}"
    invitation = {
        "inviter": {"name": "Ada"},
        "invitee": {"email": f"{secrets.token_hex(4)}@{tenant_id}.example"},
        "client_id": client_id,
        "send_invitation_email": False,
    }
    asked = await neighbours.made(tenant_id, f"{path}/invitations", invitation)
    domain = {"domain": f"{secrets.token_hex(4)}.example"}
    claimed = await neighbours.made(tenant_id, f"{path}/discovery-domains", domain)
    return {
        "invitation_id": asked["id"],
        "discovery_domain_id": claimed["id"],
        "discovery_domain": claimed["domain"],
    }


async def _sold(neighbours: Neighbours, tenant_id: str, organization_id: str) -> dict[str, str]:
    product = await neighbours.made(
        tenant_id, "/products", {"name": f"plan-{secrets.token_hex(4)}", "features": ["standing:true"]}
    )
    body = {"organization_id": organization_id, "product_id": product["id"]}
    subscription = await neighbours.made(tenant_id, "/subscriptions", body)
    return {"products": product["id"], "subscriptions": subscription["id"]}


async def _letters(neighbours: Neighbours, tenant_id: str) -> str:
    """A provider that nothing is sent by, and a template that the neighbour has none of."""
    provider = {
        "name": "smtp",
        "enabled": False,
        "default_from_address": f"post@{tenant_id}.example",
        "credentials": {"smtp_host": f"mail.{tenant_id}.example", "smtp_port": 465},
    }
    await neighbours.made(tenant_id, "/emails/provider", provider)
    name = "welcome_email" if tenant_id == A else "user_invitation"
    await neighbours.made(tenant_id, "/email-templates", {"template": name, "body": "Hello"})
    return name


async def _signed_in(neighbours: Neighbours, tenant_id: str) -> dict[str, str]:
    async with neighbours.installation.browser() as http:
        tokens = await neighbours.installation.relying_party(tenant_id, http=http).sign_in()
    url = f"{neighbours.issuer(tenant_id)}api/v2/users/{tokens.claims['sub']}/refresh-tokens"
    family = (await neighbours.platform.call("GET", url)).json()["tokens"][0]["id"]
    return {
        "sessions": tokens.id_claims["sid"],
        "refresh-tokens": family,
        "device-credentials": family,
    }


async def _custom_domain(neighbours: Neighbours, tenant_id: str) -> str:
    """Claimed where it is kept: an installation without TLS takes none over the API."""
    id = new_id("cd")
    claim = DomainClaim(
        id=id,
        tenant_id=tenant_id,
        host=f"{secrets.token_hex(4)}.test",
        type="self_managed_certs",
        method="txt",
        token=new_secret(24),
        tls_policy="recommended",
        domain_metadata={},
        problem=None,
        created_at=1,
        proven_at=None,
        checked_at=None,
        released_at=None,
    )
    await neighbours.installation.running.platform.registry.write(put_claim, claim)
    return id


async def _streams(neighbours: Neighbours, tenant_id: str) -> dict[str, str]:
    """Streams that nothing is sent to, and an event that could not be delivered."""
    url = "https://receiver.example/"
    log_stream = await neighbours.made(
        tenant_id,
        "/log-streams",
        {"name": "Standing", "type": "http", "status": "paused", "sink": {"httpEndpoint": url}},
    )
    destination = {"type": "webhook", "configuration": {"webhook_endpoint": url}}
    event_stream = await neighbours.made(
        tenant_id,
        "/event-streams",
        {
            "status": "disabled",
            "subscriptions": [{"event_type": "user.created"}],
            "destination": destination,
        },
    )
    tried = await neighbours.made(
        tenant_id, f"/event-streams/{event_stream['id']}/test", {"event_type": "user.created"}
    )
    running = neighbours.installation.running
    tenant = await running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    await running.services.deliveries.run_due(tenant)
    return {"log-streams": log_stream["id"], "event-streams": event_stream["id"], "event_id": tried["id"]}


async def _credential(neighbours: Neighbours, tenant_id: str, client_id: str) -> str:
    jwk = dict(SigningKey.generate("ES256").public_jwk)
    body = {"credential_type": "public_key", "jwk": jwk}
    return (await neighbours.made(tenant_id, f"/clients/{client_id}/credentials", body))["id"]


async def _export(neighbours: Neighbours, tenant_id: str) -> str:
    """One that is over: nothing of it changes any more."""
    job = await neighbours.made(tenant_id, "/jobs/users-exports", {"limit": 1})
    running = neighbours.installation.running
    tenant = await running.platform.directory.by_id(tenant_id)
    assert tenant is not None
    await running.services.jobs.run_due(tenant)
    return job["id"]


async def _consent(neighbours: Neighbours, tenant_id: str) -> str:
    """A person's, to a client that is not the tenant's own."""
    tenant = neighbours.installation.tenant(tenant_id)
    body = {
        "name": f"Third party {secrets.token_hex(3)}",
        "app_type": "native",
        "is_first_party": False,
        "callbacks": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
    }
    client = DemoClient((await neighbours.made(tenant_id, "/clients", body))["client_id"])
    async with neighbours.installation.browser() as http:
        party = RelyingParty(http, tenant.issuer, client, tenant.api_audience, tenant.users[0])
        await consented_code(party)
    url = f"{tenant.issuer}api/v2/grants"
    [grant] = (await neighbours.platform.call("GET", url, client_id=client.client_id)).json()
    return str(grant["id"])
