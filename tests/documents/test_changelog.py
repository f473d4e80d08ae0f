import re

from tests.documents.repository import project, read


def test_the_changelog_has_an_entry_for_this_version_and_it_comes_first() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", read("CHANGELOG.md"), re.MULTILINE)
    assert versions
    assert versions[0] == project()["version"]


def test_every_entry_tells_the_operator_what_to_do() -> None:
    entries = re.split(r"^## ", read("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    for entry in entries:
        assert "### What to do" in entry, entry.splitlines()[0]


def test_the_licence_is_the_one_that_the_project_names() -> None:
    assert project()["license"] == "Apache-2.0"
    text = read("LICENSE")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
