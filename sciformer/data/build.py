"""Prepared tables made anew from a clone of the repository that a data card names, for those without a mirror."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciformer.data import cards
from sciformer.data.upstream import HashError, cache_folder
from sciformer.discovery import adapter_class
from sciformer.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 19
"""Of the zstd compression, by which the files of the cards were written: another gives other bytes."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """What came of a build."""

    paths: tuple[Path, ...]
    objects: int
    difference: str
    """Why the files are not byte for byte those of the card, "" where they are."""


def build(
    name: str,
    folder: Path,
    out: Path | None = None,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> Built:
    """Build the files of a data card into ``out``, by default into the cache, where ``cards.load`` finds them.

    The cache takes only files that are byte for byte those of the card. ``folder`` is a clone of the upstream
    repository; ``track`` goes through its files and may show how far.
    Raises ``ValueError`` or ``OSError`` where the card is not built from a clone, the clone is not that of the card,
    or the files are not the card's and no ``out`` is given.
    """
    card = cards.card(name)
    if any(file.url for file in card.files):
        raise ValueError(f"the files of {name!r} are not built but downloaded: sciformer data fetch {name}")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; give that of a clone of the upstream repository")
    tables = adapter_class(card.domain).build(name, folder, track)
    if tables is None:
        raise ValueError(f"the files of {name!r} cannot be built; put them into a folder of SCIFORMER_MIRROR")
    contents = [_parquet(tables[file.part]) for file in card.files]
    difference = _difference(card, tables, contents)
    if difference and (out is None or out.resolve().is_relative_to(cache_folder().resolve())):
        raise HashError(f"{difference}; nothing is written: complete the clone, or name a folder by --out")
    paths = tuple(out / file.path.name if out else cache_folder() / file.path for file in card.files)
    for path, content in zip(paths, contents, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as stream:
            stream.write(content)
    return Built(paths=paths, objects=len(tables[""]), difference=difference)


def _difference(card: cards.Card, tables: "Mapping[str, pd.DataFrame]", contents: Sequence[bytes]) -> str:
    objects = len(tables[""])
    if objects != card.rows:
        return f"the clone holds {objects} of the {card.rows} objects of {card.name!r}"
    wrong = [
        file.path.name
        for file, content in zip(card.files, contents, strict=True)
        if hashlib.sha256(content).hexdigest() != file.sha256
    ]
    if not wrong:
        return ""
    import pyarrow

    return (
        f"{' and '.join(wrong)}, all {objects} objects, is not byte for byte as in the card: "
        f"the clone is of another version, or pyarrow {pyarrow.__version__} writes otherwise"
    )


def _parquet(frame: "pd.DataFrame") -> bytes:
    """Floating-point numbers by significance of their bytes, whole ones as differences, texts as a dictionary."""
    encodings: dict[Any, str] = {"f": "BYTE_STREAM_SPLIT", "i": "DELTA_BINARY_PACKED"}
    columns = {name: encodings.get(kind.kind) for name, kind in frame.dtypes.items()}
    stream = io.BytesIO()
    frame.to_parquet(
        stream,
        index=False,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[name for name, encoding in columns.items() if encoding is None] or False,
        column_encoding={name: encoding for name, encoding in columns.items() if encoding},
    )
    return stream.getvalue()
