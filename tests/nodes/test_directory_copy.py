"""What a machine keeps of the directory on its disk: sealed, each entry in its place, never older than it was seen."""

import shutil
from pathlib import Path

import pytest

from controlplane import directory_copy
from controlplane.directory_copy import DirectoryCopy, Seen, seen
from controlplane.registry.hosts import Resolved
from controlplane.registry.tenants import RegisteredTenant
from core.crypto.sealing import InstallationKey
from core.ids import digest

KEY = InstallationKey(b"k" * 32)


@pytest.fixture
def copy(tmp_path: Path) -> DirectoryCopy:
    return DirectoryCopy(tmp_path / "directory", KEY)


def entry(version: int, tenant_id: str = "acme", state: str = "active") -> Seen:
    tenant = RegisteredTenant(
        id=tenant_id,
        display_name=tenant_id.title(),
        state=state,
        is_control_plane=False,
        backend="libsql",
        region=None,
        labels=("gold",),
        limits={},
        organization_id="org_1",
        creator_user_id=None,
        incarnation="inc_1",
        generation=3,
        location=f"{tenant_id}-1-abc",
        credentials=b"sealed by another key",
        node=None,
        wrapped_key=b"wrapped",
        schema_version="0004",
        error=None,
        state_before_delete=None,
        created_at=1,
        updated_at=2,
        activated_at=2,
        suspended_at=None,
        deleted_at=None,
        purge_after=None,
    )
    return seen(version, Resolved(tenant, (("login.acme.example", "https://login.acme.example"),)), None)


def test_what_was_put_is_found_by_another_process_and_after_a_start(
    copy: DirectoryCopy, tmp_path: Path
) -> None:
    copy.put("host:acme.localhost", entry(7))
    assert DirectoryCopy(tmp_path / "directory", KEY).find("host:acme.localhost") == entry(7)
    assert copy.find("host:globex.localhost") is None


def test_an_older_view_never_replaces_a_newer_one(copy: DirectoryCopy) -> None:
    copy.put("id:acme", entry(9, state="suspended"))
    copy.put("id:acme", entry(8))
    assert copy.find("id:acme") == entry(9, state="suspended")
    copy.put("id:acme", entry(10))
    assert copy.find("id:acme") == entry(10)


def test_a_host_that_was_taken_away_stays_away(copy: DirectoryCopy) -> None:
    copy.put("host:login.acme.example", entry(3))
    copy.put("host:login.acme.example", Seen(version=4))
    found = copy.find("host:login.acme.example")
    assert found is not None
    assert found.resolved is None


def test_strangers_hosts_take_no_room(copy: DirectoryCopy, tmp_path: Path) -> None:
    copy.put("host:nobody.localhost", Seen(version=4))
    assert not [path for path in (tmp_path / "directory").iterdir() if not path.name.startswith(".")]


def test_no_entry_opens_in_anothers_place_or_with_another_key(copy: DirectoryCopy, tmp_path: Path) -> None:
    copy.put("host:acme.localhost", entry(7))
    folder = tmp_path / "directory"
    shutil.copy(folder / digest("host:acme.localhost"), folder / digest("host:globex.localhost"))
    assert copy.find("host:globex.localhost") is None
    assert DirectoryCopy(folder, InstallationKey(b"o" * 32)).find("host:acme.localhost") is None
    held = (folder / digest("host:acme.localhost")).read_bytes()
    assert b"acme" not in held
    assert b"login" not in held


def test_it_holds_no_more_than_its_limit_and_never_loses_tenant_one(
    copy: DirectoryCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_copy, "LARGEST", 10)
    copy.put(directory_copy.TENANT_ONE, entry(1, "control_plane"))
    for number in range(2 * directory_copy.LOOK_EVERY):
        copy.put(f"id:t{number}", entry(number + 2, f"t{number}"))
    kept = [path for path in (tmp_path / "directory").iterdir() if not path.name.startswith(".")]
    assert len(kept) <= 10 + 1 + directory_copy.LOOK_EVERY
    assert copy.find(directory_copy.TENANT_ONE) is not None
    assert copy.find(f"id:t{2 * directory_copy.LOOK_EVERY - 1}") is not None
    assert copy.find("id:t0") is None


def test_after_the_registry_was_restored_from_a_backup_nothing_seen_since_holds(copy: DirectoryCopy) -> None:
    copy.put("id:acme", entry(20))
    copy.begin_anew_before(20)
    assert copy.find("id:acme") is not None
    copy.begin_anew_before(12)
    assert copy.find("id:acme") is None
    copy.put("id:acme", entry(13))
    assert copy.find("id:acme") == entry(13)
