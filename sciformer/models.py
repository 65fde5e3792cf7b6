"""Where checkpoints are: in a directory, on the Hugging Face hub, or with the package, by name."""

import difflib
import os
from pathlib import Path

from sciformer import hub
from sciformer.checkpoint import MANIFEST, IntegrityError

FOLDER = Path(__file__).parent / "checkpoints"


def names() -> list[str]:
    """Of the checkpoints that come with the package."""
    return sorted(path.name for path in FOLDER.glob("*") if (path / MANIFEST).is_file())


def find(place: str | os.PathLike[str]) -> Path:
    """The directory of a checkpoint: fetched, of an address on the hub (``hub.fetch``); of that name where no file or
    folder has it; else ``place`` as it is.

    Raises ``FileNotFoundError`` for what is no place and nearly a name, ``IntegrityError`` for any other address.
    """
    path, name = Path(place), os.fspath(place)
    if hub.is_address(place):
        return hub.fetch(name)
    if "://" in name:
        raise IntegrityError(
            f"checkpoints are read from local directories or from hf://owner/name, got {name}: download it first"
        )
    if path.exists():
        return path
    if name in names():
        return FOLDER / name
    if close := difflib.get_close_matches(name, names(), n=1):
        raise FileNotFoundError(
            f"there is no checkpoint at {name}; did you mean {close[0]!r}, which comes with sciformer?"
        )
    return path
