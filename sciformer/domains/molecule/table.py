"""Files of molecules as pandas tables: CSV, TSV, Parquet, ``.smi`` and SDF, plain or gzipped.

A missing cell is an empty one or one of pandas' words for it (NA, NaN, null, None, ...), in every format; none
of these is a SMILES. Columns that hold structures or that the caller names in ``text`` stay text, others get the
type that pandas infers.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from rdkit import Chem, rdBase

from sciformer.data.content import known_suffix, read_bytes, read_parquet
from sciformer.data.delimited import check_names, decoded, forget_words, parsed

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

NEEDS = "one row per molecule"

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
    kind = known_suffix(path, SUFFIXES, "molecules")
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    content = read_bytes(path, NEEDS)
    if kind in (".parquet", ".pq"):
        table = read_parquet(path, content)
    elif kind in (".sdf", ".sd", ".mol"):
        table = _sdf(decoded(path, content, SUFFIXES, "latin-1"))
    elif kind in (".smi", ".smiles"):
        table = _smi(decoded(path, content, SUFFIXES), comment)
    else:
        body = decoded(path, content, SUFFIXES)
        if "V2000" in body[:1000] or "V3000" in body[:1000]:
            raise ValueError(f"{path} holds molfiles; rename it to end in .sdf")
        table = parsed(path, body, NEEDS, sep, comment, names, text, SMILES_NAMES)
    if table.empty:
        raise ValueError(f"{path} has no data rows; it needs {NEEDS}")
    if text is not None:
        forget_words(table)
        if kind in (".sdf", ".sd", ".mol"):
            _convert_numbers(table, text)
    return table


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
