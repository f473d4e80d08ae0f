"""Domains that organizations prove to be their own, at `/api/auth` and at the Management API."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import update

from entrypoints.demo_content import Demo
from entrypoints.network import ApiError
from provisioning.waiting_deliveries import WaitingDeliveries
from tenant_runtime.models import OrganizationDomain
from tenant_runtime.organizations.domains.rechecking import Rechecks
from tests.conftest import serving, settings_for
from tests.domains.name_server import Late, NameServer, name_server
from tests.installation import Installation
from tests.organizations.people import AuthClient, member, signed_in

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Place:
    installation: Installation
    names: NameServer

    async def owner(self, slug: str) -> tuple[AuthClient, str]:
        person = await signed_in(self.installation)
        made = await person.post("/organization/create", name=slug.title(), slug=slug)
        assert made.status == 200, made
        return person, made.body["id"]

    def show(self, domain: dict[str, Any]) -> None:
        self.names.put(domain["verificationHost"], domain["verificationText"])


@pytest.fixture(scope="module")
async def place(
    golden: tuple[Path, Demo], tmp_path_factory: pytest.TempPathFactory, engine: str | None
) -> AsyncIterator[Place]:
    copy = tmp_path_factory.mktemp("domains") / "data"
    shutil.copytree(golden[0], copy)
    async with name_server() as names:
        settings = settings_for(copy, dns_servers=(("127.0.0.1", names.port),))
        async with serving(settings, golden[1], engine) as installation:
            yield Place(installation, names)


async def test_a_domain_is_claimed_proved_and_given_up(place: Place) -> None:
    owner, id = await place.owner("proves")
    added = await owner.post("/organization/add-domain", domain="Proves.Example.")
    assert added.status == 200, added
    domain = added.body
    assert (domain["domain"], domain["status"], domain["organizationId"]) == ("proves.example", "pending", id)
    assert domain["verificationHost"] == "_keystead-challenge.proves.example"
    assert domain["verifiedAt"] is None
    early = await owner.post("/organization/verify-domain", domainId=domain["id"])
    assert (early.status, early.code) == (400, "DOMAIN_NOT_VERIFIED")
    [listed] = (await owner.get("/organization/list-domains")).body
    assert listed["checkedAt"] is not None
    assert listed["status"] == "pending"
    place.names.put(domain["verificationHost"], "keystead-domain-verification=another")
    place.show(domain)
    proved = await owner.post("/organization/verify-domain", domainId=domain["id"])
    assert (proved.status, proved.body["status"]) == (200, "verified")
    kept = await owner.post("/organization/update-domain", domainId=domain["id"], useForDiscovery=False)
    assert (kept.body["useForDiscovery"], kept.body["status"]) == (False, "verified")
    again = await owner.post("/organization/add-domain", domain="proves.example")
    assert (again.status, again.code) == (409, "DOMAIN_EXISTS")
    gone = await owner.post("/organization/remove-domain", domainId=domain["id"])
    assert gone.body["id"] == domain["id"]
    assert (await owner.get("/organization/list-domains")).body == []
    manager = await place.installation.manager("acme")
    events = await manager.get("/logs", q=f"user_id:{owner.user_id}", per_page=100)
    assert {event["type"] for event in events if event.get("organization_id") == id} >= {
        "organization_domain_added",
        "organization_domain_verified",
        "organization_domain_updated",
        "organization_domain_removed",
    }


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("gmail.com", "PUBLIC_DOMAIN"),
        ("GMX.de", "PUBLIC_DOMAIN"),
        ("localhost", "INVALID_DOMAIN"),
        ("192.0.2.1", "INVALID_DOMAIN"),
        ("*.example.com", "INVALID_DOMAIN"),
        ("https://example.com", "INVALID_DOMAIN"),
        ("example.com:25", "INVALID_DOMAIN"),
        ("a@example.com", "INVALID_DOMAIN"),
        ("_dmarc.example.com", "INVALID_DOMAIN"),
        ("x" * 64 + ".com", "INVALID_DOMAIN"),
        ("", "VALIDATION_ERROR"),
        ("a" * 300, "VALIDATION_ERROR"),
    ],
)
async def test_what_can_be_nobodys_own_domain_is_refused(place: Place, domain: str, code: str) -> None:
    person = await signed_in(place.installation)
    answer = await person.post("/organization/add-domain", domain=domain, organizationId="org_x")
    assert (answer.status, answer.code) == (400, code)


async def test_a_domain_has_one_spelling(place: Place) -> None:
    owner, _ = await place.owner("spells")
    added = await owner.post("/organization/add-domain", domain="BÜCHER.example")
    assert added.body["domain"] == "xn--bcher-kva.example"
    again = await owner.post("/organization/add-domain", domain="xn--bcher-kva.example")
    assert again.code == "DOMAIN_EXISTS"


async def test_two_may_claim_a_domain_and_the_one_whose_record_stands_has_it(place: Place) -> None:
    first, _ = await place.owner("first")
    second, _ = await place.owner("second")
    one = (await first.post("/organization/add-domain", domain="shared.example")).body
    other = (await second.post("/organization/add-domain", domain="shared.example")).body
    assert one["verificationText"] != other["verificationText"]
    place.show(one)
    assert (await first.post("/organization/verify-domain", domainId=one["id"])).status == 200
    denied = await second.post("/organization/verify-domain", domainId=other["id"])
    assert (denied.status, denied.code) == (400, "DOMAIN_NOT_VERIFIED")
    place.show(other)
    both = await second.post("/organization/verify-domain", domainId=other["id"])
    assert (both.status, both.code) == (409, "DOMAIN_IN_USE")
    place.names.texts[one["verificationHost"]].remove(one["verificationText"])
    assert (await second.post("/organization/verify-domain", domainId=other["id"])).status == 200
    [former] = (await first.get("/organization/list-domains")).body
    assert (former["status"], former["verifiedAt"]) == ("pending", None)


async def test_who_proved_a_domain_while_an_older_look_took_its_time_keeps_it(place: Place) -> None:
    """What the look found was gone when the other one proved it."""
    (former, _), (owner, _) = await place.owner("former"), await place.owner("present")
    theirs = (await former.post("/organization/add-domain", domain="handed.example")).body
    domain = (await owner.post("/organization/add-domain", domain="handed.example")).body
    place.show(theirs)
    late = place.names.holds = Late()
    looks = asyncio.create_task(former.post("/organization/verify-domain", domainId=theirs["id"]))
    await late.asked.wait()
    place.names.texts.pop(theirs["verificationHost"])
    place.show(domain)
    place.installation.clock.advance(1)
    assert (await owner.post("/organization/verify-domain", domainId=domain["id"])).status == 200
    late.goes.set()
    assert (await looks).code in ("DOMAIN_IN_USE", "DOMAIN_NOT_VERIFIED")
    [kept] = (await owner.get("/organization/list-domains")).body
    assert kept["status"] == "verified"


async def test_a_look_that_took_its_time_undoes_nothing_that_a_later_one_found(place: Place) -> None:
    owner, _ = await place.owner("slow")
    domain = (await owner.post("/organization/add-domain", domain="slow.example")).body
    late = place.names.holds = Late()
    looks = asyncio.create_task(owner.post("/organization/verify-domain", domainId=domain["id"]))
    await late.asked.wait()
    place.show(domain)
    place.installation.clock.advance(1)
    assert (await owner.post("/organization/verify-domain", domainId=domain["id"])).status == 200
    late.goes.set()
    assert (await looks).body["status"] == "verified"
    [kept] = (await owner.get("/organization/list-domains")).body
    assert kept["status"] == "verified"


async def test_a_look_that_finds_nothing_ends_what_was_verified_and_silence_ends_nothing(
    place: Place,
) -> None:
    owner, _ = await place.owner("looks")
    domain = (await owner.post("/organization/add-domain", domain="looks.example")).body
    place.show(domain)
    assert (await owner.post("/organization/verify-domain", domainId=domain["id"])).status == 200
    place.names.refuses = True
    silent = await owner.post("/organization/verify-domain", domainId=domain["id"])
    place.names.refuses = False
    assert silent.status == 503
    [still] = (await owner.get("/organization/list-domains")).body
    assert still["status"] == "verified"
    place.names.texts.pop(domain["verificationHost"])
    assert (await owner.post("/organization/verify-domain", domainId=domain["id"])).status == 400
    [over] = (await owner.get("/organization/list-domains")).body
    assert over["status"] == "pending"


async def test_looks_are_counted(place: Place) -> None:
    owner, _ = await place.owner("counted")
    domain = (await owner.post("/organization/add-domain", domain="counted.example")).body
    answers = [await owner.post("/organization/verify-domain", domainId=domain["id"]) for _ in range(12)]
    assert {answer.status for answer in answers} == {400, 429}
    await owner.post("/organization/remove-domain", domainId=domain["id"])
    again = (await owner.post("/organization/add-domain", domain="counted.example")).body
    assert (await owner.post("/organization/verify-domain", domainId=again["id"])).status == 429


async def test_only_who_may_update_the_organization_sees_and_changes_its_domains(place: Place) -> None:
    owner, id = await place.owner("guarded")
    domain = (await owner.post("/organization/add-domain", domain="guarded.example")).body
    plain = await member(place.installation, id)
    stranger = await signed_in(place.installation)
    elsewhere, other = await place.owner("elsewhere")
    for person, code in (
        (plain, "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"),
        (stranger, "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"),
    ):
        sent: dict[str, Any] = {"organizationId": id, "domainId": domain["id"]}
        for answer in (
            await person.get("/organization/list-domains", organizationId=id),
            await person.post("/organization/add-domain", domain="x.example", organizationId=id),
            await person.post("/organization/verify-domain", **sent),
            await person.post("/organization/update-domain", useForDiscovery=False, **sent),
            await person.post("/organization/remove-domain", **sent),
        ):
            assert (answer.status, answer.code) == (403, code)
    for path in ("verify-domain", "remove-domain"):
        answer = await elsewhere.post(f"/organization/{path}", organizationId=other, domainId=domain["id"])
        assert (answer.status, answer.code) == (404, "INEXISTENT_DOMAIN")
    [untouched] = (await owner.get("/organization/list-domains")).body
    assert untouched == domain


async def test_whoever_administers_the_tenant_says_which_domains_discover(place: Place) -> None:
    manager = await place.installation.manager("acme")
    organization = await manager.post("/organizations", {"name": "by-manager"})
    base = f"/organizations/{organization['id']}/discovery-domains"
    made = await manager.post(base, {"domain": "Manager.example", "status": "verified"})
    assert made == {
        "id": made["id"],
        "domain": "manager.example",
        "status": "verified",
        "verification_txt": made["verification_txt"],
        "verification_host": "_keystead-challenge.manager.example",
        "use_for_organization_discovery": True,
    }
    assert await manager.get(base) == {"domains": [made]}
    assert await manager.get(f"{base}/{made['id']}") == made
    assert await manager.get(f"{base}/name/MANAGER.example") == made
    changed = await manager.patch(f"{base}/{made['id']}", {"use_for_organization_discovery": False})
    assert changed == {**made, "use_for_organization_discovery": False}
    other = await manager.post("/organizations", {"name": "by-manager-too"})
    theirs = f"/organizations/{other['id']}/discovery-domains"
    with pytest.raises(ApiError, match=r"409.*domain_in_use"):
        await manager.post(theirs, {"domain": "manager.example", "status": "verified"})
    for method, body in (("GET", None), ("PATCH", {"status": "pending"})):
        assert await manager.status(method, f"{theirs}/{made['id']}", body) == 404
    assert await manager.get(theirs) == {"domains": []}


DAY = 86_400


class Watched:
    """A domain that is verified, and people who join by an address in it."""

    def __init__(self, place: Place, organization_id: str, domain: dict[str, Any]) -> None:
        self.place, self.organization_id, self.domain = place, organization_id, domain

    @classmethod
    async def of(cls, place: Place, slug: str) -> "Watched":
        owner, id = await place.owner(slug)
        domain = (await owner.post("/organization/add-domain", domain=f"{slug}.example")).body
        place.show(domain)
        assert (await owner.post("/organization/verify-domain", domainId=domain["id"])).status == 200
        joining = {"domainJoining": "automatic"}
        assert (await owner.post("/organization/update-settings", data=joining)).status == 200
        return cls(place, id, domain)

    async def later(self, days: float) -> None:
        """As a node does by itself now and then."""
        installation = self.place.installation
        installation.clock.advance(days * DAY)
        installation._tokens.clear()
        running = installation.running
        find = running.platform.directory.by_id
        rechecks = Rechecks(running.services.names, installation.clock, find)
        await WaitingDeliveries(
            running.platform.parts, running.services.deliveries.resume, rechecks.soon
        ).look()
        await rechecks.done()

    async def state(self) -> tuple[str, int]:
        manager = await self.place.installation.manager("acme")
        base = f"/organizations/{self.organization_id}/discovery-domains"
        status = (await manager.get(f"{base}/{self.domain['id']}"))["status"]
        return status, self.place.names.asked.count(self.domain["verificationHost"])

    async def joins(self) -> int:
        person = await signed_in(self.place.installation, email=f"{token_hex(4)}@{self.domain['domain']}")
        return (await person.post("/organization/join", organizationId=self.organization_id)).status

    async def told(self) -> list[str]:
        manager = await self.place.installation.manager("acme")
        events = await manager.get("/logs", q="type:organization_domain_updated", per_page=100)
        mine = [event for event in events if event.get("organization_id") == self.organization_id]
        return [event["description"] for event in reversed(mine)]


async def test_a_record_is_looked_for_again_and_a_domain_without_one_opens_nothing(place: Place) -> None:
    watched = await Watched.of(place, "watched")
    _, said = await place.owner("said")
    manager = await place.installation.manager("acme")
    word = {"domain": "said.example", "status": "verified"}
    theirs = await manager.post(f"/organizations/{said}/discovery-domains", word)
    await watched.later(29)
    assert await watched.state() == ("verified", 1)
    await watched.later(4)
    assert await watched.state() == ("verified", 2)
    place.names.refuses = True
    await watched.later(34)
    place.names.refuses = False
    silent = (await watched.state())[1]
    assert (await watched.state())[0] == "verified", "silence ends nothing"
    texts = place.names.texts.pop(watched.domain["verificationHost"])
    await watched.later(0.3)
    await watched.later(0.5)
    assert await watched.state() == ("verified", silent + 1), "once a day"
    place.names.texts[watched.domain["verificationHost"]] = texts
    await watched.later(1)
    assert await watched.state() == ("verified", silent + 2)
    place.names.texts.pop(watched.domain["verificationHost"])
    await watched.later(34)
    await watched.later(1)
    assert (await watched.state(), await watched.joins()) == (("verified", silent + 4), 200)
    await watched.later(1)
    assert await watched.state() == ("pending", silent + 5)
    assert await watched.joins() == 403
    absent = "The record of an organization's domain is not there: it is looked for again tomorrow"
    assert (await watched.told())[-3:] == [absent, absent, "A domain of an organization was changed"]
    await watched.later(40)
    assert await watched.state() == ("pending", silent + 5), "nobody looks for what is nobody's"
    manager = await place.installation.manager("acme")
    members = await manager.get(f"/organizations/{watched.organization_id}/members")
    assert len(members) == 2, "who is a member stays one"
    assert theirs["verification_host"] not in place.names.asked, "it is verified by somebody's word"


async def test_a_look_that_was_put_off_while_the_clock_was_ahead_is_not_waited_for(place: Place) -> None:
    watched = await Watched.of(place, "ahead")
    tenant = await place.installation.running.platform.directory.by_id("acme")
    assert tenant is not None
    years = int(place.installation.clock.now() * 1000) + 20 * 365 * DAY * 1000
    d = OrganizationDomain.__table__
    put_off = update(d).where(d.c.id == watched.domain["id"]).values(look_at=years)
    await tenant.database.write(lambda connection: connection.execute(put_off) and None)
    await watched.later(34)
    assert await watched.state() == ("verified", 2)
