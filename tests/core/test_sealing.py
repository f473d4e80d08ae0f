import base64
import stat
import threading
from pathlib import Path

import pytest

from core.crypto.sealing import (
    DataKey,
    InstallationKey,
    SealBroken,
    SealingKeyError,
    load_installation_key,
    new_data_key,
)
from core.settings import Secret, Settings

PLACE = ("clients", "client_secret", "c1")


@pytest.fixture
def key() -> DataKey:
    return DataKey("acme", new_data_key())


def test_what_is_sealed_opens_in_its_place(key: DataKey) -> None:
    sealed = key.seal(b"secret", *PLACE)
    assert b"secret" not in sealed
    assert key.open(sealed, *PLACE) == b"secret"
    assert key.seal(b"secret", *PLACE) != sealed


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("users", "client_secret", "c1"),
        ("clients", "other", "c1"),
        ("clients", "client_secret", "c2"),
        ("clientsclient_secret", "", "c1"),
        ("clients", "client_secretc", "1"),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(key: DataKey, elsewhere: tuple[str, str, str]) -> None:
    with pytest.raises(SealBroken):
        key.open(key.seal(b"secret", *PLACE), *elsewhere)


def test_a_value_of_another_tenant_does_not_open_even_under_one_key() -> None:
    raw = new_data_key()
    with pytest.raises(SealBroken):
        DataKey("globex", raw).open(DataKey("acme", raw).seal(b"secret", *PLACE), *PLACE)


def test_changed_cut_and_empty_values_do_not_open(key: DataKey) -> None:
    sealed = key.seal(b"secret", *PLACE)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            key.open(changed, *PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            key.open(sealed[:length], *PLACE)


def test_a_wrapped_key_is_its_tenants_and_its_installations() -> None:
    installation, raw = InstallationKey(bytes(32)), new_data_key()
    wrapped = installation.wrap("acme", raw)
    sealed = DataKey("acme", raw).seal(b"x", *PLACE)
    assert installation.unwrap("acme", wrapped).open(sealed, *PLACE) == b"x"
    with pytest.raises(SealBroken):
        installation.unwrap("globex", wrapped)
    with pytest.raises(SealBroken):
        InstallationKey(b"1" * 32).unwrap("acme", wrapped)


def test_a_sealed_purpose_does_not_open_as_another() -> None:
    installation = InstallationKey(bytes(32))
    sealed = installation.seal("spare key", b"der")
    assert installation.open("spare key", sealed) == b"der"
    with pytest.raises(SealBroken):
        installation.open("directory", sealed)
    with pytest.raises(SealBroken):
        installation.unwrap("spare key", sealed)


def test_derived_keys_differ_by_purpose_and_key() -> None:
    one, other = DataKey("acme", bytes(32)), DataKey("acme", b"1" * 32)
    assert len({one.derive("cookies"), one.derive("page tokens"), other.derive("cookies")}) == 3
    assert one.derive("cookies") == DataKey("acme", bytes(32)).derive("cookies")


def test_the_check_value_tells_keys_apart() -> None:
    assert InstallationKey(bytes(32)).check_value() == InstallationKey(bytes(32)).check_value()
    assert InstallationKey(bytes(32)).check_value() != InstallationKey(b"1" * 32).check_value()


def test_keys_do_not_show_themselves() -> None:
    raw = b"k" * 32
    assert "kkk" not in repr(DataKey("acme", raw)) + repr(InstallationKey(raw))


def test_a_missing_key_is_a_refusal_and_never_a_new_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(SealingKeyError, match="missing"):
        load_installation_key(settings, create=False)
    assert list(tmp_path.iterdir()) == []


def test_create_makes_a_file_for_its_owner_only_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    made = load_installation_key(settings, create=True)
    assert stat.S_IMODE(settings.sealing_key_file.stat().st_mode) == 0o600
    assert [path.name for path in settings.data_dir.iterdir()] == ["sealing.key"]
    for create in (True, False):
        assert load_installation_key(settings, create=create).check_value() == made.check_value()


def test_of_several_that_create_at_once_all_hold_one_key(tmp_path: Path) -> None:
    settings, found = Settings(data_dir=tmp_path), []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        found.append(load_installation_key(settings, create=True).check_value())

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_variable_wins_over_the_file(tmp_path: Path) -> None:
    load_installation_key(Settings(data_dir=tmp_path), create=True)
    settings = Settings(data_dir=tmp_path, sealing_key=Secret(base64.b64encode(bytes(32)).decode()))
    assert (
        load_installation_key(settings, create=False).check_value()
        == InstallationKey(bytes(32)).check_value()
    )


@pytest.mark.parametrize("text", ["", "short", "é", base64.b64encode(bytes(31)).decode()])
def test_a_malformed_file_is_a_refusal(tmp_path: Path, text: str) -> None:
    (tmp_path / "sealing.key").write_text(text, "utf-8")
    with pytest.raises(SealingKeyError):
        load_installation_key(Settings(data_dir=tmp_path), create=True)
