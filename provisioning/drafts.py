"""Where copies of databases lie while they are written and read: personal data in the clear, for moments only.

Every process has a folder of its own for them, which is deleted with what is in it as soon as the process is known
to have ended: by the next that needs such a place, and by every server of the machine each minute.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from provisioning.parts import Parts
from provisioning.presence import is_dead


@contextmanager
def workplace(parts: Parts, name: str) -> Iterator[Path]:
    """A folder for drafts that is this process's alone: one that lost its lease and goes on disturbs nobody."""
    clear_drafts(parts)
    folder = _drafts(parts) / parts.owner / name
    rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def clear_drafts(parts: Parts) -> None:
    """What processes left that ended without a word. They hold personal data in the clear."""
    for folder in _drafts(parts).glob("*"):
        if folder.name != parts.owner and is_dead(parts.settings, folder.name):
            rmtree(folder, ignore_errors=True)


def _drafts(parts: Parts) -> Path:
    return parts.settings.data_dir / "drafts"
