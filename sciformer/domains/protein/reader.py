"""Sequences, variants and structures to records: what cannot be read keeps its place and says why.

The policy for letters is written in ``alphabet.py``, that for structures in ``structure.py``.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from Bio.Seq import MutableSeq, Seq
from Bio.SeqRecord import SeqRecord

from sciformer.adapter import Record
from sciformer.data.content import names_file
from sciformer.data.delimited import in_memory, row_keys
from sciformer.data.targets import find_column, known_targets, listed
from sciformer.domains.protein import annotations, variants
from sciformer.domains.protein.alphabet import STOP, UNUSUAL, Cleaned, clean
from sciformer.domains.protein.chains import Chains
from sciformer.domains.protein.structure import read_structure
from sciformer.domains.protein.table import (
    SEQUENCE_NAMES,
    SUFFIXES,
    VARIANT_NAMES,
    is_structure,
    load_table,
    stem,
    structure_columns,
)
from sciformer.tokens import Target

OPTIONS = ("sequence", "variant", "structure", "id", "mask", "chains", "model", "sep")
"""Options of the reader beside those that the adapter fixes."""

_NAMING = "--data.{0} COLUMN (train), --columns.{0} COLUMN (other commands) or {0}= (Python)"
_NUMBER_THEM = "number the rows with an empty --data.id (train), --columns.id (other commands) or id= (Python)"
_NUCLEOTIDES, _MISTAKABLE = frozenset("ACGTUN"), 30
"""Letters of DNA and RNA, and how many of them alone are no peptide."""


@dataclass(frozen=True)
class _Way:
    """How cells become chains."""

    kind: str
    """Of the column: ``sequence``, ``variant`` or ``structure``."""
    wild_type: str
    first: int
    aligned: bool
    chains: tuple[str, ...]
    model: int | None
    numbers: tuple[str, ...]
    """Of the residues of the wild type, where they are not counted from 1."""


def read(
    source: Any,
    *,
    wild_type: str = "",
    first: int | str = 1,
    aligned: bool = False,
    features: Sequence[str] = (),
    labels: Sequence[Target] = (),
    targets: Sequence[Target] = (),
    sequence: str | None = None,
    variant: str | None = None,
    structure: str | None = None,
    id: str | None = None,
    mask: str | None = None,
    chains: str | Sequence[str] = (),
    model: int | str | None = None,
    sep: str | None = None,
    **unknown: Any,
) -> Iterator[Record]:
    """Yield one record per sequence, unreadable ones included.

    ``source``: a path, a DataFrame, a Series, a list of sequences (text, Biopython's ``Seq`` or ``SeqRecord``), paths
    of structures or None, or one of these. A string is a path where it names a file or ends like one (``.fasta``,
    ``.csv.gz``, ``.pdb``), else a sequence, or with a wild type also a variant.

    ``sequence``, ``variant`` or ``structure`` names the column that is read, else it is found by its name: a
    structure before a sequence before a variant of ``wild_type``, whose first residue has the number ``first``.
    ``id`` names the column of keys; by default that is the one called ``id``, which FASTA has, else rows are numbered
    from 1, as they are with an empty ``id``. ``mask`` names a column of 0 (the residue's labels do not count) and 1.
    ``features`` and ``labels`` are columns too (see ``annotations``); a source without a column of labels has no
    answers. ``chains`` (``A,B``) and ``model`` choose what of a structure is read.

    Raises ``ValueError`` or ``OSError``, before the first record, where the source as a whole, a key or a target cell
    is unusable.
    """
    if unknown:
        raise ValueError(f"no option {min(unknown)!r} of the reader; options: {', '.join(OPTIONS)}")
    named = [name for name in (id, mask, *features) if name]
    answered = [target.name for target in labels] + [target.name for target in targets if target.classes]
    table = _table(source, [*named, *answered], sep)
    names = [str(name) for name in table.columns]
    kind, column = _column(table, sequence, variant, structure, wild_type)
    keys = row_keys(table, _id(names, id), otherwise=_NUMBER_THEM)
    known = known_targets(table, targets, keys)
    told = {name: list(table[find_column(names, name, "feature")]) for name in features}
    scored = {target: list(table[target.name]) for target in labels if target.name in names}
    masks = list(table[find_column(names, mask, "mask")]) if mask else None
    wild_type, first = clean(wild_type).residues, int(first)
    numbers = tuple(str(first + i) for i in range(len(wild_type))) if wild_type and first != 1 else ()
    chosen = tuple(name.strip() for name in (chains.split(",") if isinstance(chains, str) else chains) if name.strip())
    way = _Way(kind, wild_type, first, aligned, chosen, None if model is None else int(model), numbers)
    return _records(list(table[column]), keys, known, way, told, scored, masks)


def _records(
    cells: Sequence[Any],
    keys: Sequence[str],
    known: Sequence[Mapping[str, float]],
    way: _Way,
    features: Mapping[str, Sequence[Any]],
    labels: Mapping[Target, Sequence[Any]],
    masks: Sequence[Any] | None,
) -> Iterator[Record]:
    for i, (cell, key) in enumerate(zip(cells, keys, strict=True)):
        try:
            chains, cleaned = _chains(cell, way)
            counts = True if masks is None else annotations.mask(masks[i], "mask", cleaned)
            chains = _with(
                chains,
                {name: annotations.numbers(column[i], name, cleaned) for name, column in features.items()},
                {
                    target.name: np.where(counts, annotations.answers(column[i], target, cleaned), np.nan)
                    for target, column in labels.items()
                },
            )
        except (ValueError, OSError) as problem:
            yield Record(key=key, targets=known[i], problem=str(problem))
        else:
            yield Record(key=key, data=chains, group=_group(chains, way.wild_type, way.first), targets=known[i])


def _chains(cell: Any, way: _Way) -> tuple[Chains, Cleaned]:
    """Raises ``ValueError`` or ``OSError`` where a cell cannot be read."""
    if isinstance(cell, SeqRecord):
        cell = cell.seq
    if isinstance(cell, Seq | MutableSeq):
        cell = str(cell)
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)):
        raise ValueError(f"missing: no {way.kind}; fill the cell or delete the row")
    if way.kind == "structure" or (isinstance(cell, Path) and is_structure(cell)):
        chains = read_structure(Path(str(cell)), way.chains, way.model)
        _check_length(chains.residues, way.wild_type)
        return chains, Cleaned(chains.residues, np.arange(len(chains)), len(chains))
    if not isinstance(cell, str):
        raise ValueError(f"not a {way.kind}: {cell!r:.40} is of type {type(cell).__name__}")
    cleaned = _cleaned(cell, way)
    _check_length(cleaned.residues, way.wild_type)
    positions = cleaned.places.astype(np.float64) if way.aligned else None
    return Chains(residues=cleaned.residues, positions=positions, numbers=way.numbers), cleaned


def _check_length(residues: str, wild_type: str) -> None:
    if wild_type and len(residues) != len(wild_type):
        raise ValueError(
            f"{len(residues)} residues, but the wild type has {len(wild_type)}: give a variant of it by substitutions "
            "(insertions and deletions need a model without a wild type)"
        )


def _cleaned(text: str, way: _Way) -> Cleaned:
    if way.wild_type and (variants.is_variant(text) or (way.kind == "variant" and not text.strip())):
        residues = variants.mutated(text, way.wild_type, way.first)
        return Cleaned(residues, np.arange(len(residues)), len(residues))
    if not text.strip():
        raise ValueError(f"missing: no {way.kind}; fill the cell or delete the row")
    cleaned = clean(text)
    if not cleaned.residues:
        raise ValueError(f"no residues: {text!r:.40} has nothing but gaps and stops")
    return cleaned


def _with(chains: Chains, features: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> Chains:
    if not features and not labels:
        return chains
    return Chains(**{**vars(chains), "features": features, "labels": labels})


def _group(chains: Chains, wild_type: str, first: int) -> str:
    """The same for identical sequences, and for no others: the substitutions of a variant, a short sequence itself,
    else its beginning and a hash."""
    if wild_type:
        return variants.notation(chains.residues, wild_type, first)
    ends = pairwise((*chains.starts, len(chains)))
    text = "/".join(chains.residues[start:end] for start, end in ends)
    return text if len(text) <= 40 else f"{text[:12]}…{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def remarks(records: Sequence[Record]) -> list[str]:
    """What must be known of answers to these records, in words: letters that say something odd, and the notes that the
    reader made of structures (the first five)."""
    kinds = [(record, frozenset(record.data.residues)) for record in records if record.ok]
    nucleic = sum(found <= _NUCLEOTIDES and len(record.data) >= _MISTAKABLE for record, found in kinds)
    unusual = sum(not found.isdisjoint(UNUSUAL) for _, found in kinds)
    stopped = sum(STOP in found for _, found in kinds)
    counts = (
        (nucleic, "the letters A, C, G, T, U and N alone: these look like nucleotides; translate them first"),
        (unusual, "letters for unusual or unknown residues (U, O, B, Z, J or X)"),
        (stopped, "a stop (*) inside"),
    )
    told = [f"{n} of {len(records)} records {'has' if n == 1 else 'have'} {what}" for n, what in counts if n]
    notes = [f"{record.key}: {note}" for record, _ in kinds for note in record.data.notes]
    more = [f"{len(notes) - 5} more such remarks on structures"] if len(notes) > 5 else []
    return [*told, *notes[:5], *more]


def table(source: Any, *, sep: str | None = None, **others: Any) -> pd.DataFrame | None:
    """The table behind a source, row by row as ``read`` reads it, cells of a text file as they stand there; None for
    sources that are no file and no table. Options that choose columns change nothing here."""
    if isinstance(source, pd.DataFrame):
        return source
    return load_table(source, sep=sep, text=None) if isinstance(source, Path) else None


def _table(source: Any, text: Sequence[str], sep: str | None) -> pd.DataFrame:
    if isinstance(source, Path) or (isinstance(source, str) and names_file(source, SUFFIXES)):
        return load_table(source, sep=sep, text=text)
    if sep is not None:
        raise ValueError(f"sep can only be given for a file, got {type(source).__name__}")
    return in_memory(source, "sequences", (str, Seq, MutableSeq, SeqRecord), _listed)


def _listed(cells: list[Any]) -> pd.DataFrame:
    """Structures are called as their files, Biopython's records by their id, which brings along what is said of every
    letter."""
    if cells and all(is_structure(cell) for cell in cells):
        return pd.DataFrame({"id": [stem(Path(cell)) for cell in cells], "structure": cells}, dtype=object)
    if cells and all(isinstance(cell, SeqRecord) and cell.id not in (None, "<unknown id>") for cell in cells):
        return pd.DataFrame([{**cell.letter_annotations, "id": cell.id, "sequence": cell} for cell in cells])
    column = pd.Series([None] * len(cells), dtype=object)
    for i, cell in enumerate(cells):  # pandas would take a record of Biopython for a list of letters
        column[i] = cell
    return pd.DataFrame({"sequence": column})


def _id(names: Sequence[str], id: str | None) -> str | None:
    if id is None:
        return "id" if "id" in names else None
    return id or None


def _column(
    table: pd.DataFrame, sequence: str | None, variant: str | None, structure: str | None, wild_type: str
) -> tuple[str, str]:
    """What is read, and its column."""
    names = [str(name) for name in table.columns]
    asked = {"sequence": sequence, "variant": variant, "structure": structure}
    given = {kind: name for kind, name in asked.items() if name is not None}
    if len(given) > 1:
        raise ValueError(f"name one of {' and '.join(given)}, got {', '.join(map(repr, given.values()))}")
    if given:
        ((kind, name),) = given.items()
        found = {kind: [find_column(names, name, kind)]}
    else:
        found = {
            "structure": structure_columns(table),
            "sequence": _called(names, SEQUENCE_NAMES),
            "variant": _called(names, VARIANT_NAMES),
        }
    kind = next((kind for kind, columns in found.items() if columns), None)
    if kind is None:
        raise ValueError(
            f"no column is known to hold sequences; name it with {_NAMING.format('sequence')}; columns: {listed(names)}"
        )
    if len(found[kind]) > 1:
        raise ValueError(
            f"several columns may hold the {kind}s: {', '.join(found[kind])}; name one with {_NAMING.format(kind)}"
        )
    if kind == "variant" and not wild_type:
        raise ValueError(
            f"column {found[kind][0]!r} holds variants, which say nothing without their wild type; "
            "give it with --data.wild_type SEQUENCE (train) or wild_type= (Python)"
        )
    return kind, found[kind][0]


def _called(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The columns of the first known name that a table has, in any case."""
    by_name = ([name for name in names if name.strip().lower() == other] for other in known)
    return next((found for found in by_name if found), [])
