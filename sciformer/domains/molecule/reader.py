"""Rows of molecules to records: what cannot be read keeps its place and says why.

The policy for salts, isotopes, ``*`` atoms and the like is written in ``docs/molecules.md``.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem

from sciformer.adapter import Record
from sciformer.data.content import names_file
from sciformer.data.delimited import in_memory, row_keys
from sciformer.data.targets import find_column, known_targets, listed
from sciformer.domains.molecule.table import (
    NO_REASON,
    SMILES_NAMES,
    SUFFIXES,
    Unreadable,
    captured_log,
    load_table,
    reason,
)
from sciformer.tokens import Target

FILE_OPTIONS = ("sep", "comment", "names")
"""Options of ``load_table`` that a caller may give."""

_NAMING = "with --data.smiles COLUMN (train), --columns.smiles COLUMN (other commands) or smiles= (Python)"

_INCHI_KEY = re.compile(r"[A-Z]{14}-[A-Z]{10}-[A-Z]")

_SMALLEST_DISTANCE = 0.1
"""Å; no two nuclei are nearer, so such coordinates are placeholders or a mistake."""


def read(
    source: Any,
    *,
    smiles: str | None = None,
    id: str | None = None,
    targets: Sequence[Target] = (),
    max_atoms: int = 512,
    **file_options: Any,
) -> Iterator[Record]:
    """Yield one record per row, unreadable ones included.

    ``source``: a path, a DataFrame, a Series, a list of SMILES, ``rdkit.Chem.Mol`` or None, or one of these.
    A string is a path where it names a file or ends like one (``.csv``, ``.sdf.gz``), else a SMILES.
    ``smiles`` and ``id`` name columns of a table; ``file_options`` are those of ``load_table``.
    Without ``id`` a record's key is its row number, counted from 1 without the header.

    Raises ``ValueError`` or ``FileNotFoundError``, before the first record, where the source as a whole,
    a key or a target cell is unusable.
    """
    table = _table(source, id, targets, file_options)
    column = _structure_column(table, smiles)
    keys = row_keys(table, id)
    answers = known_targets(table, targets, keys)
    return _records(list(table[column]), keys, answers, max_atoms)


def _records(cells: list[Any], keys: list[str], answers: list[dict[str, float]], max_atoms: int) -> Iterator[Record]:
    for cell, key, known in zip(cells, keys, answers, strict=True):
        parsed = parse(cell, max_atoms)
        if isinstance(parsed, Unreadable):
            yield Record(key=key, targets=known, problem=str(parsed))
        else:
            yield Record(key=key, data=parsed, group=Chem.MolToSmiles(parsed), targets=known)


def parse(cell: Any, max_atoms: int) -> Chem.Mol | Unreadable:
    """A sanitised molecule without explicit hydrogens and atom map numbers, or why there is none.

    ``cell`` is a SMILES, an ``rdkit.Chem.Mol`` (not changed) or a missing value.
    """
    if isinstance(cell, Unreadable):
        return Unreadable(f"unparsable: {cell}")
    if isinstance(cell, Chem.Mol):
        parsed = _clean(cell)
    elif isinstance(cell, str):
        parsed = _from_smiles(cell.strip(), max_atoms)
    elif cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)):
        return Unreadable("missing: no SMILES; fill the cell or delete the row")
    else:
        return Unreadable(f"not a SMILES: {cell!r:.40} is of type {type(cell).__name__}")
    return parsed if isinstance(parsed, Unreadable) else _checked(parsed, max_atoms)


def _from_smiles(text: str, max_atoms: int) -> Chem.Mol | Unreadable:
    if not text:
        return Unreadable("missing: no SMILES; fill the cell or delete the row")
    first, *rest = text.split(maxsplit=1)
    if rest and not rest[0].startswith("|"):
        return Unreadable(f"two tokens: {text!r:.60}; keep one SMILES per cell, join fragments with a dot")
    if ">" in first and "->" not in first:
        return Unreadable("reaction SMILES (it contains '>'); keep one molecule per row")
    if len(first) > 100 * max_atoms:  # spare the parser what cannot be a molecule of this size
        return Unreadable(f"too large: {len(first)} characters; the limit is {max_atoms} atoms (max_atoms)")
    if odd := next((letter for letter in first if not "!" <= letter <= "~"), None):  # RDKit may drop it unsaid
        what = "not ASCII" if ord(odd) > 127 else "no printable character"
        return Unreadable(f"unparsable: {odd!a} in {first!r:.60} is {what}; type it anew, in Latin letters")
    if first.startswith("InChI=") or _INCHI_KEY.fullmatch(first):
        kind = "an InChI" if first.startswith("InChI=") else "an InChIKey"
        return Unreadable(f"unparsable: {first!r:.60} is {kind}; give the SMILES of the molecule")
    with captured_log() as log:
        mol = Chem.MolFromSmiles(text)
    if mol is None:
        why = reason(log.messages)
        return Unreadable(f"unparsable: {why}" + (f" for {text!r:.60}" if why == NO_REASON else ""))
    return _without_maps(mol)


def _clean(mol: Chem.Mol) -> Chem.Mol | Unreadable:
    """A native molecule as if it had been read from SMILES: sanitised, hydrogens implicit."""
    with captured_log() as log:
        try:
            return _without_maps(Chem.RemoveHs(mol))
        except (ValueError, RuntimeError) as error:
            return Unreadable(f"unparsable: {reason(str(error) or log.messages)}")


def _without_maps(mol: Chem.Mol) -> Chem.Mol:
    """Atom map numbers are bookkeeping of reactions; they would make equal molecules differ."""
    for atom in mol.GetAtoms():
        if atom.GetAtomMapNum():
            atom.SetAtomMapNum(0)
    return mol


def _checked(mol: Chem.Mol, max_atoms: int) -> Chem.Mol | Unreadable:
    n = mol.GetNumAtoms()
    if n == 0:
        return Unreadable("no atoms")
    if n > max_atoms:
        return Unreadable(f"too large: {n} atoms; the limit is {max_atoms} (max_atoms)")
    if mol.GetNumConformers() and mol.GetConformer().Is3D():
        xyz = mol.GetConformer().GetPositions()
        if not np.isfinite(xyz).all():
            return Unreadable("coordinates are not finite")
        i, j = _nearest_pair(xyz)
        if i != j and np.linalg.norm(xyz[i] - xyz[j]) < _SMALLEST_DISTANCE:
            return Unreadable(f"atoms {i} and {j} lie within {_SMALLEST_DISTANCE} Å; correct the coordinates")
    return mol


def _nearest_pair(xyz: np.ndarray) -> tuple[int, int]:
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    i, j = divmod(int(distance.argmin()), len(xyz))
    return i, j


def _table(source: Any, id: str | None, targets: Sequence[Target], file_options: dict[str, Any]) -> pd.DataFrame:
    if unknown := sorted(file_options.keys() - set(FILE_OPTIONS)):
        raise ValueError(f"no option {unknown[0]!r} of the reader; options: smiles, id, {', '.join(FILE_OPTIONS)}")
    if isinstance(source, Path) or (isinstance(source, str) and names_file(source, SUFFIXES)):
        classes = [target.name for target in targets if target.classes]
        return load_table(source, text=[*classes, *([id] if id else [])], **file_options)
    given = [name for name, value in file_options.items() if value is not None]
    if given:
        raise ValueError(f"{', '.join(given)} can only be given for a file, got {type(source).__name__}")
    return in_memory(
        source, "SMILES", (str, Chem.Mol), lambda cells: pd.DataFrame({"smiles": pd.Series(cells, dtype=object)})
    )


def _structure_column(table: pd.DataFrame, smiles: str | None) -> str:
    names = [str(name) for name in table.columns]
    if smiles is not None:
        return find_column(names, smiles, "SMILES")
    native = [name for name in names if table[name].map(lambda cell: isinstance(cell, Chem.Mol | Unreadable)).any()]
    exact = [name for name in names if name.strip().lower() == "smiles"]
    likely = [name for name in names if name.strip().lower() in SMILES_NAMES]
    for found in (native, exact, likely):
        if len(found) == 1:
            return found[0]
    if likely or native:
        several = ", ".join(native or likely)
        raise ValueError(f"several columns may hold the structures: {several}; name one {_NAMING}")
    raise ValueError(f"no column is known to hold SMILES; name it {_NAMING}; columns: {listed(names)}")
