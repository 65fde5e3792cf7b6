"""Proper scoring rules of real answers, and what a measurement adds to an answer."""

import numpy as np
import torch
from jaxtyping import Float

from sciformer.distributions import Gaussian, Quantiles, Real

STEPS = 100
"""Levels, evenly spaced, at which answers of other families than the Gaussian are scored."""
AT_ONCE = 50_000
"""Answers whose quantiles at all levels are held in memory together."""


def crps(answer: Real, truth: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Continuous ranked probability score, in the unit of the answers.

    Of a Gaussian in closed form (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102, 359, section 4.2). Of any other
    family twice the pinball loss, averaged over evenly spaced levels: over the uneven ones of ``Quantiles`` the average
    would be a third too low, and no family may look better than another by how it is written down.
    """
    from scoringrules import crps_normal, crps_quantile

    if isinstance(answer, Gaussian):
        return crps_normal(truth, answer.mean.double().numpy(), answer.std.double().numpy())
    levels = (np.arange(STEPS) + 0.5) / STEPS
    below, above = zip(*(answer.interval(float(1 - 2 * p)) for p in levels[: STEPS // 2]), strict=True)
    bounds = [*below, *reversed(above)]
    scores = []
    for start in range(0, len(truth), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        values = torch.stack([bound[rows] for bound in bounds], -1).double().numpy()
        scores.append(crps_quantile(truth[rows], values, levels))
    return np.concatenate([np.empty(0), *scores])


def measured(answer: Real, error: Float[np.ndarray, " n"]) -> Real:
    """What a measurement would give: the answer, scattered by the error (one sigma) of each observation. Quantiles move
    away from the median as those of a Gaussian would."""
    sigma = torch.tensor(error)
    if isinstance(answer, Gaussian):
        return Gaussian(answer.mean.double(), torch.hypot(answer.std.double(), sigma).clamp(min=1e-12))
    assert isinstance(answer, Quantiles)
    values = answer.values.double()
    normal = torch.special.ndtri(values.new_tensor(answer.LEVELS))
    away = torch.hypot(values - answer.mean.double()[:, None], normal * sigma[:, None])
    return Quantiles(answer.mean.double()[:, None] + normal.sign() * away)
