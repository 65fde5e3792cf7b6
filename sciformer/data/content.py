"""Bytes of a user's file, and the one table format that is the same in every science."""

import gzip
import io
import zlib
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
