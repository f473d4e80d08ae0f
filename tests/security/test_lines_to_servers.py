"""What goes to a database server over a network that others share goes with TLS, and to that server only."""

from pathlib import Path

import pytest

from core.settings import Settings, SettingsError
from provisioning.backends.configuration import read_backends

OUTSIDE = [
    "postgresql://keystead:secret@db.example.com/d",
    "postgresql://keystead:secret@db.example.com/d?sslmode=require",
    "postgresql://keystead:secret@db.internal,db.example.com:5432/d",
    "postgresql://keystead:secret@8.8.8.8/d",
    "postgresql://keystead:secret@[2001:4860:4860::8888]/d",
]
INSIDE = [
    "postgresql://keystead:secret@db.example.com/d?sslmode=verify-full&sslrootcert=system",
    "postgresql://keystead:secret@db.internal:5433,db/d",
    "postgresql://keystead:secret@127.0.0.1:5432/d",
    "postgresql://keystead:secret@10.1.2.3/d",
    "postgresql://keystead:secret@[fd00::1]:5432/d",
]


def backends(folder: Path, url: str) -> Path:
    path = folder / "backends.toml"
    path.write_text(f"[postgresql]\nurl = '{url}'\n")
    return path


@pytest.mark.parametrize("url", OUTSIDE)
def test_a_server_outside_is_asked_for_its_certificate(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sslmode=verify-full") as of_registry:
        Settings.from_env({"KEYSTEAD_REGISTRY_URL": url})
    with pytest.raises(SettingsError, match="sslmode=verify-full") as of_backend:
        read_backends(backends(tmp_path, url))
    assert "secret" not in str(of_registry.value) + str(of_backend.value)


@pytest.mark.parametrize("url", INSIDE)
def test_one_of_a_private_network_or_with_a_certificate_is_taken(url: str, tmp_path: Path) -> None:
    assert Settings.from_env({"KEYSTEAD_REGISTRY_URL": url}).registry_url is not None
    assert read_backends(backends(tmp_path, url)).postgresql is not None
