"""What the protein domain calls its native data: the residues of one or several chains."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

BREAK = 100.0
"""Steps on the order axis between the end of a chain and the start of the next: too far to be neighbours."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chains:
    """Residues of one or several chains, end to end, upper case letters of ``alphabet.LETTERS``."""

    residues: str
    positions: Float[np.ndarray, " n"] | None = None
    """Places on the order axis where they are not 0, 1, 2, ...: columns of an alignment, gaps of a structure, and
    ``BREAK`` more from one chain to the next."""
    numbers: tuple[str, ...] = ()
    """What the residues are called in their source (``52A`` of a structure); by default counted on."""
    starts: tuple[int, ...] = (0,)
    """Place of the first residue of every chain."""
    names: tuple[str, ...] = ("",)
    """Of the chains."""
    xyz: Float[np.ndarray, "n 3"] | None = None
    """C-alpha positions in Å; NaN where there is none."""
    features: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)
    """Numbers per residue by name; NaN where unknown."""
    labels: Mapping[str, Float[np.ndarray, " n"]] = field(default_factory=dict)
    """Answers per residue by name: a number, or the index of a class; NaN where unknown or masked."""
    notes: tuple[str, ...] = ()
    """What the reader did that must be known, in words."""

    def __post_init__(self):
        n = len(self.residues)
        columns = {"positions": self.positions, "xyz": self.xyz, **self.features, **self.labels}
        for name, column in columns.items():
            if column is not None and len(column) != n:
                raise ValueError(f"{name!r} has {len(column)} entries for {n} residues")

    def __len__(self) -> int:
        return len(self.residues)

    @property
    def called(self) -> tuple[str, ...]:
        """What the residues are called."""
        return self.numbers or tuple(str(i + 1) for i in range(len(self)))

    @property
    def order(self) -> Float[np.ndarray, " n"]:
        """Places on the order axis."""
        return np.arange(len(self), dtype=np.float64) if self.positions is None else self.positions


def changes(residues: str, wild_type: str) -> list[int]:
    """Places where two sequences of one length differ."""
    left, right = (np.frombuffer(text.encode("ascii"), dtype=np.uint8) for text in (residues, wild_type))
    return np.flatnonzero(left != right).tolist()
