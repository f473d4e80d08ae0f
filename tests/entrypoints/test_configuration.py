"""`keystead config`: a tenant as files, by who is at the machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Secret
from tests.engines.registries import registry_of
from tests.forks import command

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(data_dir: Path) -> Run:
    """Runs `keystead config` on the demo's data folder; the exit status, and what was said on both streams."""
    environ = {"KEYSTEAD_PASSWORD_ITERATIONS": "1"}
    registry = registry_of(data_dir).get("registry_url")
    if isinstance(registry, Secret):
        environ["KEYSTEAD_REGISTRY_URL"] = registry.reveal()

    def run(action: str, tenant: str, path: Path, *more: str) -> tuple[int, str, str]:
        ended = command(
            "config", action, str(path), "--tenant", tenant, "--data", str(data_dir), *more, environ=environ
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def edited(file: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    whole = yaml.safe_load(file.read_text())
    change(whole)
    changed = file.with_name(f"changed-{file.name}")
    changed.write_text(yaml.safe_dump(whole, sort_keys=False))
    return changed


def entry(whole: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in whole[kind] if each["name"] == name)
    return found


SETS = {"connections", "enabled_clients", "grant_types", "permissions", "scope", "scopes"}


def turned_round(value: Any, *, is_set: bool = False) -> Any:
    """The same, written in another order: members of objects, and items of lists that are sets."""
    if isinstance(value, list):
        return [turned_round(item) for item in (reversed(value) if is_set else value)]
    if not isinstance(value, dict):
        return value
    return {name: turned_round(value[name], is_set=name in SETS) for name in reversed(value)}


def test_a_tenant_becomes_as_another_ones_files_say_and_then_nothing_changes(
    config: Run, tmp_path: Path
) -> None:
    file, folder, again = tmp_path / "acme.yaml", tmp_path / "acme", tmp_path / "globex.yaml"
    assert config("export", "acme", file)[0] == 0
    assert config("export", "acme", folder)[0] == 0
    assert config("plan", "acme", file)[:2] == (0, "Nothing to change.\n")
    assert config("plan", "acme", folder)[:2] == (0, "Nothing to change.\n")
    status, _, said = config("apply", "globex", file)
    assert status == 1
    assert f"{file}:5: https://api.globex.example has the name Demo API, too." in said
    renamed = edited(file, lambda whole: whole["resourceServers"][0].update(name="Acme API"))
    assert config("plan", "globex", renamed, "--delete")[0] == 2
    told = config("apply", "globex", renamed, "--delete")[1]
    assert told.endswith("0 only here and left alone.\n")
    turned = tmp_path / "turned.yaml"
    turned.write_text(yaml.safe_dump(turned_round(yaml.safe_load(renamed.read_text())), sort_keys=False))
    assert config("plan", "globex", turned, "--delete")[:2] == (0, "Nothing to change.\n")
    config("export", "globex", again)
    assert yaml.safe_load(again.read_text()) == yaml.safe_load(renamed.read_text())


@pytest.mark.long
def test_texts_may_be_in_a_language_that_the_same_files_enable(config: Run, tmp_path: Path) -> None:
    file, again = tmp_path / "acme.yaml", tmp_path / "again.yaml"
    config("export", "acme", file)
    said = {"de": {"login-id": {"login-id": {"title": "Willkommen bei ${companyName}"}}}}

    def change(whole: dict[str, Any]) -> None:
        whole["tenant"]["enabled_locales"] = ["en", "de"]
        whole["prompts"]["customText"] = said

    changed = edited(file, change)
    assert config("apply", "acme", changed)[0] == 0
    assert config("plan", "acme", changed)[:2] == (0, "Nothing to change.\n")
    config("export", "acme", again)
    assert yaml.safe_load(again.read_text())["prompts"]["customText"] == said
    unknown = edited(file, lambda whole: whole["prompts"].update(customText={"xx": said["de"]}))
    status, _, told = config("plan", "acme", unknown)
    assert status == 1
    assert "this tenant has no `customText/xx/login-id` to change." in told


def test_what_files_say_is_made_changed_and_deleted_only_when_told(config: Run, tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    config("export", "acme", file)

    def change(whole: dict[str, Any]) -> None:
        whole["clients"] = [each for each in whole["clients"] if each["name"] != "Demo back office"]
        whole["clientGrants"] = [
            each for each in whole["clientGrants"] if each["client_id"] != "Demo back office"
        ]
        whole["clients"].append({"name": "Reports", "app_type": "non_interactive"})
        grant = {"client_id": "Reports", "audience": "https://api.acme.example", "scope": ["read:invoices"]}
        whole["clientGrants"].append(grant)
        entry(whole, "clients", "Demo web application")["callbacks"] = ["https://app.example.com/callback"]
        entry(whole, "roles", "Clerk")["permissions"].pop()
        whole["roles"].append({"name": "Reader", "permissions": [permission("read:invoices")]})
        whole["tenant"]["friendly_name"] = "Acme & Sons"

    changed = edited(file, change)
    status, told, _ = config("plan", "acme", changed)
    assert status == 2
    for line in (
        "  + Reports\n",
        "  + Reports -> https://api.acme.example\n",
        "  ? Demo back office  (only here)\n",
        '      callbacks: ["http://127.0.0.1:9871/callback"] -> ["https://app.example.com/callback"]\n',
        '      friendly_name: null -> "Acme & Sons"\n',
        "3 to create, 3 to change, 0 to delete, 2 only here.\n",
    ):
        assert line in told
    assert config("apply", "acme", changed)[1].endswith(
        "3 created, 5 changed, 0 deleted, 2 only here and left alone.\n"
    )
    assert (
        config("apply", "acme", changed)[1]
        == "0 created, 0 changed, 0 deleted, 2 only here and left alone.\n"
    )
    assert config("plan", "acme", changed)[0] == 0
    deleted = config("apply", "acme", changed, "--delete")[1]
    assert "deleted clients: Demo back office\n" in deleted
    after = tmp_path / "after.yaml"
    config("export", "acme", after)
    names = [client["name"] for client in yaml.safe_load(after.read_text())["clients"]]
    assert "Reports" in names
    assert "Demo back office" not in names
    assert config("plan", "acme", after)[0] == 0


def permission(name: str) -> dict[str, str]:
    return {"permission_name": name, "resource_server_identifier": "https://api.acme.example"}


def test_all_that_is_wrong_is_said_with_its_line_and_nothing_is_changed(config: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "clients:\n"
        "  - name: New\n"
        "    app_type: non_interactive\n"
        "  - name: Demo web application\n"
        "    callbacks: [javascript:alert(1)]\n"
        "  - name: Demo automation\n"
        "    jwt_configuration:\n"
        "      lifetime_in_seconds: soon\n"
        "  - name: Twice\n"
        "    unheard_of: 1\n"
        "  - name: Twice\n"
        "clientGrants:\n"
        "  - client_id: Nobody\n"
        "    audience: https://api.acme.example\n"
        "    scope: [read:invoices, read:minds]\n"
        "roles:\n"
        "  - name: Clerk\n"
        "    description: ##NOT_SET##\n"
        "tenant:\n"
        "  session_lifetime: -1\n"
        "rules:\n"
        "  - name: a program\n"
    )
    status, _, said = config("apply", "acme", bad)
    assert (status, said) == (
        1,
        f"keystead: {bad}:21: `rules` is not kept here (leave it out with --skip rules).\n",
    )
    status, told, said = config("apply", "acme", bad, "--skip", "rules")
    assert (status, told) == (1, "")
    for place in (
        ":5: Demo web application: `callbacks` may hold",
        ":8: Demo automation.jwt_configuration.lifetime_in_seconds: Expected `int`",
        ":9: Twice stands more than once in `clients`",
        ":10: Twice.unheard_of: ",
        ":13: `client_id` names Nobody, which is neither in the files nor here",
        ":15: https://api.acme.example does not define read:minds",
        ":18: ##NOT_SET## is not set in the environment",
        ":20: tenant.session_lifetime: Expected `float` > 0",
    ):
        assert f"{bad}{place}" in said, said
    config("export", "acme", tmp_path / "after.yaml")
    assert "New" not in (tmp_path / "after.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clients: [\n", ":2: "),
        ("clients:\n  - name: A\n    name: B\n", ":3: `name` is said twice"),
        ("clients: {}\n", ":1: `clients` must be a list"),
        ("clients:\n  - A\n", ":2: each of `clients` must be an object"),
        ("clients:\n  - app_type: spa\n", ":2: an entry of `clients` needs `name`"),
        ("- a\n", "must be an object"),
        ("{}\n", "says nothing"),
        ("a: &a [1]\nb: *c\n", ":2: "),
    ],
)
def test_what_is_no_configuration_is_refused_in_a_sentence(
    config: Run, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    status, _, said = config("plan", "acme", file)
    assert status == 1
    assert told in said
    assert "Traceback" not in said


def test_keywords_come_from_the_environment_and_secrets_never_leave(
    config: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "shop.example.com")
    monkeypatch.setenv("ORIGINS", json.dumps(["https://a.example.com", "https://b.example.com"]))
    file = tmp_path / "new.yaml"
    file.write_text(
        "clients:\n"
        "  - name: ##HOST## shop\n"
        "    callbacks: ['https://##HOST##/callback']\n"
        "    web_origins: @@ORIGINS@@\n"
        "    client_secret: ##SECRET##\n"
        "clientGrants:\n"
        "  - client_id: shop.example.com shop\n"
        "    audience: ##TENANT_ISSUER##api/v2/\n"
        "    scope: []\n"
    )
    assert config("apply", "acme", file)[1].endswith(
        "2 created, 0 changed, 0 deleted, 8 only here and left alone.\n"
    )
    out = tmp_path / "out"
    config("export", "acme", out)
    written = json.loads((out / "clients" / "shop.example.com shop.json").read_text())
    assert written["callbacks"] == ["https://shop.example.com/callback"]
    assert written["web_origins"] == ["https://a.example.com", "https://b.example.com"]
    grant = json.loads((out / "grants" / "shop.example.com shop-Auth0 Management API.json").read_text())
    assert grant["scope"] == []
    assert all(
        "secret" not in json.loads(path.read_text())
        for path in out.rglob("*.json")
        if path.parent.name == "clients"
    )


def test_a_text_beside_the_file_is_read_and_one_outside_is_not(config: Run, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("not for here")
    inside = tmp_path / "inside"
    inside.mkdir()
    file = inside / "tenant.yaml"
    file.write_text("emailTemplates:\n  - template: welcome_email\n    body: ./../secret.html\n")
    status, _, said = config("plan", "acme", file)
    assert status == 1
    assert f"{file}:3: `body` names a file outside of" in said


@pytest.mark.long
def test_the_control_plane_is_a_tenant_too_and_what_it_shares_is_left_alone(
    config: Run, tmp_path: Path
) -> None:
    plane, child = tmp_path / "plane.yaml", tmp_path / "child.yaml"
    config("export", "control_plane", plane)
    whole = yaml.safe_load(plane.read_text())
    assert [server["name"] for server in whole["resourceServers"]] == ["Billing"]
    assert whole.get("organizations", []) == []  # those that stand for tenants are the platform's
    assert config("plan", "control_plane", plane)[0] == 0
    config("export", "acme", child)
    assert "Billing" not in child.read_text()
    assert "Billing" not in config("plan", "acme", plane)[1]


@pytest.mark.long
def test_domains_of_an_organization_are_made_changed_and_taken_away(config: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "domains.yaml", tmp_path / "out.yaml"

    def say(domains: str) -> Path:
        file.write_text(f"organizations:\n  - name: owner\n    discovery_domains: {domains}\n")
        return file

    of_the_tool = "verification_txt: keystead-domain-verification=theirs, verification_host: theirs"
    one, two = f"{{domain: one.example, {of_the_tool}}}", "{domain: two.example}"
    assert config("apply", "acme", say(f"[{one}, {two}]"))[0] == 0
    verified = (
        f"{{domain: one.example, status: verified, use_for_organization_discovery: false, {of_the_tool}}}"
    )
    assert config("apply", "acme", say(f"[{verified}]"))[0] == 0
    assert config("plan", "acme", file)[0] == 0, "nothing is left to do"
    config("export", "acme", out)
    found = entry(yaml.safe_load(out.read_text()), "organizations", "owner")["discovery_domains"]
    assert found == [{"domain": "one.example", "status": "verified", "use_for_organization_discovery": False}]


def test_who_did_it_is_in_the_tenants_log(config: Run, tmp_path: Path, data_dir: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text("roles:\n  - name: Reader\n")
    assert config("apply", "acme", file)[0] == 0
    assert config("plan", "nobody", file)[2] == "keystead: there is no tenant nobody\n"


def test_a_secret_goes_over_https_or_stays_on_this_machine(tmp_path: Path) -> None:
    there = ("--domain", "http://tenant.example.com", "--client-id", "any", "--client-secret", "any")
    ended = command("config", "plan", str(tmp_path / "acme.yaml"), *there)
    assert ended.returncode == 1
    assert "over https" in ended.stderr
