"""Gaps as instruments make them, for training: single steps that are lost, and failures that last."""

from collections.abc import Collection

import numpy as np
import torch

from sciformer.domains.climate.series import Series
from sciformer.domains.climate.tokenizer import Layout
from sciformer.tokens import Tokens

PROBABILITY = 0.5
"""That a window is given gaps at all."""
MOST = 0.7
"""Largest share of the steps that is lost."""


def augment(tokens: Tokens, layout: Layout, rng: np.random.Generator) -> Tokens:
    """The same window with a random share of its numbers lost, one by one or whole tokens at a time; at least one token
    keeps what it has."""
    if rng.random() > PROBABILITY or not tokens.size:
        return tokens
    share, part = MOST * rng.random(), layout.part(0)
    shape = (tokens.size, layout.size) if rng.random() < 0.5 else (tokens.size, 1)
    lost = torch.from_numpy(np.broadcast_to(rng.random(shape) < share, (tokens.size, layout.size)).copy())
    lost[int(rng.integers(tokens.size))] = False
    values, observed = tokens.values.clone(), tokens.observed.clone()
    observed[:, part] &= ~lost
    values[:, part] = values[:, part].masked_fill(~observed[:, part], 0.0)
    return tokens.replace(values=values, observed=observed)


def thinned(series: Series, keep: float, known: Collection[str], rng: np.random.Generator) -> Series:
    """The series as if only a random share of its values had been measured; variables that are ``known`` beforehand
    stay as they are."""
    series = series.loaded()
    kept = rng.random(series.values.shape) < keep
    kept |= np.isin([variable.name for variable in series.variables], list(known))
    return series.replaced(values=np.where(kept, series.values, np.nan))
