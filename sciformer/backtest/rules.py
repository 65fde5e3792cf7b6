"""Proper scoring rules of real answers."""

import numpy as np
import torch
from jaxtyping import Float

from sciformer.distributions import Gaussian, Real

STEPS = 100
"""Levels, evenly spaced, at which answers of other families than the Gaussian are scored."""
AT_ONCE = 50_000
"""Answers whose quantiles at all levels are held in memory together."""


def crps(
    answer: Real,
    truth: Float[np.ndarray, " n"],
    lower: Float[np.ndarray, " n"] | float = -np.inf,
    upper: Float[np.ndarray, " n"] | float = np.inf,
) -> Float[np.ndarray, " n"]:
    """Continuous ranked probability score, in the unit of the answers. What is said to lie beyond ``lower`` or
    ``upper``, between which the truth is, counts as at the limit.

    Of a Gaussian in closed form (Jordan et al. 2019, J. Stat. Softw. 90(12), censored normal). Of any other family
    twice the pinball loss, averaged over evenly spaced levels: over the uneven ones of ``Quantiles`` the average would
    be a third too low, and no family may look better than another by how it is written down.
    """
    from scoringrules import crps_cnormal, crps_quantile

    if isinstance(answer, Gaussian):
        mean, std = answer.mean.double().numpy(), answer.std.double().numpy()
        return np.asarray(crps_cnormal(truth, mean, std, lower, upper))
    low, high = (np.broadcast_to(bound, truth.shape) for bound in (lower, upper))
    levels = (np.arange(STEPS) + 0.5) / STEPS
    below, above = zip(*(answer.interval(float(1 - 2 * p)) for p in levels[: STEPS // 2]), strict=True)
    bounds = [*below, *reversed(above)]
    scores = []
    for start in range(0, len(truth), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        values = torch.stack([bound[rows] for bound in bounds], -1).double().numpy()
        values = values.clip(low[rows, None], high[rows, None])
        scores.append(crps_quantile(truth[rows], values, levels))
    return np.concatenate([np.empty(0), *scores])
