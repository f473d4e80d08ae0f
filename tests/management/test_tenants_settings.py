import pytest

from tenant_runtime.models import Setting
from tests.management.world import Place

pytestmark = pytest.mark.anyio
PATH = "/tenants/settings"


async def test_every_setting_has_its_default_and_says_so(acme: Place) -> None:
    shown = (await acme.api().get(PATH, include_provenance="true")).json()
    assert shown["session_lifetime"] == 168
    assert set(shown["provenance"].values()) == {"default"}
    assert shown["provenance"].keys() == shown.keys() - {"provenance"}
    assert "provenance" not in (await acme.api().get(PATH)).json()
    assert (await acme.api().get(PATH, fields="session_lifetime")).json() == {"session_lifetime": 168}


async def test_lifetimes_may_be_said_in_minutes(acme: Place) -> None:
    said = {"session_lifetime_in_minutes": 90, "idle_session_lifetime_in_minutes": 45}
    shown = (await acme.api().patch(PATH, said)).json()
    assert (shown["session_lifetime"], shown["idle_session_lifetime"]) == (1.5, 0.75)
    assert (await acme.api().patch(PATH, {"session_lifetime_in_minutes": 0})).status_code == 400


async def test_an_own_value_wins_and_null_returns_to_the_inherited_one(acme: Place) -> None:
    api = acme.api()
    await acme.add(Setting, converge=True, key="session_lifetime", source="control_plane", value=24)
    assert (await api.get(PATH)).json()["session_lifetime"] == 24
    assert (await api.patch(PATH, {"session_lifetime": 12})).json()["session_lifetime"] == 12
    shown = (await api.get(PATH, include_provenance="true")).json()
    assert shown["provenance"]["session_lifetime"] == "tenant"
    assert (await api.patch(PATH, {"session_lifetime": None})).json()["session_lifetime"] == 24
    shown = (await api.get(PATH, include_provenance="true")).json()
    assert shown["provenance"]["session_lifetime"] == "control_plane"


async def test_an_own_value_equal_to_the_inherited_one_is_an_own_value(acme: Place) -> None:
    """What a tenant says explicitly stays, whatever the control plane says later."""
    api = acme.api()
    await acme.add(Setting, converge=True, key="session_lifetime", source="control_plane", value=24)
    await api.patch(PATH, {"session_lifetime": 24})
    shown = (await api.get(PATH, include_provenance="true")).json()
    assert shown["provenance"]["session_lifetime"] == "tenant"


async def test_objects_merge_at_the_first_level(acme: Place) -> None:
    api = acme.api()
    await api.patch(
        PATH, {"branding": {"colors": {"primary": "#112233"}, "logo_url": "https://a.example.com/l.png"}}
    )
    merged = (await api.patch(PATH, {"branding": {"logo_url": None}})).json()
    assert merged["branding"] == {"colors": {"primary": "#112233"}}
    flags = (await api.patch(PATH, {"flags": {"enable_apis_section": True}})).json()["flags"]
    assert flags["enable_apis_section"] is True
    assert flags["enable_sso"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"display_name": "Other"},
        {"state": "suspended"},
        {"hosts": []},
        {"labels": ["eu"]},
        {"organization_id": "org_x"},
        {"nobody_knows": 1},
        {"session_lifetime": 0},
        {"session_lifetime": -1},
        {"session_lifetime": "12"},
        {"session_lifetime": 1e12},
        {"support_email": "no address"},
        {"support_url": "javascript:alert(1)"},
        {"picture_url": "data:image/png,x"},
        {"enabled_locales": []},
        {"enabled_locales": ["<script>"]},
        {"branding": {"colors": {"primary": "red;}"}}},
        {"branding": {"css": "x"}},
        {"error_page": {"url": "javascript:alert(1)"}},
        {"allowed_logout_urls": ["javascript:alert(1)"]},
        {"default_audience": "urn:nothing"},
        {"default_directory": "nowhere"},
        {"flags": {"enable_sso": "yes"}},
    ],
)
async def test_what_a_tenant_may_not_say_of_itself_is_refused(acme: Place, change: dict[str, object]) -> None:
    refused = await acme.api().patch(PATH, change)
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "invalid_body"), refused.text
    assert await acme.rows(Setting) == []


async def test_a_change_is_told_with_before_and_after(acme: Place) -> None:
    await acme.api().patch(PATH, {"friendly_name": "Acme Ltd"})
    [event] = await acme.events()
    assert event.details["before"]["friendly_name"] is None
    assert event.details["after"]["friendly_name"] == "Acme Ltd"
