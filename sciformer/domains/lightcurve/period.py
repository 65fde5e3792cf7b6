"""The period of a light curve from its own observations: of the Lomb-Scargle peaks the one at which it folds best.

Written against light-curve 0.13. Nothing here knows the absolute time.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Shaped

FEWEST = 5
"""A band with fewer points is summarised by its level alone; twice as many are needed for a period."""
HIGHEST = 24.0
"""Highest frequency of the period search, per day; lower for records of many years, whose grid would be too long."""
OVERSAMPLING = 3
LONGEST_GRID = 2**17
PEAKS = 5
HARMONICS = 4

Points = Float[np.ndarray, " n"]
Merged = Float[np.ndarray, " m"]


class Periodograms:
    """Fast unweighted periodograms, which take longer to set up than to use; made once for many curves."""

    def __init__(self):
        self._made: dict[int, Any] = {}

    def periodogram(self, size: int) -> Any:
        """Powers at ``size + 1`` frequencies, evenly from 0 to 1."""
        if size not in self._made:
            self._made[size] = light_curve().Periodogram(freqs=np.linspace(0.0, 2 * np.pi, size + 1), fast=True)
        return self._made[size]


def light_curve() -> Any:
    import light_curve  # its compiled half has no types

    return light_curve


@dataclass(frozen=True)
class Series:
    """Points of one band, or of all bands after their own levels are taken off; strictly rising times."""

    t: Points
    value: Points
    error: Points
    """Positive; 1 where nobody said."""
    sn: Points
    """Fluxes over their errors; for magnitudes the inverse of the relative error."""
    flux: bool
    level: float = 0.0

    @classmethod
    def of(cls, t: Points, value: Points, error: Points, *, flux: bool = True) -> "Series":
        """Points in any order; an unknown error is NaN or 0 and counts as the median of the known ones."""
        value, error = value.astype(float), error.astype(float)
        known = np.isfinite(error) & (error > 0)
        error = np.where(known, error, np.median(error[known]) if known.any() else 1.0)
        t, value, error = _merged(t, value, error)
        sn = value / error if flux else 1.0857 / error
        if not known.any():
            sn = np.full(len(t), np.nan)
        return cls(t, value, error, sn, flux, weighted_mean(value, error))

    @classmethod
    def pooled(cls, parts: Mapping[Any, "Series"]) -> "Series":
        """All bands in one series around 0, each in its own unit of brightness: points minus the band's mean."""
        if not parts:
            empty = np.zeros(0)
            return cls(empty, empty, empty, empty, True)
        t, value, error, sn = (
            np.concatenate(x)
            for x in zip(*((p.t, p.value - p.level, p.error, p.sn) for p in parts.values()), strict=True)
        )
        order = np.lexsort((error, value, t))
        return cls(t[order], value[order], error[order], sn[order], next(iter(parts.values())).flux)

    @property
    def may_have_period(self) -> bool:
        return bool(len(self.t) >= 2 * FEWEST and np.ptp(self.value) > 0 and np.ptp(self.t) > 0)


def by_band(
    band: Shaped[np.ndarray, " n"], t: Points, value: Points, error: Points, *, flux: bool = True
) -> dict[Hashable, Series]:
    """One series per band, in the order of their names."""
    return {
        name: Series.of(t[at], value[at], error[at], flux=flux)
        for name in sorted(set(band.tolist()))
        for at in [np.flatnonzero(band == name)]
    }


@dataclass(frozen=True)
class Peak:
    """A frequency per day, its Lomb-Scargle power (0..1), and what harmonics of it make of the curve."""

    frequency: float
    power: float
    harmonics: Float[np.ndarray, "2 h"]
    """Cosine and sine amplitudes, the phase counted from time 0 of the series."""
    explained: float
    """Share of the variance."""


def peaks(series: Series, tools: Periodograms) -> list[Peak]:
    """Up to ``PEAKS`` peaks: first the one whose harmonics explain most (of a skew curve an alias may have more
    power), then the others by power."""
    frequencies, powers = lomb_scargle(series, tools)
    found = [Peak(float(f), float(p), *fit(series, f)) for f, p in zip(frequencies, powers, strict=True)]
    best = found.pop(int(np.argmax([peak.explained for peak in found])))
    return [best, *found]


@dataclass(frozen=True)
class Fold:
    """What a curve is when it is folded."""

    period: float
    """Days."""
    power: float
    """Lomb-Scargle, 0..1."""
    explained: float
    """Share of the variance that the harmonics explain."""
    odd: float
    """Amplitude that is left at odd multiples of half the frequency, over the largest of the harmonics: cycles differ,
    as those of an eclipsing binary do when the period found is half its own."""
    maximum: float
    """Moment of the fundamental's maximum."""
    shape: Complex[np.ndarray, " h"]
    """Amplitudes of the harmonics, counted from the maximum, as one unit vector; the first is real and positive.
    (Amplitude ratios and phase differences of Simon & Lee 1981, ApJ 248, 291, without their poles.)"""

    def phase(self, time: Points) -> Points:
        """Radians since the maximum."""
        return 2 * np.pi * (time - self.maximum) / self.period

    def at(self, time: Points) -> Points:
        """The fitted curve around 0, in units of its own amplitude."""
        cycles = np.exp(1j * self.phase(time)[:, None] * np.arange(1, len(self.shape) + 1))
        return np.real(cycles @ self.shape)

    @property
    def ok(self) -> bool:
        numbers = [self.period, self.power, self.explained, self.odd, self.maximum, *np.abs(self.shape)]
        return bool(np.isfinite(numbers).all())


