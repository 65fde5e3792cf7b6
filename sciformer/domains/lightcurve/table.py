"""Files of observations as tables: CSV, TSV, white-space columns, ECSV and Parquet, plain or gzipped."""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sciformer.data import content as contents
from sciformer.domains.lightcurve.columns import BAND_NAMES, OBJECT_NAMES, Options
from sciformer.domains.lightcurve.notes import option
from sciformer.domains.lightcurve.sheet import Sheet, astropy_sheet

TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat")
SUFFIXES = (*TEXT, ".ecsv", ".parquet", ".pq")
"""File name endings of tables; text formats may also end in ``.gz``."""


def read_bytes(path: Path) -> bytes:
    return contents.read_bytes(path, "observations")


def decode(path: Path, content: bytes) -> str:
    if b"\0" in content:
        raise ValueError(f"{path} is binary or UTF-16 (byte 0 at offset {content.index(0)}); save it as UTF-8 text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def suffix_of(path: Path) -> str:
    """File name ending in lower case, without ``.gz``."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def stem_of(path: Path) -> str:
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem


def load_sheet(path: Path, options: Options, text: Sequence[str] = ()) -> Sheet:
    """The table of a file; columns in ``text`` are not converted to numbers.

    Raises ``OSError`` or ``ValueError`` with one line that names the file and the remedy.
    """
    content = read_bytes(path)
    suffix = suffix_of(path)
    if suffix in (".parquet", ".pq"):
        return Sheet(frame=contents.read_parquet(path, content), where=str(path), name=stem_of(path))
    body = decode(path, content)
    if re.match(r"\s*<(!doctype|html|\?xml)", body[:200], re.IGNORECASE):
        raise ValueError(f"{path} is a web page (HTML or XML), not a table; download the raw file instead")
    if suffix == ".ecsv" or body.startswith("# %ECSV"):
        return _ecsv(path, body)
    return Sheet(frame=_delimited(path, body, options, text), where=str(path), name=stem_of(path))


def _ecsv(path: Path, body: str) -> Sheet:
    from astropy.table import QTable

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = QTable.read(body, format="ascii.ecsv")
        except Exception as error:  # the reader raises errors of a dozen kinds, from yaml's to its own
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ValueError(f"{path} cannot be read as ECSV ({reason:.120}); write it again, or use CSV") from None
    return astropy_sheet(table, str(path), stem_of(path))


def _delimited(path: Path, body: str, options: Options, text: Sequence[str]) -> pd.DataFrame:
    lines = body.rstrip("\n").split("\n")
    header = _commented_header(lines)
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError(f"{path} has no lines but comments; it needs observations")
    sep = options.sep or _separator(path, lines[0])
    first = _cells(lines[0], sep)
    names = list(options.names) if options.names else None
    if names is None and any(_is_number(cell) for cell in first):  # a header has no numbers
        names = header if header is not None and len(header) == len(first) else _unnamed(path, first, options)
    titles = names or first
    if twice := [name for name, count in Counter(titles).items() if count > 1]:
        raise ValueError(f"{path} has two columns named {twice[0]!r}; rename one")
    kept = {*(name.lower() for name in text), *OBJECT_NAMES, *BAND_NAMES}
    kept |= {str(name).strip().lower() for name in (options.object, options.band) if name}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO("\n".join(lines)),
                sep=sep,
                header=None if names else 0,
                names=titles,
                dtype={name: str for name in titles if name.strip().lower() in kept},  # pyright: ignore[reportArgumentType]
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} cannot be read as a table separated by {sep!r} ({reason}); "
            f"give every row {len(titles)} cells, or name another separator as {option('sep')}"
        ) from None


def _commented_header(lines: Sequence[str]) -> list[str] | None:
    """Names in the last comment before the first row, as in ``# time mag err``."""
    comment = None
    for line in lines:
        if line.lstrip().startswith("#"):
            comment = line
        elif line.strip():
            break
    return re.split(r"[\s,;]+", comment.strip("# \t")) if comment else None


def _separator(path: Path, line: str) -> str:
    best = max((",", "\t", ";"), key=line.count)
    if best in line:
        return best
    return r"\s+" if len(line.split()) > 1 and suffix_of(path) not in (".csv", ".tsv") else ","


def _cells(line: str, sep: str) -> list[str]:
    if len(sep) == 1:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=sep, skipinitialspace=True))]
    return re.split(sep, line.strip())


def _unnamed(path: Path, first: Sequence[str], options: Options) -> list[str]:
    if len(first) in (2, 3) and options.quantity:
        return ["time", options.quantity, "error"][: len(first)]
    raise ValueError(
        f"{path} has no header; give {option('names')} for its {len(first)} columns"
        + (f", or {option('quantity')} where they are time, value and error" if len(first) in (2, 3) else "")
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
