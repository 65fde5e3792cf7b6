"""What is trained on what: one cell for each way, number of training records and seed."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sciformer.adapter import Record
from sciformer.comparison.options import ALL
from sciformer.data.splits import SplitConfig
from sciformer.tokens import Target

STEPS = 300
"""Optimiser steps that a small training set is given at most: as many as the whole part would get, fewer where these
are more, since a few records that are read a thousand times are learned by heart, whatever a model started from."""
_FIXED = ("column", "file", "time")
"""Kinds of splits that do not depend on chance."""


@dataclass(frozen=True)
class Fold:
    """The split of one seed, by the keys of the records."""

    seed: int
    """Of the recipe."""
    train: tuple[str, ...]
    order: tuple[str, ...]
    """The training part in an order of which every beginning is a fair sample."""
    validation: tuple[str, ...]
    held: tuple[str, ...]
    """Validation and calibration part together, on which the best classical baseline is chosen."""
    test: tuple[str, ...]

    def first(self, count: int) -> list[str]:
        """So many training records, in the order of the table; fewer of them are among more."""
        chosen = set(self.order[:count])
        return [key for key in self.train if key in chosen]


@dataclass(frozen=True)
class Cell:
    """One training: a way (a mode, or the name of a baseline), so many training records, a fold by its place."""

    way: str
    size: str
    records: int
    fold: int
    classical: bool = False


def drawn(split: SplitConfig) -> bool:
    """Whether a seed changes the split."""
    return split.kind not in _FIXED and (split.kind == "random" or split.order != "deepchem")


def split_of(split: SplitConfig, place: int) -> SplitConfig:
    """That of the fold at a place: another draw, where it is drawn."""
    return replace(split, seed=split.seed + place) if drawn(split) else split


def nested(records: Sequence[Record], targets: Sequence[Target], seed: int) -> list[str]:
    """Keys of the records in a random order of which every beginning is a fair sample: the classes of all targets, and
    who has an answer to which of them, have in it the shares that they have in all (to within a record each).

    Systematic sampling: the records of a stratum lie evenly over the order, from an offset drawn for each stratum.
    """
    rng = np.random.default_rng(seed)
    strata: dict[tuple[float, ...], list[str]] = defaultdict(list)
    for i in rng.permutation(len(records)):
        strata[_stratum(records[i], targets)].append(records[i].key)
    places: dict[str, float] = {}
    for keys, offset in zip(strata.values(), rng.random(len(strata)), strict=True):
        places |= {key: (place + offset) / len(keys) for place, key in enumerate(keys)}
    return sorted(places, key=places.__getitem__)


def _stratum(record: Record, targets: Sequence[Target]) -> tuple[float, ...]:
    """The class of each target, 0 for any number, -1 where it is unknown."""
    return tuple(
        float(record.targets.get(target.name, -1)) if target.classes else float(target.name in record.targets) - 1.0
        for target in targets
    )


def sizes_of(wanted: Sequence[str], folds: Sequence[Fold]) -> tuple[str, ...]:
    """The sizes that the training part of every fold has records for.

    Raises ``ValueError`` where there are none.
    """
    smallest = min(len(fold.train) for fold in folds)
    sizes = tuple(size for size in wanted if size == ALL or int(size) < smallest)
    if not sizes:
        raise ValueError(
            f"sizes must be below the {smallest} records of the training part, or all, got {', '.join(wanted)}"
        )
    return sizes


def cells_of(ways: Sequence[str], baselines: Sequence[str], sizes: Sequence[str], folds: Sequence[Fold]) -> list[Cell]:
    """Every way at every size in every fold; the longest first, so that no core has one left at the end."""
    every = [
        Cell(way, size, len(fold.train) if size == ALL else int(size), place, classical)
        for classical, named in ((False, ways), (True, baselines))
        for way in named
        for size in sizes
        for place, fold in enumerate(folds)
    ]
    return sorted(every, key=lambda cell: (cell.classical, -cell.records))


def epochs_of(asked: int, whole: int, each: int) -> int:
    """Epochs of a part of the training set, of which one has ``each`` steps, where the whole would be trained for
    ``asked`` epochs of ``whole`` steps in all: as many steps, but at most ``STEPS``, and no fewer epochs than asked."""
    return max(asked, math.ceil(min(whole, STEPS) / each))
