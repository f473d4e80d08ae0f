"""Setting up is safe to repeat, also after it was killed, and refuses data whose key is not at hand."""

import asyncio
import base64
import secrets
from pathlib import Path

import pytest

from core.crypto.passwords import PasswordHasher
from core.crypto.sealing import SealingKeyError
from core.failpoints import EXIT_STATUS
from core.settings import Secret, Settings, SettingsError
from provisioning.control_plane_rows import PLATFORM_ADMIN
from provisioning.installation import initialise
from provisioning.platform import open_platform
from provisioning.registry_opening import NotInitialised, is_initialised
from tenant_runtime.configuration import configuration
from tests.provisioning.installations import OPERATOR, PASSWORD, in_child, opened, settings_for, sql

PLACES = (
    "initialise.key.after",
    "backend.create.draft",
    "initialise.registry.after",
    "initialise.tenant.before",
    "initialise.database.after",
)


def test_done_again_it_changes_nothing_and_says_so(settings: Settings) -> None:
    async def again() -> None:
        first = await initialise(settings, one_node=True, operator_email=OPERATOR, operator_password=PASSWORD)
        second = await initialise(
            settings, one_node=True, operator_email="other@example.com", operator_password="x"
        )
        assert first.made == second.made == ()
        assert first.machine_client_secret == second.machine_client_secret
        assert first.console_client_id == second.console_client_id
        async with opened(settings) as platform:
            one = await platform.directory.control_plane()
            assert await one.database.read(sql("SELECT email FROM users")) == [(OPERATOR,)]

    asyncio.run(again())


@pytest.mark.faults
@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_is_finished_by_doing_it_again(tmp_path: Path, place: str) -> None:
    settings = settings_for(tmp_path / "data")

    async def init() -> None:
        await initialise(settings, one_node=True, operator_email=OPERATOR, operator_password=PASSWORD)

    assert in_child(init, f"{place}=exit") == EXIT_STATUS
    assert in_child(init) == 0
    asyncio.run(whole(settings))


async def whole(settings: Settings) -> None:
    async with opened(settings) as platform:
        one = await platform.directory.control_plane()
        held = await configuration(one)
        assert one.is_control_plane
        assert held.management.identifier == f"{settings.control_plane_issuer}api/v2/"
        assert {client.name for client in held.clients.values()} >= {
            "Operator Console",
            "Platform Machine Client",
        }
        holders = sql(
            "SELECT u.email, p.hash FROM users u JOIN user_roles ur ON ur.user_id = u.user_id"
            " JOIN roles r ON r.id = ur.role_id JOIN passwords p ON p.user_id = u.user_id WHERE r.name = :name",
            name=PLATFORM_ADMIN,
        )
        ((email, hashed),) = await one.database.read(holders)
        assert email == OPERATOR
        hasher = PasswordHasher.from_settings(settings)
        assert await hasher.verify(hashed, PASSWORD)
        hasher.close()
        assert len(held.keys.public) == 1


@pytest.mark.faults
def test_two_at_once_make_one_installation(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")

    async def both() -> None:
        results = await asyncio.gather(
            *(initialise(settings, one_node=True, operator_email=OPERATOR) for _ in range(2))
        )
        assert sorted(bool(result.made) for result in results) == [False, True]
        assert len({result.machine_client_secret for result in results}) == 1

    asyncio.run(both())


def test_a_password_made_here_is_told_once(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")

    async def twice() -> None:
        first = await initialise(settings, one_node=True, operator_email=OPERATOR)
        assert first.operator_password
        assert (await initialise(settings, one_node=True, operator_email=OPERATOR)).operator_password is None

    asyncio.run(twice())


def test_the_key_file_is_its_owners_alone(settings: Settings) -> None:
    assert settings.sealing_key_file.stat().st_mode & 0o777 == 0o600


def test_nothing_starts_without_an_installation(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    assert not is_initialised(settings)
    with pytest.raises(NotInitialised):
        asyncio.run(open_platform(settings))
    assert not settings.sealing_key_file.exists()


def test_nothing_starts_without_the_key_or_with_another(data: Path) -> None:
    other = Secret(base64.b64encode(secrets.token_bytes(32)).decode())
    for settings in (settings_for(data, sealing_key=other),):
        with pytest.raises(SealingKeyError):
            asyncio.run(open_platform(settings))
        with pytest.raises(SealingKeyError):
            asyncio.run(initialise(settings))
    settings = settings_for(data)
    settings.sealing_key_file.unlink()
    with pytest.raises(SettingsError):
        asyncio.run(open_platform(settings))
    with pytest.raises(SettingsError):
        asyncio.run(initialise(settings))
    assert not settings.sealing_key_file.exists()


def test_tenant_one_keeps_its_id(data: Path) -> None:
    with pytest.raises(SettingsError, match="control_plane"):
        asyncio.run(open_platform(settings_for(data, control_plane_tenant="other")))


def test_tenants_without_a_registry_are_not_an_empty_folder(settings: Settings) -> None:
    (settings.data_dir / "registry.db").unlink()
    with pytest.raises(SettingsError):
        asyncio.run(initialise(settings))
