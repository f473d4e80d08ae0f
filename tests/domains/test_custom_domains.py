"""A domain leads to the tenant that has proven it, and to nobody else (`specs/tenancy.md` section 3)."""

import re
import shutil
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from entrypoints.asgi import create_app
from entrypoints.demo_content import Demo, DemoClient
from tests.conftest import serving, settings_for
from tests.domains.conftest import ADDRESSES, Domains
from tests.domains.name_server import name_server
from tests.installation import Installation
from tests.operators import Caller, machine_token
from tests.provisioning.installations import settle
from tests.relying_party import RelyingParty

pytestmark = pytest.mark.anyio

LOGIN = "login.acme.test"


async def test_a_claim_is_shown_as_auth0_shows_it_and_leads_nowhere(domains: Domains) -> None:
    acme = await domains.of("acme")
    made = await acme.claim("Login.ACME.test", domain_metadata={"brand": "blue"})
    method = made["verification"]["methods"][0]
    assert made["custom_domain_id"].startswith("cd_")
    assert (made["domain"], made["status"], made["primary"]) == (LOGIN, "pending_verification", False)
    assert (method["name"], method["domain"]) == ("txt", f"_keystead-challenge.{LOGIN}")
    assert await domains.issuer_at(LOGIN) is None
    path = f"/{made['custom_domain_id']}"
    assert (await acme.call("GET", path)).json() == made
    assert (await acme.call("GET")).json() == [made]
    assert (await acme.call("GET", "?take=1")).json() == {"custom_domains": [made]}
    changed = await acme.call("PATCH", path, {"domain_metadata": {"brand": None, "team": "x"}})
    assert changed.json()["domain_metadata"] == {"team": "x"}
    seen = await acme.verify(made)
    assert (seen["status"], seen["verification"]["status"]) == ("pending_verification", "failed")
    assert (await acme.call("DELETE", path)).status_code == 204
    assert (await acme.call("GET", path)).status_code == 404


async def test_a_proven_domain_is_the_tenants_issuer_in_every_process(domains: Domains) -> None:
    acme, settings = await domains.of("acme"), domains.installation.app.settings
    other = create_app(settings)
    async with other.lifespan() as running:
        assert await running.platform.directory.by_host(LOGIN) is None
        ready = await acme.proven(LOGIN)
        assert (ready["status"], ready["primary"]) == ("ready", True)
        assert await domains.issuer_at(LOGIN) == f"https://{LOGIN}/"
        there = await running.platform.directory.by_host(LOGIN)
        assert there is not None
        assert (there.id, there.issuer, there.primary_issuer) == (
            "acme",
            f"https://{LOGIN}/",
            f"https://{LOGIN}/",
        )
    tenant = await (await domains.installation.operator()).get("/tenants/acme")
    assert tenant["hosts"] == ["acme.id.example.com", LOGIN]
    own = domains.installation.tenant("acme")
    async with domains.installation.browser() as http:
        party = RelyingParty(http, f"https://{LOGIN}/", own.clients["web"], own.api_audience, own.users[0])
        tokens = await party.sign_in()
        assert tokens.claims["iss"] == tokens.id_claims["iss"] == party.landed["iss"] == party.issuer
        code = await party.code()
        usual = RelyingParty(http, own.issuer, own.clients["web"], own.api_audience, own.users[0])
        usual.verifier = party.verifier
        assert (await usual.redeem(code)).error == "invalid_grant", "a code stays with its issuer"
        assert (await usual.refresh(tokens.refresh_token)).error == "invalid_grant"
        assert (await party.redeem(code)).status == 200


async def test_what_is_proven_is_refused_to_others_and_nothing_is_written(domains: Domains) -> None:
    acme, globex = await domains.of("acme"), await domains.of("globex")
    early = await globex.claim(LOGIN)
    await acme.proven(LOGIN)
    refused = await (await domains.of("initech")).call(
        "POST", "", {"domain": LOGIN, "type": "self_managed_certs"}
    )
    assert (refused.status_code, refused.json()["errorCode"]) == (409, "custom_domain_in_use")
    assert (await (await domains.of("initech")).call("GET")).json() == []
    method = early["verification"]["methods"][0]
    domains.names.put(method["domain"], method["record"])
    late = await globex.call("POST", f"/{early['custom_domain_id']}/verify")
    assert late.status_code == 409, "who proves it second does not have it"
    assert await domains.issuer_at(LOGIN) == f"https://{LOGIN}/"
    twice = await acme.call("POST", "", {"domain": LOGIN, "type": "self_managed_certs"})
    assert twice.json()["errorCode"] == "custom_domain_exists"
    path = f"/{early['custom_domain_id']}"
    assert (await acme.call("GET", path)).status_code == 404, "another's claim is nobody's here"
    assert (await acme.call("PATCH", path, {"tls_policy": "recommended"})).status_code == 404
    assert (await acme.call("DELETE", path)).status_code == 204
    assert (await globex.call("GET", path)).status_code == 200


