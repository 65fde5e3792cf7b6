"""Bytes of a user's file, and the one table format that is the same in every science."""

import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_bytes(path: Path, needs: str) -> bytes:
    """Content of a file, unpacked; its first bytes say whether it is gzipped, its name does not.

    Raises ``ValueError`` for a damaged gzip file or an empty one, which ``needs`` something.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a damaged gzip file ({error}); download or pack it again") from None
    if not content.strip():
        raise ValueError(f"{path} is empty; it needs {needs}")
    return content


def known_suffix(path: Path, suffixes: Sequence[str], of: str) -> str:
    """The ending of a file's name in lower case, ``.gz`` aside.

    Raises ``FileNotFoundError`` where there is no such file, ``ValueError`` where it is a directory or ends otherwise.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a directory; name one file of {of} in it ({', '.join(suffixes)})")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path (working directory {Path.cwd()})")
    found = [suffix.lower() for suffix in path.suffixes]
    if found and found[-1] == ".gz":
        found.pop()
    if not found or found[-1] not in suffixes:
        ending = f"ends in {found[-1]!r}" if found else "has no file name ending"
        raise ValueError(f"{path} {ending}; known are {', '.join(suffixes)}, each also with .gz")
    return found[-1]


def names_file(text: str, suffixes: Sequence[str]) -> bool:
    """Whether a text, which might also be a record itself, ends like a path or names a file."""
    if text.strip().lower().removesuffix(".gz").endswith(tuple(suffixes)):
        return True
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a path
        return False


def read_parquet(path: Path, content: bytes) -> "pd.DataFrame":
    """The table of a Parquet file of this content.

    Raises ``ValueError`` where it is none.
    """
    import pandas as pd
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(io.BytesIO(content))
    except (ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be read as Parquet ({reason}); write it again, or use CSV") from None