def fold(
    time: Points, band: Shaped[np.ndarray, " n"], value: Points, error: Points, tools: Periodograms
) -> Fold | None:
    """The best period of a curve, all bands together; None where there are too few points to tell.

    The bands share the phase, after their means are taken off (VanderPlas & Ivezic 2015, ApJ 812, 18). Half the
    period of an eclipsing binary whose eclipses are alike is an honest answer.
    """
    if len(time) < 2 * FEWEST:
        return None
    with np.errstate(all="ignore"):  # what overflows is no period
        series = Series.pooled(by_band(band, time - time.min(), value, error))
        varies = np.ptp(series.value) > 1e-9 * np.abs(value).max()  # more than levels are rounded by
        if not varies or not series.may_have_period:
            return None
        best = peaks(series, tools)[0]
        amplitude = best.harmonics[0] - 1j * best.harmonics[1]
        start = -np.angle(amplitude[0])
        shape = amplitude * np.exp(1j * start * np.arange(1, HARMONICS + 1)) / np.linalg.norm(amplitude)
        odd = np.hypot(*fit(series, best.frequency / 2)[0])[::2].sum() / np.abs(amplitude).max()
        maximum = float(time.min() + start / (2 * np.pi * best.frequency))
        found = Fold(1 / best.frequency, best.power, best.explained, float(odd), maximum, shape)
    return found if found.ok else None


def lomb_scargle(series: Series, tools: Periodograms) -> tuple[Points, Points]:
    """Frequencies (per day) and Lomb-Scargle powers (0..1) of up to ``PEAKS`` peaks, highest first.

    A fast unweighted periodogram finds candidates; astropy's, with errors and floating mean, measures them.
    """
    from astropy.timeseries import LombScargle

    span = float(np.ptp(series.t))
    candidates = _candidates(series, span, tools)
    fine = np.linspace(-1.0, 1.0, 21) / (OVERSAMPLING * span)
    grid = np.maximum(candidates[:, None] + fine, 0.1 / span)
    model = LombScargle(series.t, series.value, series.error)
    power = np.asarray(model.power(grid.ravel(), method="cython")).reshape(grid.shape)
    at = power.argmax(axis=1)
    rows = np.arange(len(grid))
    order = np.argsort(-power[rows, at], kind="stable")
    return grid[rows, at][order], np.clip(power[rows, at][order], 0.0, 1.0)


def _candidates(series: Series, span: float, tools: Periodograms) -> Points:
    size = 2 ** int(np.ceil(np.log2(OVERSAMPLING * span * HIGHEST + 1)))
    size = min(max(size, 64), LONGEST_GRID)
    step = 1 / (OVERSAMPLING * span)  # in time units of 1 / highest, frequencies run from 0 to 1
    power = tools.periodogram(size).power(series.t * (size * step), series.value)
    power[: OVERSAMPLING // 2 + 1] = 0.0  # half a cycle over the whole record is a trend
    inside = power[1:-1]
    tops = 1 + np.flatnonzero((inside > power[:-2]) & (inside >= power[2:]))
    if len(tops) == 0:
        tops = np.array([int(power.argmax())])
    found: list[int] = []
    for i in tops[np.argsort(-power[tops], kind="stable")[: 4 * PEAKS]]:
        if all(abs(i - j) > 2 * OVERSAMPLING for j in found):
            found.append(int(i))
    return step * np.array(found[:PEAKS], float)


def fit(series: Series, frequency: float) -> tuple[Float[np.ndarray, "2 h"], float]:
    """Cosine and sine amplitudes of a weighted fit of harmonics, and the share of the variance that it explains."""
    design = waves(2 * np.pi * frequency * series.t, HARMONICS)
    weight = 1 / series.error
    normal = (design * weight[:, None] ** 2).T @ design
    normal[np.diag_indices_from(normal)] *= 1 + 1e-6  # few points: a little ridge
    solution = np.linalg.solve(normal, design.T @ (weight**2 * series.value))
    residual = weight * (series.value - design @ solution)
    total = weight * (series.value - weighted_mean(series.value, series.error))
    return solution[1:].reshape(2, HARMONICS), float(1 - residual @ residual / (total @ total))


def waves(phase: Points, terms: int) -> Float[np.ndarray, "n waves"]:
    """The terms of a Fourier series at phases in radians: 1, the cosines of 1 to ``terms`` times them, the sines."""
    angle = phase[:, None] * np.arange(1, terms + 1)
    return np.hstack([np.ones((len(angle), 1)), np.cos(angle), np.sin(angle)])


def weighted_mean(value: Points, error: Points) -> float:
    return float(np.average(value, weights=error**-2.0))


def _merged(t: Points, value: Points, error: Points) -> tuple[Merged, Merged, Merged]:
    """Points of the same moment as their weighted mean: rates of change need different times."""
    unique, place = np.unique(t, return_inverse=True)
    if len(unique) == len(t):
        order = np.argsort(t)
        return t[order], value[order], error[order]
    weight = error**-2.0
    total = np.bincount(place, weight)
    return unique, np.bincount(place, weight * value) / total, total**-0.5