async def test_a_claim_that_nobody_proves_hinders_nobody(domains: Domains) -> None:
    await (await domains.of("globex")).claim(LOGIN)
    ready = await (await domains.of("acme")).proven(LOGIN)
    assert ready["status"] == "ready"


async def test_a_released_domain_is_free_when_its_proof_is_gone(domains: Domains) -> None:
    acme, globex = await domains.of("acme"), await domains.of("globex")
    had = await acme.proven(LOGIN)
    await acme.call("DELETE", f"/{had['custom_domain_id']}")
    assert await domains.issuer_at(LOGIN) is None
    wanted = await globex.claim(LOGIN)
    method = wanted["verification"]["methods"][0]
    domains.names.put(method["domain"], method["record"])
    still = await globex.call("POST", f"/{wanted['custom_domain_id']}/verify")
    assert (still.status_code, still.json()["errorCode"]) == (409, "custom_domain_in_use")
    assert await domains.issuer_at(LOGIN) is None
    domains.names.texts[method["domain"]] = [method["record"]]
    assert (await globex.verify(wanted))["status"] == "ready"
    again = await acme.call("POST", "", {"domain": LOGIN, "type": "self_managed_certs"})
    assert again.status_code == 409


async def test_a_tenant_that_comes_back_to_its_domain_has_the_same_proof(domains: Domains) -> None:
    acme = await domains.of("acme")
    had = await acme.proven(LOGIN)
    await acme.call("DELETE", f"/{had['custom_domain_id']}")
    back = await acme.claim(LOGIN)
    assert back["verification"]["methods"] == had["verification"]["methods"]
    assert (await acme.verify(back))["status"] == "ready"


NOBODYS = [
    "localhost",
    "com",
    "*.acme.test",
    "id.example.com",
    "acme.id.example.com",
    "a.b.id.example.com",
    "manage.example.com",
    "x.manage.example.com",
    "192.0.2.1",
    "[2001:db8::1]",
    "login.acme.test:443",
    "https://login.acme.test",
    "login.acme.test/x",
    "user@login.acme.test",
    "_dmarc.acme.test",
    "-x.acme.test",
    "x..acme.test",
    f"{'x' * 64}.acme.test",
    "login.acme.test\u0000",
    "login acme.test",
    ".".join(["x" * 60] * 4),
]


async def test_what_can_be_no_tenants_domain_is_refused(domains: Domains) -> None:
    acme = await domains.of("acme")
    for domain in NOBODYS:
        answer = await acme.call("POST", "", {"domain": domain, "type": "auth0_managed_certs"})
        assert answer.status_code == 400, (domain, answer.text)
    assert (await acme.call("GET")).json() == []


async def test_a_name_in_another_script_is_kept_as_dns_spells_it(domains: Domains) -> None:
    acme = await domains.of("acme")
    made = await acme.claim("Anmeldung.Bücher.test.")
    assert made["domain"] == "anmeldung.xn--bcher-kva.test"
    taken = await acme.call(
        "POST", "", {"domain": "ANMELDUNG.xn--bcher-kva.test", "type": "self_managed_certs"}
    )
    assert taken.status_code == 409


async def test_members_that_are_not_for_callers_are_refused(domains: Domains) -> None:
    acme = await domains.of("acme")
    good = {"domain": LOGIN, "type": "auth0_managed_certs"}
    for more in (
        {"custom_client_ip_header": "cf-connecting-ip"},
        {"primary": True},
        {"status": "ready"},
        {"tls_policy": "weak"},
        {"type": "x"},
        {"verification_method": "cname"},
    ):
        assert (await acme.call("POST", "", good | more)).status_code == 400, more
    made = await acme.claim(LOGIN)
    path = f"/{made['custom_domain_id']}"
    for patch in ({"domain": "other.test"}, {"status": "ready"}, {"custom_client_ip_header": "x"}):
        assert (await acme.call("PATCH", path, patch)).status_code == 400, patch
    assert (await acme.call("GET", path)).json() == made


