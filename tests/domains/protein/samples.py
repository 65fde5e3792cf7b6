"""Varied proteins for the laws of ``tests/contract.py``, and variants of one wild type."""

import numpy as np

from sciformer.adapter import Record
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.chains import BREAK, Chains
from sciformer.domains.protein.descriptors import DESCRIPTORS

WILD_TYPE = "MKTAYIAKQRQISFVK"
VARIANTS = (WILD_TYPE, "MKTAYIAKQRQISFVA", "MKTGYIAKQRWISFVK", "MKTAYIAKQRQISF*K", "AKTAYIXKQRQISFVK", "W" * 16)
ELSEWHERE = ("aligned", "describe")
"""Settings of reading and of fitting, which change no token."""
STATES = {"state": ["C", "E", "H"], "buried": ["0", "1"], "exposure": []}


def chains(residues: str, seed: int = 0, **known: object) -> Chains:
    """Residues with a number, C-alpha positions and answers of which some are unknown."""
    rng, n = np.random.default_rng(seed), len(residues)

    def some(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(n) < 0.3, np.nan, values)

    xyz = rng.normal(scale=8, size=(n, 3))
    xyz[rng.random(n) < 0.2] = np.nan
    return Chains(
        residues=residues,
        xyz=xyz,
        features={"conservation": some(rng.normal(size=n))},
        labels={
            "state": some(rng.integers(0, 3, n).astype(float)),
            "buried": some(rng.integers(0, 2, n).astype(float)),
            "exposure": some(rng.normal(size=n)),
        },
        **known,  # type: ignore[arg-type]
    )


def record(key: str, data: Chains) -> Record:
    return Record(key=key, data=data, group=data.residues)


def proteins() -> list[Record]:
    two = {
        "positions": np.array([0.0, 1, 2, 5, 6, 7 + BREAK, 8 + BREAK, 9 + BREAK, 10 + BREAK]),
        "numbers": ("1", "2", "3", "6", "6A", "1", "2", "3", "4"),
        "starts": (0, 5),
        "names": ("A", "B"),
    }
    nowhere = chains("MSTNPKPQ", 7)
    return [
        record("short", chains("MKV", 1)),
        record("one residue", chains("W", 2)),
        record("unusual letters", chains("MUXBZJO*AC", 3)),
        record("two chains and a gap", chains("GGSGGMKTA", 4, **two)),
        record("columns of an alignment", chains("ACDEF", 5, positions=np.array([3.0, 4, 8, 9, 30]))),
        record("no coordinates", Chains(residues="MSTNPKPQ", features=nowhere.features, labels=nowhere.labels)),
        record("longer", chains("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", 8)),
    ]


def variants() -> list[Record]:
    return [record(residues, chains(residues, i)) for i, residues in enumerate(VARIANTS)]


def records(adapter: Protein | None = None) -> list[Record]:
    """Variants for an adapter that has a wild type."""
    return variants() if adapter is not None and adapter.wild_type else proteins()


def adapters() -> list[Protein]:
    told = Protein(features=("conservation",), descriptors=DESCRIPTORS, labels=STATES, dropped=0.12)
    return [Protein(), told, Protein(wild_type=WILD_TYPE, features=("conservation",), labels=STATES)]
