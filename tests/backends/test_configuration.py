"""The backends file says where servers are, or stops the start with a sentence about what it does not."""

from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.settings import SettingsError
from provisioning.backends import load_backends
from provisioning.backends.configuration import TURSO_API, BackendsFile, read_backends
from tests.conftest import settings_for

WHOLE = """
[libsql]
url = "http://sqld:8080"
admin_url = "http://10.0.0.7:8081/"
admin_key_file = "admin.key"

[libsql.regions.eu]
url = "https://eu.libsql.example"
admin_url = "https://admin.eu.libsql.example"
admin_key = "of the eu"

[turso]
organization = "example-corp"
token = "platform token"
group = "default"

[turso.regions.eu]
group = "frankfurt"

[postgresql]
url = "postgresql://admin:password@db.internal/postgres"

[postgresql.regions.eu]
url = "postgresql://admin:password@eu.db.internal/postgres"
"""


def read(folder: Path, text: str) -> BackendsFile:
    (folder / "admin.key").write_text("of the file\n")
    path = folder / "backends.toml"
    path.write_text(text)
    return read_backends(path)


def test_no_file_means_sqlite_alone(tmp_path: Path) -> None:
    assert read_backends(None) == BackendsFile()
    assert list(load_backends(settings_for(tmp_path))) == ["sqlite"]


def test_every_table_is_a_backend_by_its_name(tmp_path: Path) -> None:
    read(tmp_path, WHOLE)
    settings = settings_for(tmp_path, backends_file=tmp_path / "backends.toml")
    found = load_backends(settings)
    assert set(found) == {"sqlite", "libsql", "turso", "postgresql"}
    assert all(backend.name == name for name, backend in found.items())
    assert [name for name, backend in found.items() if backend.is_local] == ["sqlite"]


def test_what_the_file_says_is_what_is_used(tmp_path: Path) -> None:
    file = read(tmp_path, WHOLE)
    assert file.libsql is not None
    assert file.libsql.at(None).url == "http://sqld:8080"
    assert file.libsql.at(None).admin_url == "http://10.0.0.7:8081"
    assert file.libsql.at(None).admin_key.reveal() == "of the file"
    assert file.libsql.at("eu").admin_key.reveal() == "of the eu"
    assert file.turso is not None
    assert (file.turso.api_url, file.turso.groups.at("eu")) == (TURSO_API, "frankfurt")
    assert file.postgresql is not None
    assert "eu.db.internal" in file.postgresql.at("eu").url.reveal()


def test_no_secret_of_the_file_is_printed(tmp_path: Path) -> None:
    shown = repr(read(tmp_path, WHOLE))
    assert not [
        secret for secret in ("of the eu", "of the file", "platform token", "password") if secret in shown
    ]


def test_regions_alone_make_a_region_necessary(tmp_path: Path) -> None:
    file = read(tmp_path, '[turso]\norganization = "o"\ntoken = "t"\n[turso.regions.eu]\ngroup = "g"\n')
    assert file.turso is not None
    with pytest.raises(InvalidInput, match="needs a region; it has: eu"):
        file.turso.groups.at(None)


SERVER = 'url = "https://s.example"\nadmin_url = "https://a.example"\nadmin_key = "k"\n'
TURSO = 'organization = "o"\ntoken = "t"\ngroup = "g"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[libsql\n", "is not a TOML file"),
        ("[libsq]\nurl = 1\n", "libsq is not known in the file; did you mean libsql"),
        (
            f"[libsql]\n{SERVER}adminkey = 'x'\n",
            r"adminkey is not known in \[libsql\]; did you mean admin_key",
        ),
        (f"[libsql.regions.eu]\n{SERVER}zone = 'x'\n", r"zone is not known in \[libsql.regions.eu\]"),
        ("[libsql]\n", "holds nothing"),
        ("libsql = 'http://s'\n", "must be a table"),
        (
            "[libsql]\nurl = 'https://s.example'\n",
            "needs an http or https address for admin_url|needs a text",
        ),
        (
            f"[libsql]\n{SERVER}".replace("https://s.example", "ftp://s.example"),
            "http or https address for url",
        ),
        (f"[libsql]\n{SERVER}".replace("https://s.example", "https://u:p@s.example"), "address for url"),
        (f"[libsql]\n{SERVER}".replace("https://a", "http://a"), "needs https for admin_url"),
        (f"[libsql]\n{SERVER}admin_key_file = 'admin.key'\n", "either admin_key or admin_key_file"),
        (f"[libsql]\n{SERVER}".replace('admin_key = "k"', "admin_key_file = 'none'"), "cannot be read"),
        (f"[turso]\n{TURSO}".replace('group = "g"', ""), "needs a group"),
        (f"[turso]\n{TURSO}".replace('token = "t"', "token = 3"), "needs a text for token"),
        (f"[turso]\n{TURSO}[turso.regions.eu]\ngrup = 'g'\n", "did you mean group"),
        ("[postgresql]\nurl = 'mysql://h/d'\n", "needs a url such as postgresql://"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as refused:
        read(tmp_path, text)
    assert str(tmp_path / "backends.toml") in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_backends(tmp_path / "none.toml")
