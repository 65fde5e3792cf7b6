"""Similarity of molecules: Tanimoto on Morgan fingerprints (J. Chem. Inf. Model. 2010, 50, 742)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from sciformer.adapter import Record

RADIUS = 2
BITS = 2048


def morgan() -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)


def nearest(
    queries: Sequence[Record], references: Sequence[Record]
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Tanimoto similarity (0..1) of each query to its nearest reference, and the index of that reference.

    The first of equally near references is named. Without references, similarity is 0 and the index -1.
    A molecule without any bit (no atoms, unreadable) has similarity 0 to everything. Memory grows with the
    number of queries plus that of references, not with their product.
    """
    similarity, index = np.zeros(len(queries)), np.full(len(queries), -1)
    if len(references) == 0:
        return similarity, index
    known = _fingerprints(references)
    for i, query in enumerate(_fingerprints(queries)):
        row = np.asarray(DataStructs.BulkTanimotoSimilarity(query, known))
        index[i] = row.argmax()
        similarity[i] = row[index[i]]
    return similarity, index


def _fingerprints(records: Sequence[Record]) -> list[DataStructs.ExplicitBitVect]:
    generator = morgan()
    return [generator.GetFingerprint(Chem.Mol() if r.data is None else r.data) for r in records]
