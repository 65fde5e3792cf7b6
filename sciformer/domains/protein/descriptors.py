"""Numbers about a whole sequence that no average over its residues tells at once (Bio.SeqUtils.ProtParam)."""

import math
from collections.abc import Sequence

import numpy as np
from Bio.SeqUtils.ProtParam import ProteinAnalysis
from jaxtyping import Float

from sciformer.domains.protein.alphabet import STANDARD

FRACTIONS = tuple(f"fraction {letter}" for letter in STANDARD)
DESCRIPTORS = ("log length", *FRACTIONS, "isoelectric point", "charge per residue", "instability")


def describe(residues: str, names: Sequence[str] = DESCRIPTORS) -> Float[np.ndarray, " k"]:
    """The descriptors of these names; NaN where a sequence has no standard residue."""
    standard = "".join(letter for letter in residues if letter in STANDARD)
    if not standard:
        return np.full(len(names), np.nan)
    protein = ProteinAnalysis(standard)
    known: dict[str, float] = {"log length": math.log(len(standard))}
    known |= {f"fraction {letter}": standard.count(letter) / len(standard) for letter in STANDARD}
    known["isoelectric point"] = protein.isoelectric_point()
    known["charge per residue"] = protein.charge_at_pH(7.0) / len(standard)
    known["instability"] = protein.instability_index()
    return np.array([known[name] for name in names])


def varying(sequences: Sequence[str]) -> tuple[str, ...]:
    """The descriptors that tell some of these sequences apart."""
    rows = np.array([describe(residues) for residues in sequences]).reshape(len(sequences), len(DESCRIPTORS))
    spread = np.nan_to_num(np.nanstd(rows, axis=0)) if len(rows) else np.zeros(len(DESCRIPTORS))
    return tuple(name for name, x in zip(DESCRIPTORS, spread, strict=True) if x > 1e-9)
