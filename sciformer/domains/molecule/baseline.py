"""The classical models that stand beside the transformer on molecules."""

import contextlib
from collections.abc import Sequence

import joblib
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt32
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors

from sciformer.adapter import Baseline, Record
from sciformer.domains.molecule.similarity import BITS, morgan

MAX_ATOMS = 512
"""Larger molecules have no descriptors: several take time cubic in the number of atoms (minutes at 3000)."""

MAX_ATOMS_QUARTIC = 128
"""The same for ``Ipc`` and ``AvgIpc``, whose time grows with the fourth power."""


def baselines() -> tuple[Baseline, ...]:
    return (
        Baseline("RDKit descriptors + gradient boosting", descriptor_matrix, "gradient_boosting"),
        Baseline("Morgan fingerprint + random forest", count_matrix, "random_forest"),
    )


def descriptor_matrix(records: Sequence[Record]) -> Float[np.ndarray, "n k"]:
    """All of ``rdkit.Chem.Descriptors`` in its order; NaN where a descriptor is undefined or over float32."""
    with rdBase.BlockLogs():
        rows = [_descriptors(record.data) for record in records]
    matrix = np.array(rows, np.float64).reshape(len(records), len(Descriptors.descList))
    matrix[~(np.abs(matrix) < np.finfo(np.float32).max)] = np.nan
    return matrix


def descriptor_table(records: Sequence[Record]) -> pd.DataFrame:
    """The same with names, computed on all cores: of a hundred thousand molecules it takes minutes."""
    size = 500
    parts = joblib.Parallel(n_jobs=-1)(
        joblib.delayed(descriptor_matrix)(records[i : i + size]) for i in range(0, len(records), size)
    )
    names = [name for name, _ in Descriptors.descList]
    tables = [pd.DataFrame(part, columns=names) for part in (descriptor_matrix([]), *parts)]
    return pd.concat(tables, ignore_index=True)


def count_matrix(records: Sequence[Record]) -> UInt32[np.ndarray, "n 2048"]:
    """Counts of the Morgan environments; all 0 for an unreadable record.

    Counts, not bits: a forest on bits cannot see the size of a molecule and nearly doubles its error on ESOL.
    """
    generator = morgan()
    rows = [generator.GetCountFingerprintAsNumPy(Chem.Mol() if r.data is None else r.data) for r in records]
    return np.array(rows, np.uint32).reshape(len(records), BITS)


def _descriptors(mol: Chem.Mol | None) -> list[float]:
    atoms = 0 if mol is None else mol.GetNumAtoms()
    row = [np.nan] * len(Descriptors.descList)
    if not 0 < atoms <= MAX_ATOMS:
        return row
    for i, (name, function) in enumerate(Descriptors.descList):
        if atoms > MAX_ATOMS_QUARTIC and name in ("Ipc", "AvgIpc"):
            continue
        # descriptors raise whatever their code meets on unusual elements: undefined there
        with contextlib.suppress(Exception):
            row[i] = float(function(mol))
    return row
