"""A command that fails says why: whoever reads it is at the machine."""

from pathlib import Path

from tests.provisioning.fixtures import data, made
from tests.serving import command, free_port

__all__ = ["data", "made"]


def test_a_registry_that_is_not_there_is_named_with_the_cause_and_without_its_password(data: Path) -> None:
    port = free_port()
    registry = {"KEYSTEAD_REGISTRY_URL": f"postgresql://keystead:not-to-be-seen@127.0.0.1:{port}/registry"}
    move = ("registry", "move", "--to", f"postgresql://keystead@127.0.0.1:{port}/registry")
    for words, environ in ((("init",), registry), (move, {"PGPASSWORD": "not-to-be-seen"})):
        ended = command(*words, "--data", str(data), environ=environ)
        assert ended.returncode != 0
        assert "Connection refused" in ended.stderr
        assert f"port {port}" in ended.stderr
        assert "not-to-be-seen" not in ended.stderr + ended.stdout