async def test_the_primary_domain_is_chosen_and_falls_back(domains: Domains) -> None:
    acme = await domains.of("acme")
    first, second = await acme.proven(LOGIN), await acme.proven("id.acme.test")
    assert (first["primary"], second["primary"]) == (True, False)
    chosen = await acme.call("PATCH", "/default", {"domain": "id.acme.test"})
    assert (chosen.json()["domain"], chosen.json()["primary"]) == ("id.acme.test", True)
    directory = domains.installation.running.platform.directory
    tenant = await directory.by_id("acme")
    assert tenant is not None
    assert (tenant.issuer, tenant.primary_issuer) == ("https://acme.id.example.com/", "https://id.acme.test/")
    pending = await acme.claim("later.acme.test")
    assert (await acme.call("PATCH", "/default", {"domain": pending["domain"]})).status_code == 409
    assert (await acme.call("PATCH", "/default", {"domain": "nobody.test"})).status_code == 404
    await acme.call("DELETE", f"/{second['custom_domain_id']}")
    own = {"domain": "acme.id.example.com", "primary": True}
    assert (await acme.call("GET", "/default")).json() == own
    tenant = await directory.by_id("acme")
    assert tenant is not None
    assert tenant.primary_issuer == tenant.issuer


async def test_a_request_that_is_sent_again_claims_once(domains: Domains) -> None:
    acme, body = await domains.of("acme"), {"domain": LOGIN, "type": "self_managed_certs"}
    key = {"Idempotency-Key": "once"}
    first, again = await acme.call("POST", "", body, **key), await acme.call("POST", "", body, **key)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    another = {**body, "domain": "other.acme.test"}
    assert (await acme.call("POST", "", another, **key)).status_code == 422
    assert [each["domain"] for each in (await acme.call("GET")).json()] == [LOGIN]
    domains.installation.clock.advance(25 * 3600)
    acme = await domains.of("acme")
    assert (await acme.call("POST", "", another, **key)).status_code == 201, (
        "a day later the key is a new one"
    )


async def test_what_is_done_to_domains_is_in_the_tenants_log(domains: Domains) -> None:
    acme = await domains.of("acme")
    had = await acme.proven(LOGIN)
    await acme.call("DELETE", f"/{had['custom_domain_id']}")
    events = (await acme.caller.call("GET", f"{acme.base}/logs", per_page=50)).json()
    told = [event.get("description", "") for event in events]
    assert {"Create custom domain", "Delete custom domain", "Verify custom domain"} <= set(told)


async def test_a_suspended_tenants_domain_says_so_and_a_deleted_ones_is_nobodys(domains: Domains) -> None:
    acme, operator = await domains.of("acme"), await domains.installation.operator()
    await acme.proven(LOGIN)
    http = domains.installation.http
    await operator.post("/tenants/acme/suspend")
    assert (await http.get(f"https://{LOGIN}/authorize")).status_code == 403
    await operator.post("/tenants/acme/resume")
    assert await domains.issuer_at(LOGIN) is not None
    await operator.delete("/tenants/acme")
    assert (await http.get(f"https://{LOGIN}/authorize")).status_code == 404
    globex = await domains.of("globex")
    body = {"domain": LOGIN, "type": "self_managed_certs"}
    assert (await globex.call("POST", "", body)).status_code == 409, "it may come back by a restore"
    domains.installation.clock.advance(8 * 86_400)
    await settle(domains.installation.running.platform)
    globex = await domains.of("globex")
    wanted = await globex.claim(LOGIN)
    method = wanted["verification"]["methods"][0]
    domains.names.put(method["domain"], method["record"])
    refused = await globex.call("POST", f"/{wanted['custom_domain_id']}/verify")
    assert refused.status_code == 409, "what proved it for the tenant that is gone still stands"
    domains.names.texts[method["domain"]] = [method["record"]]
    assert (await globex.verify(wanted))["status"] == "ready"


async def test_a_deleted_tenant_that_is_restored_has_its_domains_again(domains: Domains) -> None:
    acme, operator = await domains.of("acme"), await domains.installation.operator()
    had = await acme.proven(LOGIN)
    await operator.delete("/tenants/acme")
    assert await domains.issuer_at(LOGIN) is None
    await operator.post("/tenants/acme/restore")
    assert await domains.issuer_at(LOGIN) == f"https://{LOGIN}/"
    [back] = (await acme.call("GET")).json()
    assert (back["custom_domain_id"], back["status"]) == (had["custom_domain_id"], "ready")


