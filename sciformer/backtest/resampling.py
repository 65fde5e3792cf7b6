"""How far a mean is known: the bootstrap, over blocks where neighbours are alike."""

import math

import numpy as np
import pandas as pd
from jaxtyping import Float

from sciformer.evaluation import RESAMPLES


def resampled(values: "pd.Series[float]", seed: int, block: int = 1) -> Float[np.ndarray, " r"]:
    """The mean of all values, and of values drawn with replacement; the same seed draws the same places.

    ``block`` values in a row, from any place on and around the end, are drawn together (Künsch 1989, Ann. Stat. 17,
    1217; Politis & Romano 1992, the circular block bootstrap): single draws from a series whose neighbours are alike
    would make the mean look better known than it is. 1 is the plain bootstrap.
    """
    n = len(values)
    starts = np.random.default_rng(seed).integers(0, n, (RESAMPLES, math.ceil(n / block)))
    drawn = (starts[..., None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :n] % n
    return values.to_numpy()[np.vstack([np.arange(n), drawn])].mean(1)


def summary(draw: Float[np.ndarray, " r"]) -> tuple[float, float, float]:
    """Value and 95 % interval of what ``resampled`` gives."""
    lower, upper = np.quantile(draw[1:], [0.025, 0.975])
    return float(draw[0]), float(lower), float(upper)


def block_length(spans: Float[np.ndarray, "n 3"]) -> int:
    """Moments in a block, of windows with these ``Record.span``: as many as begin within the horizon of one of them,
    since their questions overlap, and no fewer than the cube root of their number, which covers the memory of weather
    as the series grows (Hall, Horowitz & Jing 1995, Biometrika 82, 561); at most half of all."""
    moments = np.unique(spans[:, 1])
    if len(moments) < 4:
        return 1
    overlap = math.floor(np.max(spans[:, 2] - spans[:, 1]) / np.median(np.diff(moments)) + 1e-6) + 1
    return min(max(overlap, math.ceil(len(moments) ** (1 / 3) - 1e-9)), len(moments) // 2)
