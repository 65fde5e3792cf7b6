"""Tables as users have them: CSV, TSV and other delimited text as pandas reads it, and the keys of its rows."""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.data.targets import column_of

MISSING_WORDS = {
    *("NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
"""What pandas takes for an empty cell of a CSV file."""


def decoded(path: Path, content: bytes, suffixes: Sequence[str], fallback: str | None = None) -> str:
    """Text of a file, lines ended by a line feed; ``fallback`` is the encoding of what is not UTF-8.

    Raises ``ValueError`` for archives, Parquet, UTF-16, web pages and other files that hold no such text.
    """
    if content.startswith(b"PK"):
        raise ValueError(f"{path} is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV")
    if content.startswith(b"PAR1"):
        raise ValueError(f"{path} is a Parquet file; rename it to end in .parquet")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} is UTF-16 text; save it as UTF-8")
    if b"\0" in content:
        raise ValueError(f"{path} is binary (byte 0 at offset {content.index(0)}); known are {', '.join(suffixes)}")
    if re.match(rb"\s*<(!doctype|html|\?xml)", content[:200].removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE):
        raise ValueError(f"{path} is a web page (HTML or XML), not a table; download the raw file instead")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if fallback is None:
            line = content.count(b"\n", 0, error.start) + 1
            byte = content[error.start]
            raise ValueError(f"{path} is not UTF-8 text (byte 0x{byte:02x} in line {line}); save as UTF-8") from None
        text = content.decode(fallback)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(
    path: Path,
    text: str,
    needs: str,
    sep: str | None = None,
    comment: str | None = None,
    names: Sequence[str] | None = None,
    verbatim: Sequence[str] | None = (),
    called: Collection[str] = (),
) -> pd.DataFrame:
    """One row per line of a delimited text that ``needs`` something ("one row per molecule").

    ``sep`` is found from the header where it is None (comma, tab or semicolon); lines that begin with ``comment`` are
    skipped; ``names`` are the columns of a text without header. Columns in ``verbatim``, and those that are called in
    any case as in ``called``, are not converted to numbers; with None all cells stay as they stand in the file.

    Raises ``ValueError`` for two columns of one name, and for rows with too many cells.
    """
    lines = text.rstrip("\n").split("\n")
    if comment is not None:  # only at the start of a line: # is a triple bond elsewhere
        lines = [line for line in lines if not line.startswith(comment)]
    while names is None and lines and not lines[0].strip():
        lines.pop(0)
    if not lines:
        raise ValueError(f"{path} has nothing but comments; it needs {needs}")
    body = "\n".join(lines)
    separator = sep or _separator(lines[0])
    header = list(names) if names else _header(body, separator)
    check_names(header, f"the header of {path}")
    whole = verbatim is None
    keep = {name: str for name in header if name in (verbatim or ()) or name.strip().lower() in called}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(body),
                sep=separator,
                header=None if names else 0,
                names=list(names) if names else None,
                dtype=str if whole else keep,
                na_values=[""] if whole else None,
                keep_default_na=not whole,
                index_col=False,
                skip_blank_lines=False,  # a blank line is a row without a record, and keeps its place
                skipinitialspace=True,
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} cannot be read as a table separated by {separator!r} ({reason}); "
            f"give every row {len(header)} cells, quote cells with {separator!r}, or name another separator"
        ) from None


def _separator(line: str) -> str:
    return max((",", "\t", ";"), key=lambda sep: len(next(csv.reader([line], delimiter=sep))))


def _header(body: str, separator: str) -> list[str]:
    if len(separator) == 1:
        return next(csv.reader(io.StringIO(body, newline=""), delimiter=separator, skipinitialspace=True))
    return re.split(separator, body.split("\n", 1)[0])


def check_names(names: Sequence[object], where: str) -> None:
    """Raise ``ValueError`` where two columns share a name, which pandas would silently change."""
    for name, count in Counter(names).items():
        if count > 1 and name != "":
            places = [i for i, other in enumerate(names, start=1) if other == name]
            raise ValueError(f"{where} has {count} columns named {name!r} (columns {places}); rename all but one")


def in_memory(
    source: Any, what: str, single: tuple[type, ...], listed: Callable[[list[Any]], pd.DataFrame]
) -> pd.DataFrame:
    """The table of a source that is no file: a table with columns named by text, or what ``listed`` makes of cells.

    ``what`` says what the cells hold ("SMILES"); a source of a type in ``single``, or None, is one cell, though it may
    be iterable.

    Raises ``ValueError`` for two columns of one name, and for what has no rows in order.
    """
    if isinstance(source, pd.DataFrame):
        table = source.set_axis([str(name) for name in source.columns], axis=1)
        check_names(list(table.columns), "the table")
        return table
    kind = type(source).__name__
    if isinstance(source, Mapping | set | frozenset):
        raise ValueError(f"a {kind} has no rows in order; give a pandas.DataFrame, or a list of {what}")
    if isinstance(source, single) or source is None:
        source = [source]
    if not isinstance(source, Iterable):
        raise ValueError(f"source must be a path, a table or a list of {what}, got {kind}")
    return listed(list(source))


def forget_words(table: pd.DataFrame, but: Collection[str] = ()) -> None:
    """Make ``MISSING_WORDS`` missing where a format knows nothing of them, except in the columns ``but``."""
    for name in table.columns.difference(list(but)):
        if not pd.api.types.is_numeric_dtype(table[name]):
            nothing = [isinstance(cell, str) and cell in MISSING_WORDS for cell in table[name]]
            table[name] = table[name].mask(np.array(nothing))


def row_keys(table: pd.DataFrame, id: str | None, otherwise: str = "name no id column") -> list[str]:
    """Names of the rows: those in the column ``id``, else their numbers from 1.

    Raises ``ValueError`` for an empty or repeated name; ``otherwise`` is what else can be done.
    """
    if id is None:
        return [str(row) for row in range(1, len(table) + 1)]
    column = column_of(table, id, "id")
    seen: dict[str, int] = {}
    for row, (cell, missing) in enumerate(zip(column, column.isna(), strict=True), start=1):
        key = "" if missing else str(cell).strip()
        if not key:
            raise ValueError(f"row {row} has no id in column {id!r}; fill it, or {otherwise}")
        if key in seen:
            raise ValueError(
                f"rows {seen[key]} and {row} share the id {key!r} of column {id!r}; make it unique, or {otherwise}"
            )
        seen[key] = row
    return list(seen)
