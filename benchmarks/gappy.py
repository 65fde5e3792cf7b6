"""Values lost as instruments lose them, for the gap tables of climate series."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from sciformer.domains.climate.series import Series

KINDS = ("random", "blocks")
OUTAGE = 24
"""Steps that one outage of a variable lasts."""


def lose(series: Series, share: float, kind: str, seed: int) -> Series:
    """The series without a share of its numbers: one by one, or in outages of ``OUTAGE`` steps of one variable at one
    cell. The same seed loses the same numbers."""
    if not share:
        return series
    rng, values = np.random.default_rng((seed, KINDS.index(kind))), np.asarray(series.values)
    gone = rng.random(values.shape) < share if kind == "random" else outages(values.shape, share, rng)
    return dataclasses.replace(series, values=np.where(gone, np.nan, values).astype(np.float32))


def losses(shares: Sequence[float]) -> list[tuple[float, str]]:
    """Every share, and every kind of it where anything is lost."""
    return [(share, kind) for share in shares for kind in (KINDS if share else ("",))]


def outages(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """Steps are cut into pieces of an outage's length from a random moment on, and a share of the pieces is lost."""
    pieces = -(-shape[0] // OUTAGE) + 1
    lost = np.repeat(rng.random((pieces, *shape[1:])) < share, OUTAGE, axis=0)
    start = int(rng.integers(OUTAGE))
    return lost[start : start + shape[0]]


def filled(values: np.ndarray) -> np.ndarray:
    """Gaps in straight lines, ends as the nearest value, per line of [steps, lines]; 0 where nothing is known."""
    out, step = np.array(values, dtype=float), np.arange(len(values))
    for line in out.T:
        known = np.flatnonzero(np.isfinite(line))
        line[:] = np.interp(step, known, line[known]) if len(known) else 0.0
    return out
