"""Files of proteins as pandas tables: CSV, TSV, Parquet, FASTA and structures, plain or gzipped.

A missing cell of a CSV, TSV or Parquet file is an empty one or one of pandas' words for it (NA, NaN, null, ...), also
in a column of sequences: the dipeptide NA can only be given as FASTA. Columns that hold sequences or variants, or that
the caller names in ``text``, stay text, others get the type that pandas infers; all columns of FASTA are text.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sciformer.data import fasta
from sciformer.data.content import known_suffix, read_bytes, read_parquet
from sciformer.data.delimited import decoded, forget_words, parsed

SEQUENCE_NAMES = (
    *("sequence", "seq", "protein", "protein_sequence", "aa_seq", "aa_sequence", "aaseq", "amino_acid_sequence"),
    *("mutated_sequence", "mutant_sequence", "primary", "peptide", "peptide_sequence"),
)
"""Column names, in lower case, that are taken for sequences."""
VARIANT_NAMES = ("variant", "variants", "mutant", "mutants", "mutation", "mutations", "substitutions")
"""Column names, in lower case, that are taken for variants of a wild type."""
STRUCTURE_NAMES = ("structure", "structure_file", "pdb_file", "cif_file")
"""Column names, in lower case, that are taken for names of files of structures, if all cells end like them."""

FASTA = (".fasta", ".fa", ".faa", ".fas", ".afa", ".3line")
STRUCTURES = (".pdb", ".ent", ".cif", ".mmcif")
PARQUET = (".parquet", ".pq")
SUFFIXES = (*FASTA, ".csv", ".tsv", ".tab", ".txt", *PARQUET, *STRUCTURES)
"""Known file name endings; all but Parquet may also end in ``.gz``."""

NEEDS = "one row or record per protein"


def load_table(source: str | Path, sep: str | None = None, text: Sequence[str] | None = ()) -> pd.DataFrame:
    """One row per protein of a file.

    ``sep`` is found from the header where it is None (comma, tab or semicolon); columns in ``text`` are not converted
    to numbers, and with None all cells stay as they stand in the file. FASTA gives the columns of ``fasta.table``; a
    structure gives one row: ``id``, the name of the file without its ending, and ``structure``, its path.

    Raises ``FileNotFoundError`` or ``ValueError`` with one line that names the file and the remedy.
    """
    path = Path(source)
    kind = known_suffix(path, SUFFIXES, "proteins")
    content = read_bytes(path, NEEDS)
    if kind in STRUCTURES:
        return pd.DataFrame({"id": [stem(path)], "structure": [str(path)]}, dtype=object)
    told: tuple[str, ...] = ()
    if kind in PARQUET:
        table = read_parquet(path, content)
    else:
        body = decoded(path, content, SUFFIXES, fallback="latin-1" if kind in FASTA else None)
        if kind in FASTA or (kind == ".txt" and body.lstrip().startswith(">")):
            table, told = fasta.table(path, body), ("id", "sequence")
        elif body.lstrip().startswith(">"):
            raise ValueError(f"{path} holds FASTA; rename it to end in .fasta")
        else:
            table = parsed(path, body, NEEDS, sep, None, None, text, ("id", *SEQUENCE_NAMES, *VARIANT_NAMES))
    if table.empty:
        raise ValueError(f"{path} has no data rows; it needs {NEEDS}")
    if text is not None:
        forget_words(table, but=told)
        _beside(table, path.parent)
    return table


def stem(path: Path) -> str:
    """The name of a file without its ending."""
    name = path.name.removesuffix(".gz")
    return name[: -len(Path(name).suffix)] if Path(name).suffix else name


def structure_columns(table: pd.DataFrame) -> list[str]:
    """The columns that name files of structures."""
    named = [name for name in table.columns if str(name).strip().lower() in STRUCTURE_NAMES]
    return [name for name in named if table[name].dropna().map(is_structure).all() and table[name].notna().any()]


def is_structure(cell: object) -> bool:
    """Whether a cell ends like the name of a file of a structure."""
    return isinstance(cell, str | Path) and str(cell).strip().lower().removesuffix(".gz").endswith(STRUCTURES)


def _beside(table: pd.DataFrame, folder: Path) -> None:
    """Names of files of structures are those beside the table."""
    for name in structure_columns(table):
        table[name] = table[name].map(lambda cell: str(folder / str(cell).strip()), na_action="ignore")
