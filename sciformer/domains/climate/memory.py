"""How long a series remembers, and what that says of the steps that nobody saw: kriging along time.

Anomalies are taken for a random function whose increments alone are known (Matheron 1963, Econ. Geol. 58, 1246): the
variogram is measured on the training part, gaps and all. The best linear answer to a missing step follows from
whatever was observed, however unevenly, with its standard error: nothing is filled in, and nothing is learned.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import cho_factor, cho_solve

WEAK, STRONG = 1.0, 10.0
"""Variance of the unknown level of a record, in sills of the variogram, to choose from: nearly none, so that forecasts
fall back to the normal, or so much that they stay where the record is."""
NUGGETS = (0.02, 0.1, 0.4)
"""Shares of the variance of one step's change that are taken for noise, to choose from."""
REACHES = (4, 16, 64)
"""Steps from a question within which observations are asked, to choose from beside all: a covariance that was measured
on a short series is chance at long lags."""
LEAST = 4
"""Nearest observations that are asked however far away they are."""
TRIALS = 48
"""Windows of the training part on which is chosen."""
ROOM = 2**25
"""Bytes of solutions that are kept of each variable, if all are as large as the last."""
FEWEST = 30
"""Pairs of observations that a lag needs to be measured."""


@dataclass(frozen=True)
class Memory:
    """Covariance of a variable's anomalies (in their standard deviations) at lags of 0, 1, 2, ... steps."""

    covariance: Float[np.ndarray, " lags"]
    nugget: float
    reach: float | int
    """Steps."""

    def at(self, lag: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
        """Between whole steps, linear; beyond the longest lag, as there."""
        return np.interp(np.abs(lag), np.arange(len(self.covariance)), self.covariance)

    def krige(
        self, seen: Float[np.ndarray, " n"], values: Float[np.ndarray, "n k"], asked: Float[np.ndarray, " q"]
    ) -> tuple[Float[np.ndarray, "q k"], Float[np.ndarray, " q"]]:
        """Mean and standard error at the moments ``asked`` (in steps) of ``k`` series that were all observed at the
        moments ``seen``."""
        near = self._near(seen, asked)
        seen, values = seen[near], values[near]
        if not len(seen):
            return np.zeros((len(asked), values.shape[1])), np.full(len(asked), np.sqrt(self.covariance[0]))
        weights, error = self._solution(seen, asked)
        return weights @ values, error

    def _solution(
        self, seen: Float[np.ndarray, " n"], asked: Float[np.ndarray, " q"]
    ) -> tuple[Float[np.ndarray, "q n"], Float[np.ndarray, " q"]]:
        """Weight of each observation in each answer, and standard errors. The last ones are kept: series without gaps
        are asked the same over and over."""
        key = len(seen), np.round(np.concatenate([seen, asked]) - seen[0], 6).tobytes()
        found = self._solutions.pop(key, None) or self._solved(seen, asked)
        self._solutions[key] = found
        while len(self._solutions) > max(ROOM // max(found[0].nbytes, 1), 1):
            self._solutions.pop(next(iter(self._solutions)), None)
        return found

    def _solved(
        self, seen: Float[np.ndarray, " n"], asked: Float[np.ndarray, " q"]
    ) -> tuple[Float[np.ndarray, "q n"], Float[np.ndarray, " q"]]:
        between = self.at(seen[:, None] - seen[None]) + (self.nugget + 1e-8 * self.covariance[0]) * np.eye(len(seen))
        across = self.at(seen[:, None] - asked[None])
        weights = cho_solve((_factor(between), True), across, check_finite=False).T
        variance = self.covariance[0] + self.nugget - (weights * across.T).sum(1)
        return weights, np.sqrt(np.maximum(variance, 1e-6 * self.covariance[0]))

    @functools.cached_property
    def _solutions(self) -> dict[tuple[int, bytes], tuple[np.ndarray, np.ndarray]]:
        """The oldest first."""
        return {}

    def _near(self, seen: Float[np.ndarray, " n"], asked: Float[np.ndarray, " q"]) -> Bool[np.ndarray, " n"]:
        """Which observations are asked."""
        if len(seen) <= LEAST or not len(asked):
            return np.ones(len(seen), dtype=bool)
        sorted_, place = np.sort(asked), np.searchsorted(np.sort(asked), seen)
        low, high = sorted_[np.maximum(place - 1, 0)], sorted_[np.minimum(place, len(asked) - 1)]
        away = np.minimum(np.abs(seen - low), np.abs(seen - high))
        return away <= max(self.reach, float(np.partition(away, LEAST - 1)[LEAST - 1]))


def _factor(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Cholesky; a covariance that was measured, and read between its lags, may need a little more on the diagonal."""
    extra = 0.0
    while True:
        try:
            return cho_factor(matrix + extra * np.eye(len(matrix)), lower=True, check_finite=False)[0]
        except np.linalg.LinAlgError:
            extra = max(10 * extra, 1e-6 * matrix[0, 0])


def variogram(
    series: Sequence[Float[np.ndarray, " n"]], longest: int
) -> tuple[Float[np.ndarray, " lags"], Float[np.ndarray, " lags"]]:
    """Half the mean square of what changes in 0, 1, ..., ``longest`` steps over all pairs of observations (NaN where
    there is none), and the number of pairs."""
    squares, pairs = np.zeros(longest + 1), np.zeros(longest + 1)
    for values in series:
        seen = np.isfinite(values)
        x = np.where(seen, values, 0.0)
        size = len(x) + longest + 1

        def correlate(a: np.ndarray, b: np.ndarray, size: int = size) -> np.ndarray:
            """Sum over i of a[i] b[i + lag]."""
            whole = np.fft.irfft(np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size), size)
            return whole[: longest + 1]

        m = seen.astype(float)
        squares += correlate(x**2, m) + correlate(m, x**2) - 2 * correlate(x, x)
        pairs += np.round(correlate(m, m))
    return np.maximum(squares, 0.0) / np.maximum(2 * pairs, 1), pairs


def fit(series: Sequence[Float[np.ndarray, " n"]], context: int, horizon: int) -> Memory:
    """The memory of a variable from its anomalies at regular steps (NaN where nothing was observed).

    Of a few levels and nuggets the pair is taken that forecasts windows of these series best, each seen from the half
    of its series in which it does not lie: what is normal in the years that were learned is not known of those to come.
    """
    gamma, pairs = variogram(series, context + horizon)
    known = np.flatnonzero(pairs >= FEWEST)
    if len(known) < 2:
        return Memory(np.concatenate([[1.0], np.zeros(context + horizon)]), 0.1, context)
    gamma = np.interp(np.arange(len(gamma)), known, gamma[known])
    windows = _windows(series, context, horizon)
    noise = max(float(gamma[1]), 1e-4)
    covariances = [_positive(max(gamma.max(), 1e-6) * level - gamma) for level in (WEAK, STRONG)]
    choices = [Memory(c, share * noise, context + horizon) for c in covariances for share in NUGGETS]
    best = min(choices, key=lambda memory: _loss(memory, windows, context))
    reaches = [best, *(replace(best, reach=reach) for reach in REACHES if reach < context)]
    return min(reaches, key=lambda memory: _loss(memory, windows, context))


def _positive(covariance: Float[np.ndarray, " lags"]) -> Float[np.ndarray, " lags"]:
    """The nearest covariance that a random function can have: no frequency has a negative power."""
    whole = np.concatenate([covariance, covariance[-2:0:-1]])
    power = np.maximum(np.fft.rfft(whole).real, 0.0)
    return np.fft.irfft(power, len(whole))[: len(covariance)]


def _windows(
    series: Sequence[Float[np.ndarray, " n"]], context: int, horizon: int
) -> list[Float[np.ndarray, " steps"]]:
    size, every = context + horizon, max(horizon // 8, 1)
    places = [(i, j) for i, values in enumerate(series) for j in range(0, max(len(values) - size, 0) + 1, every)]
    rng, out = np.random.default_rng(0), []
    for i, start in (places[k] for k in rng.permutation(len(places))[:TRIALS]):
        half = len(series[i]) // 2
        other = series[i][half:] if start + size / 2 < half else series[i][:half]
        level = other[np.isfinite(other)].mean() if np.isfinite(other).any() else 0.0
        out.append(series[i][start : start + size] - level)
    return out


def _loss(memory: Memory, windows: Sequence[Float[np.ndarray, " steps"]], context: int) -> float:
    """Mean negative log likelihood of what came after the context, step by step."""
    losses = []
    for window in windows:
        step = np.arange(len(window), dtype=float)
        seen = np.isfinite(window) & (step < context)
        asked = np.isfinite(window) & (step >= context)
        if asked.any():
            mean, error = memory.krige(step[seen], window[seen, None], step[asked])
            losses.append(np.mean(((window[asked] - mean[:, 0]) / error) ** 2 / 2 + np.log(error)))
    return float(np.mean(losses)) if losses else 0.0
