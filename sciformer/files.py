"""Files that are whole or absent: written beside their place, flushed to the disk, then renamed."""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when the block has ended and its bytes are on the disk.

    Raises ``OSError`` in plain words when the disk is full; what was at ``path`` is then untouched.
    """
    # A name of our own and not tempfile's: its files are readable by the owner alone, for ever.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            flush_to_disk(file)
        temporary.replace(path)
        flush_directory(path.parent)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(path) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def disk_full(path: Path) -> OSError:
    return OSError(
        errno.ENOSPC,
        f"the disk is full: {path} could not be written, what was there before is intact; "
        "free some space and repeat the command",
    )


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write a whole UTF-8 file or none."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", errors))


def leftovers(folder: Path) -> list[Path]:
    """What writers that were killed have left in a folder."""
    return [path for path in folder.iterdir() if re.fullmatch(r"\..+\.[0-9a-f]{32}\.tmp", path.name)]


def flush_to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def flush_directory(path: Path) -> None:
    """Make renames inside ``path`` survive a power cut (where the system can)."""
    if os.name == "nt":
        return  # directories cannot be opened there
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
