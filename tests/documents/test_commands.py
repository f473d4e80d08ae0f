"""Each `keystead` command that a page shows is one that the command line takes, with these arguments."""

import re
import shlex

import pytest

from entrypoints.cli import _parser
from tests.documents.repository import ROOT, read

PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
SHOWN = re.compile(r"^(?:[A-Z]+=\S+ )*(?:\.venv/bin/)?keystead +([a-z].*)$", re.MULTILINE)
COMPUTED = re.compile(r"\"?\$\([^()]*\)\"?")


def commands_of(page: str) -> list[str]:
    """In blocks, at the beginning of a line; between backticks."""
    text = read(page)
    blocks = "\n".join(re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    inline = re.findall(r"`(keystead [a-z]+ [^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return SHOWN.findall(blocks) + [
        command.replace("\n", " ").removeprefix("keystead ") for command in inline
    ]


def words_of(command: str) -> list[str]:
    simple = COMPUTED.sub("computed", command).split("||")[0].split(" | ")[0]
    return shlex.split(simple, comments=True)


def test_pages_show_commands() -> None:
    assert sum(len(commands_of(page)) for page in PAGES) > 40


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_are_taken(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused = []
    for command in commands_of(page):
        try:
            _parser().parse_args(words_of(command))
        except SystemExit:
            error = capsys.readouterr().err.splitlines()[-1]
            if "arguments are required" not in error:  # a sentence may name a command without them
                refused.append(f"{command}: {error}")
    assert refused == []