async def test_an_operator_takes_a_domain_from_a_tenant_that_does_not_let_it_go(domains: Domains) -> None:
    had = await (await domains.of("acme")).proven(LOGIN)
    installation, plane = domains.installation, domains.installation.demo.control_plane
    token = await machine_token(
        installation.http, plane.issuer, plane.clients["m2m"], plane.management_audience
    )
    url = f"{plane.issuer}api/v2/custom-domains/{had['custom_domain_id']}"
    gone = await Caller(installation.http, token).call("DELETE", url, headers={"tenant-id": "acme"})
    assert gone.status_code == 204
    assert await domains.issuer_at(LOGIN) is None
    globex = await domains.of("globex")
    domains.names.texts.clear()
    assert (await globex.proven(LOGIN))["status"] == "ready"


async def test_tenant_one_has_the_host_it_was_given(domains: Domains) -> None:
    operator = await domains.installation.operator()
    assert await operator.get("/custom-domains") == []
    body = {"domain": LOGIN, "type": "self_managed_certs"}
    assert await operator.status("POST", "/custom-domains", body) == 403


async def test_an_installation_on_plain_http_has_no_other_hosts(shared: Installation) -> None:
    acme = await shared.manager("acme")
    for domain in (LOGIN, "login.acme.localhost"):
        body = {"domain": domain, "type": "self_managed_certs"}
        assert await acme.status("POST", "/custom-domains", body) == 400


async def test_mails_name_the_primary_domain_whatever_host_was_asked(
    behind_https: tuple[Path, Demo], tmp_path: Path
) -> None:
    shutil.copytree(behind_https[0], tmp_path / "data")
    async with name_server() as names:
        settings = settings_for(
            tmp_path / "data",
            **ADDRESSES,
            dns_servers=(("127.0.0.1", names.port),),
            mail_folder=Path("mail"),
        )
        async with serving(settings, behind_https[1]) as installation:
            domains = Domains(installation, names)
            await (await domains.of("acme")).proven(LOGIN)
            tenant = installation.tenant("acme")
            body = {
                "client_id": tenant.clients["web"].client_id,
                "email": tenant.users[0].email,
                "connection": "Username-Password-Authentication",
            }
            url = f"{tenant.issuer}dbconnections/change_password"
            assert (await installation.http.post(url, json=body)).status_code == 200
            handle = await installation.running.platform.directory.by_id("acme")
            assert handle is not None
            await installation.running.services.deliveries.run_due(handle)
            [letter] = list((tmp_path / "data" / "mail").rglob("*.eml"))
            text = message_from_bytes(letter.read_bytes(), policy=default).get_body(("plain",)).get_content()
            [link] = re.findall(r"https://\S+ticket=\S+", text)
            assert link.startswith(f"https://{LOGIN}/u/")
            assert (await installation.http.get(link)).status_code == 200


async def test_an_api_that_has_the_domains_name_is_no_second_management_api(domains: Domains) -> None:
    acme = await domains.of("acme")
    api = {
        "identifier": f"https://{LOGIN}/api/v2/",
        "name": "Looks alike",
        "scopes": [{"value": "read:users"}],
    }
    url = f"{acme.base}/resource-servers"
    double = (await acme.caller.call("POST", url, api)).json()
    made = await acme.claim(LOGIN)
    method = made["verification"]["methods"][0]
    domains.names.put(method["domain"], method["record"])
    path = f"/{made['custom_domain_id']}/verify"
    refused = await acme.call("POST", path)
    assert (refused.status_code, refused.json()["errorCode"]) == (409, "custom_domain_conflict")
    running, now = domains.installation.running, 1
    custom = running.services.custom_domains
    assert custom is not None
    await custom.verify("acme", made["custom_domain_id"], now)  # as if both had been asked at once
    client = (
        await acme.caller.call(
            "POST", f"{acme.base}/clients", {"name": "Reader", "app_type": "non_interactive"}
        )
    ).json()
    grant = {"client_id": client["client_id"], "audience": api["identifier"], "scope": ["read:users"]}
    assert (await acme.caller.call("POST", f"{acme.base}/client-grants", grant)).status_code == 201
    credentials = DemoClient(client["client_id"], client["client_secret"])
    for issuer in (domains.installation.tenant("acme").issuer, f"https://{LOGIN}/"):
        token = await machine_token(domains.installation.http, issuer, credentials, api["identifier"])
        answer = await Caller(domains.installation.http, token).call("GET", f"{issuer}api/v2/users")
        assert answer.status_code == 401, "the token is for the tenant's API, and for no other"
    assert (await acme.caller.call("DELETE", f"{url}/{double['id']}")).status_code == 204
    again = await acme.caller.call("POST", url, api)
    assert again.status_code == 400, "an address of the issuer is no identifier from now on"
