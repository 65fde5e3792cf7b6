"""Forecasts beyond the longest horizon: paths that are continued by draws from what is answered to each of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtri

from sciformer.adapter import Record
from sciformer.calibration import LEVELS
from sciformer.distributions import Real
from sciformer.questions import QUANTILES, Case, asked, limits

if TYPE_CHECKING:
    from sciformer.forecaster import Forecaster

SHARES = np.array([*((1 - level) / 2 for level in LEVELS[::-1]), 0.5, *((1 + level) / 2 for level in LEVELS)])
"""Of truths that should lie below: where calibrated answers are known."""
EVEN = (np.arange(40) + 0.5) / 40
"""Shares at which the answers to several paths are laid together."""
PART = 4096
"""Questions at once."""

Curves = Float[np.ndarray, "paths q shares"]
"""Of the questions about one record, the answers to each of its paths at the ``SHARES``."""


def stages(
    forecaster: "Forecaster", records: Sequence[Record], samples: int, rng: np.random.Generator, level: float
) -> Iterator[tuple[list[Case], pd.DataFrame, Mapping[str, np.ndarray]]]:
    """Stage by stage the questions about each record, where they lie, and the columns of ``Forecaster.forecast`` for
    all paths together: 1. ask every path for its next horizon; 2. tell what all say; 3. continue each by a draw."""
    adapter, paths, first = forecaster.adapter, [[record] for record in records], True
    while True:
        later = [adapter.questions(some[0]) for some in paths]
        each = [asked(adapter, [(some[0], ask)]) for some, ask in zip(paths, later, strict=True)]
        every = pd.concat([x for x, some in zip(each, paths, strict=True) for _ in some], ignore_index=True)
        answer = forecaster.answer([(path, ask) for some, ask in zip(paths, later, strict=True) for path in some])
        ends = np.cumsum([len(x) * len(some) for x, some in zip(each, paths, strict=True)])[:-1]
        parts = np.split(curves(forecaster, answer, every), ends)
        known = [part.reshape(len(some), -1, len(SHARES)) for part, some in zip(parts, paths, strict=True)]
        columns = forecaster.columns(answer, every, level) if first else together(known, level)
        where = pd.concat([x.assign(case=i) for i, x in enumerate(each)], ignore_index=True)
        yield list(zip(records, later, strict=True)), where, columns
        for i, (record, ask, curve) in enumerate(zip(records, later, known, strict=True)):
            drawn = read(curve, adapter.shares(record, ask, samples, rng))
            old = paths[i] * samples if first else paths[i]
            paths[i] = [adapter.continued(path, ask, x) for path, x in zip(old, drawn, strict=True)]
        first = False


def curves(forecaster: "Forecaster", answer: Real, asked: pd.DataFrame) -> Float[np.ndarray, "q shares"]:
    """Calibrated quantiles of each answer."""
    middle = np.clip(answer.mean.double().cpu().numpy(), *limits(forecaster.adapter, asked))
    lower, upper = zip(*(forecaster.interval(answer, asked, level) for level in LEVELS), strict=True)
    return np.sort(np.stack([*lower[::-1], middle, *upper], axis=-1), axis=-1)


def read(curves: Curves, shares: Float[np.ndarray, "samples q"]) -> Float[np.ndarray, "samples q"]:
    """Quantiles at any shares: straight between those that are known by normal scores, so that a Gaussian is read
    exactly; the outermost beyond them. Where there is one path, all samples are read from it."""
    scores, wanted = ndtri(SHARES), ndtri(np.clip(shares, SHARES[0], SHARES[-1]))
    right = np.clip(np.searchsorted(scores, wanted), 1, len(scores) - 1)
    path, question = np.ix_(np.arange(len(shares)) % len(curves), np.arange(shares.shape[1]))
    low, high = curves[path, question, right - 1], curves[path, question, right]
    return low + (wanted - scores[right - 1]) / (scores[right] - scores[right - 1]) * (high - low)


def together(known: Sequence[Curves], level: float) -> dict[str, np.ndarray]:
    """Columns of ``Forecaster.forecast`` for the mixture of the answers to all paths; ``mean`` is its median."""
    wanted = {"mean": 0.5, "lower": (1 - level) / 2, "upper": (1 + level) / 2, **{f"q{p:g}": p for p in QUANTILES}}
    told = []
    for curve in known:
        for part in np.array_split(curve, -(-curve.shape[1] // PART), axis=1):
            drawn = [read(part, np.full(part.shape[:2], share)) for share in EVEN]
            told.append(np.quantile(np.concatenate(drawn), list(wanted.values()), axis=0))
    return dict(zip(wanted, np.concatenate(told, axis=1), strict=True))
