import json
import re
import tomllib
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.documents.repository import project, read

LOCKS = ("requirements.lock", "deploy/runtime.lock")
NPM_LOCKS = ("tests/clients/packages/package-lock.json", "tests/engines/packages/package-lock.json")
OURS = {"keystead", "keystead-sdk", "keystead-hrana"}


def pins(lock: str) -> dict[str, Version]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", read(lock), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


def assert_pinned(requirements: list[str], lock: str) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        if name in OURS:
            continue
        assert name in pinned, f"{name} is not in {lock}: make lock"
        assert requirement.specifier.contains(pinned[name]), f"{lock} holds another {name}: make lock"


def test_the_lock_pins_all_that_the_project_and_its_developers_need() -> None:
    dev = project()["optional-dependencies"]["dev"]
    build = tomllib.loads(read("pyproject.toml"))["build-system"]["requires"]
    assert_pinned(project()["dependencies"] + dev + build, "requirements.lock")
    for distribution in ("sdk", "hrana"):
        theirs = tomllib.loads(read(f"{distribution}/pyproject.toml"))
        assert_pinned(
            theirs["project"]["dependencies"] + theirs["build-system"]["requires"], "requirements.lock"
        )


def test_the_runtime_lock_is_a_part_of_the_lock_without_the_developers_tools() -> None:
    runtime, everything = pins("deploy/runtime.lock"), pins("requirements.lock")
    assert runtime.items() < everything.items()
    postgresql = project()["optional-dependencies"]["postgresql"]
    assert_pinned(project()["dependencies"] + postgresql, "deploy/runtime.lock")
    assert not {"pytest", "ruff", "mypy", "playwright"} & runtime.keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_file(lock: str) -> None:
    assert not re.search(r"://|^-|@ |file:", read(lock), re.MULTILINE)


@pytest.mark.parametrize("lock", NPM_LOCKS)
def test_every_package_from_npm_has_a_digest_and_no_address(lock: str) -> None:
    assert "://" not in read(lock), "npm adds pages of sponsors: remove the members `funding`"
    packages = json.loads(read(lock))["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert "resolved" not in package, f"{name} names a host: omit-lockfile-registry-resolved"
        assert not name or package["integrity"].startswith("sha512-")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    for entry in re.split(r"\n(?=\S)", read(lock).strip()):
        assert re.fullmatch(r"\S+==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry[:80]


def test_every_dependency_has_its_reason_beside_it() -> None:
    text = read("pyproject.toml")
    extras = project()["optional-dependencies"].values()
    for requirement in [*project()["dependencies"], *chain.from_iterable(extras)]:
        quoted = re.escape(f'"{requirement}"')
        assert re.search(rf"{quoted}[],]* +# \w", text), f"no reason beside {requirement}"
