"""Attack protection over the Management API: Auth0's defaults and bodies, inheritance, blocks."""

from typing import Any

import pytest

from tenant_runtime.attack_protection.documents import BRUTE_FORCE
from tenant_runtime.models import Setting
from tests.installation import Installation
from tests.management.world import Place

pytestmark = pytest.mark.anyio

BASE = "/attack-protection"
DEFAULTS: dict[str, dict[str, Any]] = {
    "brute-force-protection": {
        "enabled": True,
        "shields": ["block", "user_notification"],
        "mode": "count_per_identifier_and_ip",
        "allowlist": [],
        "max_attempts": 10,
    },
    "suspicious-ip-throttling": {
        "enabled": True,
        "shields": ["admin_notification", "block"],
        "allowlist": [],
        "stage": {
            "pre-login": {"max_attempts": 100, "rate": 864_000},
            "pre-user-registration": {"max_attempts": 50, "rate": 1200},
        },
    },
    "breached-password-detection": {
        "enabled": False,
        "shields": [],
        "admin_notification_frequency": [],
        "method": "standard",
        "stage": {"pre-user-registration": {"shields": []}, "pre-change-password": {"shields": []}},
    },
}
CHANGES: dict[str, dict[str, Any]] = {
    "brute-force-protection": {
        "enabled": False,
        "shields": ["user_notification"],
        "mode": "count_per_identifier",
        "allowlist": ["198.51.100.0/24", "2001:db8::1"],
        "max_attempts": 100,
    },
    "suspicious-ip-throttling": {
        "enabled": False,
        "shields": [],
        "allowlist": ["198.51.100.7"],
        "stage": {
            "pre-login": {"max_attempts": 1, "rate": 1},
            "pre-user-registration": {"max_attempts": 9, "rate": 9},
        },
    },
    "breached-password-detection": {
        "enabled": True,
        "shields": ["block", "user_notification", "admin_notification"],
        "admin_notification_frequency": ["daily", "weekly"],
        "method": "standard",
        "stage": {
            "pre-user-registration": {"shields": ["block"]},
            "pre-change-password": {"shields": ["admin_notification"]},
        },
    },
}


@pytest.mark.parametrize("kind", DEFAULTS)
async def test_a_document_is_auth0s_until_somebody_says_otherwise(acme: Place, kind: str) -> None:
    api, path = acme.api(), f"{BASE}/{kind}"
    shown = (await api.get(path, include_provenance="true")).json()
    assert set(shown.pop("provenance").values()) == {"default"}
    assert shown == DEFAULTS[kind]
    for member, value in CHANGES[kind].items():
        assert (await api.patch(path, {member: value})).json()[member] == value
    assert (await api.get(path)).json() == CHANGES[kind]
    assert (await api.patch(path, dict.fromkeys(CHANGES[kind]))).json() == DEFAULTS[kind]
    assert (await api.patch(path, {})).json() == DEFAULTS[kind]
    events = [event for event in await acme.events() if event.type == "sapi"]
    assert len(events) <= len(CHANGES[kind]) + 1


async def test_a_stage_changes_only_what_it_names(acme: Place) -> None:
    api, path = acme.api(), f"{BASE}/suspicious-ip-throttling"
    shown = (await api.patch(path, {"stage": {"pre-login": {"max_attempts": 7}}})).json()
    assert shown["stage"] == {
        "pre-login": {"max_attempts": 7, "rate": 864_000},
        "pre-user-registration": {"max_attempts": 50, "rate": 1200},
    }


async def test_what_tenant_one_says_is_inherited_and_an_own_word_wins(acme: Place) -> None:
    api, path = acme.api(), f"{BASE}/brute-force-protection"
    said = {"max_attempts": 3, "shields": ["block"]}
    await acme.add(Setting, converge=True, key=BRUTE_FORCE.key, source="control_plane", value=said)
    assert (await api.get(path)).json() == DEFAULTS["brute-force-protection"] | said
    assert (await api.patch(path, {"max_attempts": 5})).json()["max_attempts"] == 5
    provenance = (await api.get(path, include_provenance="true")).json()["provenance"]
    assert (provenance["max_attempts"], provenance["shields"], provenance["mode"]) == (
        "tenant",
        "control_plane",
        "default",
    )
    assert (await api.patch(path, {"max_attempts": None})).json()["max_attempts"] == 3


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("brute-force-protection", {"max_attempts": 0}),
        ("brute-force-protection", {"max_attempts": 101}),
        ("brute-force-protection", {"max_attempts": "10"}),
        ("brute-force-protection", {"mode": "count_nothing"}),
        ("brute-force-protection", {"shields": ["admin_notification"]}),
        ("brute-force-protection", {"allowlist": ["example.com"]}),
        ("brute-force-protection", {"allowlist": ["10.0.0.0/33"]}),
        ("brute-force-protection", {"allowlist": ["10.0.0.1"] * 101}),
        ("brute-force-protection", {"stage": {}}),
        ("suspicious-ip-throttling", {"stage": {"pre-login": {"rate": 0}}}),
        ("suspicious-ip-throttling", {"stage": {"pre-custom": {}}}),
        ("suspicious-ip-throttling", {"shields": ["user_notification"]}),
        ("breached-password-detection", {"method": "enhanced"}),
        ("breached-password-detection", {"admin_notification_frequency": ["hourly"]}),
        ("breached-password-detection", {"stage": {"pre-user-registration": {"shields": ["captcha"]}}}),
    ],
)
async def test_what_cannot_be_done_cannot_be_said(acme: Place, kind: str, change: dict[str, Any]) -> None:
    answer = await acme.api().patch(f"{BASE}/{kind}", change)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_body")
    assert (await acme.api().get(f"{BASE}/{kind}")).json() == DEFAULTS[kind]


async def test_kinds_that_do_not_exist_are_forbidden_and_blocks_need_a_subject(acme: Place) -> None:
    api = acme.api()
    for path in (BASE, f"{BASE}/captcha", f"{BASE}/bot-detection", "/anomaly/blocks", "/anomaly"):
        assert (await api.get(path)).status_code == 403, path
    assert (await api.get("/user-blocks")).status_code == 400
    assert (await api.get("/user-blocks", identifier="nobody@example.org")).status_code == 404
    assert (await api.get("/anomaly/blocks/ips/198.51.100.7")).status_code == 404
    assert (await api.delete("/anomaly/blocks/ips/198.51.100.7")).status_code == 204
    assert (await api.delete("/anomaly/blocks/ips/no-address")).status_code == 404


async def test_the_control_planes_word_reaches_its_tenants(installation: Installation) -> None:
    """With provenance, and it is what the tenant's sign-in does."""
    operator, manager = await installation.operator(), await installation.manager("acme")
    path = f"{BASE}/brute-force-protection"
    await operator.patch(path, {"max_attempts": 2})
    await installation.running.services.lifecycle.wait_synced()  # type: ignore[union-attr]
    shown = await manager.get(path, include_provenance="true")
    assert (shown["max_attempts"], shown["provenance"]["max_attempts"]) == (2, "control_plane")
    party = installation.relying_party("acme", "spa")
    await party.authorize()
    await party.browser.submit({"email": party.user.email})
    statuses = [
        (await party.browser.submit({"password": f"wrong {number}"})).status_code for number in range(3)
    ]
    assert statuses == [400, 400, 429]
