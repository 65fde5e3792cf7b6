"""Intervals that follow a drift: where those before held too few truths the next are wider, where too many narrower.

Conformal intervals hold for what is exchangeable with the calibration part, and a series that drifts is not. Adaptive
conformal inference (Gibbs & Candès 2021, arXiv:2106.00072) corrects them by what became of the last ones. Here the
width itself is corrected, as in the quantile tracker of conformal PID control (Angelopoulos et al. 2023,
arXiv:2307.16895, section 2.1): it cannot become infinite, and in the long run the share of truths outside is 1 - level
whatever the series does. That is a promise on average over time, not for each forecast.
"""

import math

import numpy as np
from jaxtyping import Float, Integer

from sciformer.calibration import LEVELS, IntervalCalibration, LeadCalibration, conformity
from sciformer.distributions import Real, take

RATE = 0.1
"""What one truth outside adds to the stretch of the next interval, in widths of the model's own interval."""


def track(
    scores: Float[np.ndarray, " n"],
    moment: Integer[np.ndarray, " n"],
    known: Float[np.ndarray, " n"],
    made: Float[np.ndarray, " m"],
    start: float,
    level: float,
    rate: float = RATE,
) -> Float[np.ndarray, " m+1"]:
    """The stretch of the interval at every moment ``made``, and after the last of them.

    A forecast made at one ``moment`` has an effect on the next when all of its truths are ``known``, and no earlier:
    forecasts that look far ahead teach late. ``scores``: the stretch that would just have held each truth
    (``calibration.conformity``).
    """
    out, missed, reach = np.full(len(made) + 1, start), np.zeros(len(made)), np.full(len(made), np.inf)
    waiting: list[int] = []
    stretch = start
    for t, now in enumerate([*made, np.inf]):
        told = [past for past in waiting if reach[past] <= now]
        waiting = [past for past in waiting if past not in told]
        for past in told:  # an interval narrower than a point does not exist
            stretch = max(stretch + rate * (missed[past] - (1 - level)), -0.5)
        out[t] = stretch
        rows = moment == t
        if rows.any():
            missed[t], reach[t] = (scores[rows] > stretch).mean(), known[rows].max()
            waiting.append(t)
    return out


def follow(
    start: LeadCalibration,
    answer: Real,
    truth: Float[np.ndarray, " n"],
    time: Float[np.ndarray, " n"],
    ahead: Float[np.ndarray, " n"],
    rate: float = RATE,
) -> tuple[Integer[np.ndarray, " n"], list[LeadCalibration]]:
    """The calibration with which each answer would have been given, had ``start`` followed the series.

    ``time`` is that of each truth, ``ahead`` how far before it the forecast was made. Returns the place of each answer
    in the list of calibrations; the last of these is the one after all truths.
    """
    made, moment = np.unique(np.round(time - ahead, 6), return_inverse=True)
    group = start.group_of(ahead)
    stretches = np.empty((len(made) + 1, len(start.groups), len(LEVELS)))
    for k, known in enumerate(start.groups):
        rows = np.flatnonzero(group == k)
        part, widest = take(answer, rows), 0.0
        for j, level in enumerate(LEVELS):
            first = known.stretch[level] if math.isfinite(known.stretch[level]) else widest
            widest = max(widest, first)
            scores = conformity(part, truth[rows], level)
            stretches[:, k, j] = track(scores, moment[rows], time[rows], made, first, level, rate)
    n = max(start.n, len(made))
    return moment, [
        LeadCalibration(
            start.edges, tuple(IntervalCalibration(n, dict(zip(LEVELS, row.tolist(), strict=True))) for row in step)
        )
        for step in stretches
    ]


def intervals(
    start: LeadCalibration,
    answer: Real,
    truth: Float[np.ndarray, " n"],
    time: Float[np.ndarray, " n"],
    ahead: Float[np.ndarray, " n"],
    level: float,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The bounds of each answer, from what was known when it was given and nothing else."""
    moment, known = follow(start, answer, truth, time, ahead)
    lower, upper = np.empty((2, len(truth)))
    for t in np.unique(moment):
        rows = np.flatnonzero(moment == t)
        lower[rows], upper[rows] = known[t].interval(take(answer, rows), level, ahead[rows])
    return lower, upper
