import base64
from dataclasses import FrozenInstanceError, fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from core.settings import OTHER_VARIABLES, PREFIX, Secret, Settings, SettingsError

KEY = base64.b64encode(bytes(32)).decode()
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_defaults_serve_localhost() -> None:
    settings = Settings.from_env({})
    assert settings.control_plane_issuer == "http://localhost:8000/"
    assert settings.control_plane_host == "localhost"
    assert settings.tenant_origin("acme") == "http://acme.localhost:8000"
    assert settings.tenant_issuer("acme") == "http://acme.localhost:8000/"
    assert settings.data_dir.is_absolute()
    assert settings.sealing_key_file == settings.data_dir / "sealing.key"


def test_variables_become_values_and_overrides_win() -> None:
    settings = Settings.from_env(
        {
            "PATH": "/bin",
            "KEYSTEAD_DATA_DIR": "/srv/keystead",
            "KEYSTEAD_PUBLIC_URL": "HTTPS://Manage.Example.COM:443/",
            "KEYSTEAD_BASE_DOMAIN": "Example.com.",
            "KEYSTEAD_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "KEYSTEAD_SYNC_ROLES": "off",
            "KEYSTEAD_OUTBOUND_ALLOWED": "SIEM.internal:8443, [::1]:9870",
            "KEYSTEAD_DNS_SERVERS": "192.0.2.1:5353, 2001:db8::1, [2001:db8::2]:54",
            "KEYSTEAD_SETTINGS_TEMPLATES": '{"help_url": "https://{id}.example.com/help"}',
            "KEYSTEAD_SEALING_KEY": KEY,
            "KEYSTEAD_WORKERS": "2",
        },
        workers=4,
    )
    assert settings.public_url == "https://manage.example.com"
    assert settings.port is None
    assert settings.tenant_issuer("acme") == "https://acme.example.com/"
    assert settings.outbound_allowed == {"siem.internal:8443", "::1:9870"}
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert settings.sync_roles is False
    assert settings.dns_servers == (("192.0.2.1", 5353), ("2001:db8::1", 53), ("2001:db8::2", 54))
    assert settings.settings_templates == {"help_url": "https://{id}.example.com/help"}
    assert settings.sealing_key == Secret(KEY)
    assert settings.workers == 4
    assert settings.sealing_key_file == Path("/srv/keystead/sealing.key")


def test_an_unknown_variable_stops_the_start_and_names_the_closest_known_one() -> None:
    with pytest.raises(
        SettingsError, match=r"^KEYSTEAD_DATADIR is not a setting; did you mean KEYSTEAD_DATA_DIR\?$"
    ):
        Settings.from_env({"KEYSTEAD_DATADIR": "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN_PORT", "0"),
        ("LISTEN_PORT", "65536"),
        ("LISTEN_PORT", "٣"),
        ("METRICS_PORT", "x"),
        ("DATA_DIR", ""),
        ("SYNC_ROLES", "maybe"),
        ("SYNCHRONOUS", "OFF"),
        ("WORKERS", "0"),
        ("CONVERGE_SECONDS", "nan"),
        ("CONVERGE_SECONDS", "inf"),
        ("CONVERGE_SECONDS", "0"),
        ("DELETION_GRACE_DAYS", "-1"),
        ("SEALING_KEY", "c2hvcnQ="),
        ("SEALING_KEY", "no base64"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DNS_SERVERS", "ns1.example.com"),
        ("OUTBOUND_ALLOWED", "siem.internal"),
        ("OUTBOUND_ALLOWED", "127.0.0.0/8"),
        ("OUTBOUND_ALLOWED", "siem.internal:https"),
        ("OUTBOUND_ALLOWED", "http://siem.internal:8080"),
        ("DNS_SERVERS", "192.0.2.1:dns"),
        ("CONTROL_PLANE_TENANT", "../x"),
        ("SETTINGS_TEMPLATES", "[]"),
        ("SETTINGS_TEMPLATES", '{"a": 1}'),
        ("SETTINGS_TEMPLATES", '{"a": "{id.__class__}"}'),
        ("SETTINGS_TEMPLATES", '{"a": "{secret}"}'),
        ("SETTINGS_TEMPLATES", '{"a": "{"}'),
        ("FAILPOINTS", "apply"),
        ("LOG_LEVEL", "loud"),
        ("DEFAULT_BACKEND", "../x"),
        ("PASSWORD_MEMORY_KIB", "1"),
        ("PUBLIC_URL", "localhost:8000"),
        ("PUBLIC_URL", "https://manage.example.com/path"),
        ("PUBLIC_URL", "https://user@manage.example.com"),
        ("PUBLIC_URL", "https://manage.example.com?x"),
        ("PUBLIC_URL", "https://manage.example.com:x"),
        ("PUBLIC_URL", "https://-manage.example.com"),
        ("BASE_DOMAIN", "https://example.com"),
        ("BASE_DOMAIN", "example.com:8000"),
    ],
)
def test_a_malformed_variable_stops_the_start_with_a_sentence_about_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{PREFIX}{name} .*\.$"):
        Settings.from_env({PREFIX + name: value})


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://manage.example.com", "localhost"),
        ("http://localhost:8000", "example.com"),
        ("http://localhost.example.com", "localhost"),
        ("http://127.0.0.1.example.com", "localhost"),
        ("http://192.168.1.5:8000", "localhost"),
    ],
)
def test_plain_http_is_refused_beyond_this_machine(url: str, domain: str) -> None:
    with pytest.raises(SettingsError, match="Plain http"):
        Settings(public_url=url, base_domain=domain)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://[::1]:8000", "http://manage.localhost:8000"]
)
def test_plain_http_is_accepted_on_this_machine(url: str) -> None:
    assert Settings(public_url=url).public_url == url


def test_reserved_labels_hold_the_control_planes_own_whatever_was_configured() -> None:
    settings = Settings(
        public_url="https://console.example.com",
        base_domain="example.com",
        reserved_labels=frozenset({"shop"}),
    )
    assert [
        label
        for label in ("console", "CONSOLE", "shop", "control_plane", "control-plane", "acme", "www")
        if settings.is_reserved(label)
    ] == ["console", "CONSOLE", "shop", "control_plane", "control-plane"]
    assert Settings().is_reserved("www")


def test_settings_cannot_be_changed_and_secrets_do_not_show() -> None:
    settings = Settings(sealing_key=Secret(KEY))
    assert KEY not in repr(settings)
    assert KEY not in f"{settings.sealing_key}"
    with pytest.raises(FrozenInstanceError):
        settings.workers = 3  # type: ignore[misc]


def test_the_settings_page_lists_every_setting_and_nothing_else() -> None:
    rows = [
        line.split("|")[1].strip(" `") for line in PAGE.read_text().splitlines() if line.startswith("| `")
    ]
    known = [PREFIX + item.name.upper() for item in fields(Settings)]
    assert rows == [*known, *sorted(OTHER_VARIABLES)]


def test_each_setting_is_documented_in_the_same_words_as_on_the_page() -> None:
    page = PAGE.read_text()
    for item in fields(Settings):
        row = next(line for line in page.splitlines() if f"`{PREFIX}{item.name.upper()}`" in line)
        assert row.endswith(f"| {item.metadata['doc']} |"), item.name
