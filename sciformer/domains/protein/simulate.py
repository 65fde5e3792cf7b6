"""Simulated proteins with simulated properties, for demonstrations and tests without a download.

Nothing here was measured. Families of sequences descend from random ancestors by substitutions as BLOSUM62 expects them
and by a few insertions and deletions; the properties are those that Bio.SeqUtils.ProtParam computes from a sequence,
plus noise of known size, so the best reachable error is known too.
"""

from typing import Any

import numpy as np
import pandas as pd
from Bio.Align import substitution_matrices
from Bio.SeqUtils.ProtParam import ProteinAnalysis
from jaxtyping import Float, Int
from scipy.optimize import root_scalar

from sciformer.domains.protein.alphabet import STANDARD
from sciformer.tokens import Target

TARGETS = (
    Target("isoelectric_point", unit="pH"),
    Target("hydropathy"),
    Target("stability", kind="binary", classes=("unstable", "stable")),
)
"""The property columns of ``simulate``."""

NOISE = {"isoelectric_point": 0.3, "hydropathy": 0.05}
"""Standard deviation of the noise."""
MISSING = 0.15
"""Fraction of the ``stability`` answers that is left empty."""
FAMILIES = 20
SHORTEST, LONGEST = 60, 200
BRANCH = 0.12
"""Mean share of the sites that are substituted from a sequence to its descendant."""
INDELS = 0.01
"""Expected insertions and deletions per site and branch, relative to its length."""


def simulate(n: int, seed: int) -> pd.DataFrame:
    """A table of ``n`` simulated proteins of 60 to 200 residues with simulated properties.

    Columns: ``id``; ``sequence``; ``family``, whose members descend from one ancestor; ``isoelectric_point`` (pH);
    ``hydropathy``, the mean of Kyte and Doolittle's scale (J. Mol. Biol. 1982, 157, 105); ``stability``, drawn with
    probability sigmoid((40 - I) / 4) of the instability index I of Guruprasad et al. (Protein Eng. 1990, 4, 155), 15 %
    of them empty. The same ``(n, seed)`` gives the same table, and a smaller ``n`` gives its first rows.
    Raises ``ValueError`` for ``n`` below 1.
    """
    if n < 1:
        raise ValueError(f"the number of simulated proteins must be at least 1, got {n}")
    # Separate streams, each drawn in row order: the first rows do not depend on how many follow.
    descent, noise, stable, missing = np.random.default_rng(seed).spawn(4)
    families, sequences = _descent(n, descent)
    proteins = [ProteinAnalysis(sequence) for sequence in sequences]
    instability = np.array([protein.instability_index() for protein in proteins])
    labels = np.where(stable.random(n) < 1 / (1 + np.exp((instability - 40) / 4)), "stable", "unstable")
    errors = noise.standard_normal((n, len(NOISE))) * list(NOISE.values())
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(1, n + 1)],
            "sequence": sequences,
            "family": families,
            "isoelectric_point": np.array([protein.isoelectric_point() for protein in proteins]) + errors[:, 0],
            "hydropathy": np.array([protein.gravy() for protein in proteins]) + errors[:, 1],
            "stability": pd.Series(labels).mask(missing.random(n) < MISSING),
        }
    ).round({"isoelectric_point": 2, "hydropathy": 3})


def _descent(n: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Families and sequences: each sequence descends from any earlier one of its family (a random recursive tree)."""
    background, conditional = blosum()
    letters = np.array(list(STANDARD))
    known: dict[int, list[np.ndarray]] = {}
    families, sequences = [], []
    for _ in range(n):
        family = int(rng.integers(FAMILIES))
        members = known.setdefault(family, [])
        if members:
            member = descendant(members[rng.integers(len(members))], background, conditional, rng)
        else:
            member = rng.choice(len(STANDARD), size=int(rng.integers(SHORTEST + 10, LONGEST - 10)), p=background)
        members.append(member)
        families.append(f"family {family + 1}")
        sequences.append("".join(letters[member]))
    return families, sequences


def descendant(
    parent: Int[np.ndarray, " n"],
    background: Float[np.ndarray, " 20"],
    conditional: Float[np.ndarray, "20 20"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " m"]:
    """A sequence (indices into ``STANDARD``) at the end of a branch of random length."""
    length = rng.exponential(BRANCH) + BRANCH / 4
    touched = rng.random(len(parent)) < length
    drawn = (rng.random(len(parent))[:, None] > conditional.cumsum(axis=1)[parent]).sum(axis=1)
    child = np.where(touched, np.minimum(drawn, len(STANDARD) - 1), parent)
    for _ in range(rng.poisson(INDELS * length / BRANCH * len(parent))):
        place, size = int(rng.integers(len(child))), int(rng.geometric(0.5))
        if rng.random() < 0.5 and len(child) - size >= SHORTEST:
            child = np.delete(child, slice(place, place + size))
        elif len(child) + size <= LONGEST:
            child = np.insert(child, place, rng.choice(len(STANDARD), size=size, p=background))
    return child


def blosum() -> tuple[Float[np.ndarray, " 20"], Float[np.ndarray, "20 20"]]:
    """Background frequencies p, and for each residue the probabilities of what stands in its place in a relative.

    A matrix of log odds S implies both (Yu, Wootton and Altschul 2003, PNAS 100, 15688): the joint frequencies
    p_a p_b exp(lambda S_ab) must have the marginals p, so sum_b p_b exp(lambda S_ab) = 1 for every a, and p sums to 1.
    """
    matrix: Any = substitution_matrices.load("BLOSUM62")
    chosen = [matrix.alphabet.index(letter) for letter in STANDARD]
    scores = np.asarray(matrix)[np.ix_(chosen, chosen)]

    def frequencies(scale: float) -> np.ndarray:
        return np.linalg.solve(np.exp(scale * scores), np.ones(len(STANDARD)))

    scale = root_scalar(lambda x: frequencies(x).sum() - 1, bracket=(0.2, 0.5)).root
    background = frequencies(scale)
    return background, background * np.exp(scale * scores)
