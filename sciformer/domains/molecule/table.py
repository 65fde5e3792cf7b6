"""Files of molecules as pandas tables: CSV, TSV, Parquet, ``.smi`` and SDF, plain or gzipped.

A missing cell is an empty one or one of pandas' words for it (NA, NaN, null, None, ...), in every format; none
of these is a SMILES. Columns that hold structures or that the caller names in ``text`` stay text, others get the
type that pandas infers.
"""

import contextlib
import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase

from sciformer.data.content import read_bytes, read_parquet

SMILES_NAMES = (
    "smiles",
    "smi",
    "mol",
    "molecule",
    "structure",
    "canonical_smiles",
    "canonicalsmiles",
    "isomeric_smiles",
    "isomericsmiles",
    "smiles_string",
)
"""Column names, in lower case, that are taken for structures."""

SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".smi", ".smiles", ".sdf", ".sd", ".mol", ".parquet", ".pq")
"""Known file name endings; text formats may also end in ``.gz``."""

MISSING_WORDS = {
    *("NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}
"""What pandas takes for an empty cell of a CSV file."""

NO_REASON = "RDKit gives no reason"


class Unreadable(str):
    """A cell whose molecule cannot be read: the reason, kept in its place."""


def load_table(
    source: str | Path,
    sep: str | None = None,
    comment: str | None = None,
    names: Sequence[str] | str | None = None,
    text: Sequence[str] | None = (),
) -> pd.DataFrame:
    """One row per molecule of a file.

    ``sep`` is found from the header where it is None (comma, tab or semicolon); lines that begin with
    ``comment`` are skipped; ``names`` are the columns of a file without header, as a list or joined by commas;
    columns in ``text`` are not converted to numbers, and with None all cells stay as they stand in the file.
    ``.smi`` gives the columns ``smiles`` and ``name``; SDF gives ``mol`` (molecules or ``Unreadable`` with the
    reason), ``name`` and its properties.

    Raises ``FileNotFoundError`` or ``ValueError`` with one line that names the file and the remedy.
    """
    path = Path(source)
    kind = _suffix(path)
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    content = read_bytes(path, "one row per molecule")
    if kind in (".parquet", ".pq"):
        table = read_parquet(path, content)
    elif kind in (".sdf", ".sd", ".mol"):
        table = _sdf(_text(path, content, "latin-1"))
    elif kind in (".smi", ".smiles"):
        table = _smi(_text(path, content), comment)
    else:
        table = _delimited(path, _text(path, content), sep, comment, names, text)
    if table.empty:
        raise ValueError(f"{path} has no data rows; it needs one row per molecule")
    if text is not None:
        _forget_words(table)
        if kind in (".sdf", ".sd", ".mol"):
            _convert_numbers(table, text)
    return table


def check_names(names: Sequence[object], where: str) -> None:
    """Raise ``ValueError`` where two columns share a name, which pandas would silently change."""
    for name, count in Counter(names).items():
        if count > 1 and name != "":
            places = [i for i, other in enumerate(names, start=1) if other == name]
            raise ValueError(f"{where} has {count} columns named {name!r} (columns {places}); rename all but one")


def _suffix(path: Path) -> str:
    if path.is_dir():
        raise ValueError(f"{path} is a directory; name one file of molecules in it ({', '.join(SUFFIXES)})")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path (working directory {Path.cwd()})")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if not suffixes or suffixes[-1] not in SUFFIXES:
        found = f"ends in {suffixes[-1]!r}" if suffixes else "has no file name ending"
        raise ValueError(f"{path} {found}; known are {', '.join(SUFFIXES)}, each also with .gz")
    return suffixes[-1]


def _text(path: Path, content: bytes, fallback: str | None = None) -> str:
    if content.startswith(b"PK"):
        raise ValueError(f"{path} is a zip archive or an Excel workbook; unpack it, or save the sheet as CSV")
    if content.startswith(b"PAR1"):
        raise ValueError(f"{path} is a Parquet file; rename it to end in .parquet")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} is UTF-16 text; save it as UTF-8")
    if b"\0" in content:
        raise ValueError(f"{path} is binary (byte 0 at offset {content.index(0)}); known are {', '.join(SUFFIXES)}")
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


def _delimited(
    path: Path,
    text: str,
    sep: str | None,
    comment: str | None,
    names: Sequence[str] | None,
    as_text: Sequence[str] | None,
) -> pd.DataFrame:
    lines = text.rstrip("\n").split("\n")
    if comment is not None:  # only at the start of a line: # is a triple bond elsewhere
        lines = [line for line in lines if not line.startswith(comment)]
    while names is None and lines and not lines[0].strip():
        lines.pop(0)
    if not lines:
        raise ValueError(f"{path} has nothing but comments; it needs one row per molecule")
    if "V2000" in text[:1000] or "V3000" in text[:1000]:
        raise ValueError(f"{path} holds molfiles; rename it to end in .sdf")
    body = "\n".join(lines)
    separator = sep or _separator(lines[0])
    header = list(names) if names else _header(body, separator)
    check_names(header, f"the header of {path}")
    whole = as_text is None
    keep = {name: str for name in header if name in (as_text or ()) or name.strip().lower() in SMILES_NAMES}
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
                skip_blank_lines=False,  # a blank line is a row without a molecule, and keeps its place
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


def _smi(text: str, comment: str | None) -> pd.DataFrame:
    """SMILES, white space, name (the rest of the line); the first line may be a header."""
    lines = text.rstrip("\n").split("\n")
    if comment is not None:
        lines = [line for line in lines if not line.startswith(comment)]
    rows = [_smi_row(line) for line in lines]
    if rows and rows[0][0].lower() in SMILES_NAMES:
        rows.pop(0)
    table = pd.DataFrame(rows, columns=["smiles", "name"], dtype=object)
    return table if table["name"].astype(bool).any() else table[["smiles"]]


def _smi_row(line: str) -> tuple[str, str]:
    """ChemAxon's extension ``|...|`` belongs to the SMILES, what follows is the name."""
    match = re.match(r"\s*(\S*(?:\s+\|[^|]*\|)?)\s*(.*?)\s*$", line)
    assert match is not None  # every part may be empty
    return match[1], match[2]


def _sdf(text: str) -> pd.DataFrame:
    entries = re.split(r"^\$\$\$\$.*\n?", text, flags=re.MULTILINE)
    if not entries[-1].strip():
        entries.pop()
    titles = [entry.split("\n", 1)[0].strip() for entry in entries]
    rows = [{"name": title, **_properties(entry)} for title, entry in zip(titles, entries, strict=True)]
    if any("mol" in row for row in rows):
        raise ValueError("the SD property 'mol' would hide the molecule itself; rename it")
    rows = [{"mol": _molblock(entry), **row} for entry, row in zip(entries, rows, strict=True)]
    table = pd.DataFrame(rows)
    return table if table["name"].astype(bool).any() else table.drop(columns="name")


def _molblock(entry: str) -> Chem.Mol | Unreadable:
    with captured_log() as log:
        mol = Chem.MolFromMolBlock(entry)
    return Unreadable(reason(log.messages)) if mol is None else mol


@contextlib.contextmanager
def captured_log() -> Iterator[rdBase.CaptureErrorLog]:
    """RDKit's error messages in ``.messages`` instead of on the terminal; its settings are restored."""
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        yield log


def _properties(entry: str) -> dict[str, str]:
    """Data items of an SDF entry: ``> <NAME>``, then the value up to a blank line."""
    _, _, data = entry.partition("M  END")
    item = r"^>[^\n<]*<([^>\n]*)>[^\n]*\n(.*?)(?:\n[ \t]*$|\Z)"
    items = re.findall(item, data, flags=re.MULTILINE | re.DOTALL)
    check_names([name for name, _ in items], f"SDF entry {entry.split(chr(10), 1)[0].strip()!r}")
    return {name: value.strip() for name, value in items}


def _forget_words(table: pd.DataFrame) -> None:
    """Make ``MISSING_WORDS`` missing where a format knows nothing of them."""
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            nothing = [isinstance(cell, str) and cell in MISSING_WORDS for cell in table[name]]
            table[name] = table[name].mask(np.array(nothing))


def _convert_numbers(table: pd.DataFrame, text: Sequence[str]) -> None:
    """Text of a whole column as pandas would read it from a CSV file: SDF knows no types."""
    for name in table.columns.difference(["mol", *text]):
        present = table[name].replace("", None)
        numbers = pd.to_numeric(present, errors="coerce")
        if numbers.notna().sum() == present.notna().sum() > 0:
            table[name] = numbers


def reason(log: str) -> str:
    """The first message of RDKit's log in one line, without time and without its caption."""
    for line in log.splitlines():
        line = re.sub(r"^\[\d\d:\d\d:\d\d\]\s*", "", line).strip()
        line = re.sub(r"^SMILES Parse Error:\s*", "", line)
        if line and line != "****":
            return line.rstrip(":. ")
    return NO_REASON
