"""Files of data cards as tables: CSV, FASTA or Parquet, by themselves, gzipped or inside a zip archive."""

import gzip
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from sciformer.data import fasta

FASTA = (".fasta", ".fa", ".faa")


def read_file(
    path: Path,
    member: str = "",
    *,
    letters: str = "sequence",
    marks: Mapping[str, str] | None = None,
    sep: str = ",",
    comment: str | None = None,
    names: list[str] | None = None,
) -> pd.DataFrame:
    """The rows of a file, or of a ``member`` of a zip archive; ``marks`` are columns that say the same of all of them.

    Lines that begin with ``comment`` are skipped, ``names`` are the columns of a file without header, and the letters
    of a FASTA file become the column ``letters``.
    Raises ``KeyError`` for a member that the archive does not have.
    """
    content = zipfile.ZipFile(path).read(member) if member else path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    ending = PurePosixPath(member or path.name.removesuffix(".gz")).suffix
    if ending == ".parquet":
        table = pd.read_parquet(io.BytesIO(content))
    elif ending in FASTA:
        table = _fasta(path, content, letters)
    else:
        table = _csv(content, sep, comment, names)
    return table.assign(**(marks or {}))


def _fasta(path: Path, content: bytes, letters: str) -> pd.DataFrame:
    """Without descriptions where there are none."""
    table = fasta.table(path, content.decode("utf-8")).rename(columns={"sequence": letters})
    return table if table["description"].any() else table.drop(columns="description")


def _csv(content: bytes, sep: str, comment: str | None, names: list[str] | None) -> pd.DataFrame:
    """pandas' own ``comment`` would cut a line at any #, which is a triple bond in SMILES."""
    skip = []
    if comment is not None:
        skip = [i for i, line in enumerate(content.decode("utf-8").splitlines()) if line.startswith(comment)]
    header = 0 if names is None else None
    return pd.read_csv(
        io.BytesIO(content), sep=sep, names=names, header=header, skiprows=skip, skipinitialspace=True, low_memory=False
    )
