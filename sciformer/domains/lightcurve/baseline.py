"""The classical models that stand beside the transformer on light curves: features, and trees on them.

Written against light-curve 0.13. No feature knows the absolute time or the position.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from sciformer.adapter import Baseline, Record
from sciformer.domains.lightcurve.curve import META, Curve

BANDS = ("u", "b", "g", "v", "r", "i", "z", "y")
"""Bands with features of their own, by their lower-case names; all bands together have features too."""
COLOURS = tuple(itertools.combinations(BANDS, 2))
FEWEST = 5
"""A band with fewer points is summarised by its level alone."""

HIGHEST = 24.0
"""Highest frequency of the period search, per day; lower for records of many years, whose grid would be too long."""
OVERSAMPLING = 3
LONGEST_GRID = 2**17
PEAKS = 5
HARMONICS = 4

Points = Float[np.ndarray, " n"]
Merged = Float[np.ndarray, " m"]

LEVELS = ("level", "brightest", "log_points", "max_sn", "median_sn", "detected_share")
PERIODICITY = (
    *("log10_period", "power", "log10_second_period", "second_power", "false_alarm"),
    *("amplitude", "r21", "r31", "r41", "phi21", "phi31", "explained", "explained_double", "even_odd"),
    "asymmetry",
)
EVENT = ("log_points", "log_span", "median_gap", "detected_span", "rise", "fall", "half_width", "before_detection")


def baselines() -> tuple[Baseline, ...]:
    return (
        Baseline("light-curve features + gradient boosting", features, "gradient_boosting"),
        Baseline("light-curve features + random forest", features, "random_forest"),
    )


def features(records: Sequence[Record]) -> Float[np.ndarray, "n k"]:
    """One row per record in the order of ``feature_names``; NaN where a feature is undefined or nothing was read."""
    tools, width = Tools(), len(feature_names())
    with np.errstate(all="ignore"):  # what overflows is undefined
        rows = [np.full(width, np.nan) if r.data is None else curve_features(r.data, tools) for r in records]
    matrix = np.array(rows, np.float64).reshape(len(records), width)
    matrix[~(np.abs(matrix) < np.finfo(np.float32).max)] = np.nan
    return matrix


def feature_names() -> tuple[str, ...]:
    statistics = tuple(Tools().statistics.names)
    per_band = [f"{name}_{band}" for band in BANDS for name in (*LEVELS, *statistics)]
    pooled = [*EVENT, *(f"{name}_all" for name in ("max_sn", "median_sn", *statistics)), *PERIODICITY]
    return (*per_band, *(f"{a}-{b}" for a, b in COLOURS), *pooled, *META)


class Tools:
    """What takes longer to set up than to use, made once for many curves."""

    def __init__(self):
        self._periodograms: dict[int, Any] = {}

    @cached_property
    def statistics(self) -> Any:
        """The cheap features of the light-curve package (Malanchev et al. 2021, MNRAS 502, 5147)."""
        lc = _light_curve()
        return lc.Extractor(
            *(lc.Amplitude(), lc.StandardDeviation(), lc.Skew(), lc.Kurtosis(), lc.StetsonK(), lc.Eta(), lc.EtaE()),
            *(lc.InterPercentileRange(0.25), lc.InterPercentileRange(0.05), lc.MedianAbsoluteDeviation()),
            *(lc.MagnitudePercentageRatio(0.4, 0.05), lc.MagnitudePercentageRatio(0.2, 0.1), lc.BeyondNStd(1.0)),
            *(lc.LinearTrend(), lc.Cusum(), lc.ReducedChi2(), lc.AndersonDarlingNormal(), lc.MaximumSlope()),
        )

    def periodogram(self, size: int) -> Any:
        """Powers at ``size + 1`` frequencies, evenly from 0 to 1."""
        if size not in self._periodograms:
            self._periodograms[size] = _light_curve().Periodogram(
                freqs=np.linspace(0.0, 2 * np.pi, size + 1), fast=True
            )
        return self._periodograms[size]


def _light_curve() -> Any:
    import light_curve  # its compiled half has no types

    return light_curve


def curve_features(curve: Curve, tools: Tools) -> Float[np.ndarray, " k"]:
    """The features of one light curve."""
    # 1. points in an order that does not depend on the reader, times from the first
    parts = {name: Series.of(curve, at) for name, at in _bands(curve).items()}
    pooled = Series.pooled(parts)
    # 2. per band, between bands, all bands together
    bands = [x for band in BANDS for x in _band_features(parts.get(band), tools)]
    colours = [_colour(parts.get(a), parts.get(b)) for a, b in COLOURS]
    together = [_max(pooled.sn), _median(pooled.sn), *_statistics(pooled, tools)]
    # 3. what is known beside the light
    meta = [float(curve.meta.get(name, np.nan)) for name in META]
    return np.array([*bands, *colours, *_event(pooled), *together, *_periodicity(pooled, tools), *meta])


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
    def of(cls, curve: Curve, at: np.ndarray) -> "Series":
        flux = curve.quantity == "flux"
        t, value, error = curve.time[at] - curve.time[0], curve.value[at].astype(float), curve.error[at].astype(float)
        known = np.isfinite(error) & (error > 0)
        error = np.where(known, error, np.median(error[known]) if known.any() else 1.0)
        t, value, error = _merged(t, value, error)
        sn = value / error if flux else 1.0857 / error
        if not known.any():
            sn = np.full(len(t), np.nan)
        return cls(t, value, error, sn, flux, _mean(value, error))

    @classmethod
    def pooled(cls, parts: dict[str, "Series"]) -> "Series":
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


def _bands(curve: Curve) -> dict[str, np.ndarray]:
    names = np.array([str(band).lower() for band in curve.band], dtype=object)
    return {name: np.flatnonzero(names == name) for name in sorted(set(names))}


def _merged(t: Points, value: Points, error: Points) -> tuple[Merged, Merged, Merged]:
    """Points of the same moment as their weighted mean: rates of change need different times."""
    unique, place = np.unique(t, return_inverse=True)
    if len(unique) == len(t):
        order = np.argsort(t)
        return t[order], value[order], error[order]
    weight = error**-2.0
    total = np.bincount(place, weight)
    return unique, np.bincount(place, weight * value) / total, total**-0.5


# --- levels, shapes, colours ------------------------------------------------------------------------------


def _band_features(series: Series | None, tools: Tools) -> list[float]:
    if series is None:
        return [np.nan] * (len(LEVELS) + len(tools.statistics.names))
    n = len(series.t)
    levels = [
        series.level,
        _brightest(series),
        np.log10(n),
        _max(series.sn),
        _median(series.sn),
        float(np.mean(series.sn > 5)) if np.isfinite(series.sn).all() else np.nan,
    ]
    return [*levels, *_statistics(series, tools)]


def _brightest(series: Series) -> float:
    """A level that a single outlier does not set."""
    return float(np.quantile(series.value, 0.95 if series.flux else 0.05))


def _colour(one: Series | None, other: Series | None) -> float:
    """Magnitude difference of the means; for fluxes of the bright end, as a transient has no colour in the dark."""
    if one is None or other is None:
        return np.nan
    if not one.flux:
        return one.level - other.level
    a, b = _brightest(one), _brightest(other)
    return float(-2.5 * np.log10(a / b)) if a > 0 and b > 0 else np.nan


def _statistics(series: Series, tools: Tools) -> Float[np.ndarray, " k"]:
    extractor = tools.statistics
    if len(series.t) < FEWEST or not np.ptp(series.value) > 0:
        return np.full(len(extractor.names), np.nan)
    # points of two bands at one moment are legal here, so the order is vouched for rather than checked
    return np.asarray(extractor(series.t, series.value, series.error, sorted=True, check=False, fill_value=np.nan))


def _event(series: Series) -> list[float]:
    """Sampling; and of what rises above the background: how long it is seen and how fast it comes and goes."""
    n = len(series.t)
    if n < FEWEST:
        return [np.log10(n) if n else np.nan, *[np.nan] * (len(EVENT) - 1)]
    gaps = np.diff(np.unique(series.t))
    sampling = [np.log10(n), np.log10(max(np.ptp(series.t), 1e-6)), _median(gaps)]
    seen = series.t[series.sn > 5]
    bright = series.value / series.error if series.flux else -series.value
    peak = series.t[np.argmax(bright)]
    half = series.t[bright > bright.max() / 2]
    if len(seen) == 0:
        return [*sampling, 0.0, np.nan, np.nan, float(np.ptp(half)), np.nan]
    first, last = seen.min(), seen.max()
    return [*sampling, last - first, peak - first, last - peak, float(np.ptp(half)), float(np.mean(series.t < first))]


# --- periods ----------------------------------------------------------------------------------------------


def _periodicity(series: Series, tools: Tools) -> list[float]:
    """Best period, its significance, and the shape of the curve folded at it (Debosscher et al. 2007, A&A 475,
    1159): all bands share the phase, after their means are taken off (VanderPlas & Ivezic 2015, ApJ 812, 18)."""
    n = len(series.t)
    if n < 2 * FEWEST or not np.ptp(series.value) > 0 or not np.ptp(series.t) > 0:
        return [np.nan] * len(PERIODICITY)
    frequency, power = peaks(series, tools)
    fits = [_harmonics(series, f) for f in frequency]
    first = int(np.argmax([explained for _, explained in fits]))  # of a skew curve an alias may have more power
    best, (single, explained) = frequency[first], fits[first]
    others = [i for i in range(len(fits)) if i != first]
    second, second_power = (frequency[others[0]], power[others[0]]) if others else (np.nan, np.nan)
    alarm = (n - 3) / 2 * np.log10(max(1 - power[first], 1e-12))  # log of the chance of such a power at one frequency
    double, explained_double = _harmonics(series, best / 2)
    size = np.maximum(np.hypot(*single), 1e-30)
    angle = np.arctan2(*single)
    phi21, phi31 = (np.mod(angle[k - 1] - k * angle[0], 2 * np.pi) for k in (2, 3))
    odd = np.hypot(*double)[::2]
    low, middle, high = np.quantile(series.value, (0.0, 0.5, 1.0))
    return [
        *(-np.log10(best), power[first], -np.log10(second), second_power, alarm),
        *(size[0], *(size[1:] / size[0]), phi21, phi31, explained, explained_double, odd.sum() / size[0]),
        (high + low - 2 * middle) / (high - low),
    ]


def peaks(series: Series, tools: Tools) -> tuple[Points, Points]:
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


def _candidates(series: Series, span: float, tools: Tools) -> Points:
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


def _harmonics(series: Series, frequency: float) -> tuple[Float[np.ndarray, "2 h"], float]:
    """Cosine and sine amplitudes of a weighted fit of harmonics, and the share of the variance that it explains."""
    angle = 2 * np.pi * frequency * series.t[:, None] * np.arange(1, HARMONICS + 1)
    design = np.hstack([np.ones((len(angle), 1)), np.cos(angle), np.sin(angle)])
    weight = 1 / series.error
    normal = (design * weight[:, None] ** 2).T @ design
    normal[np.diag_indices_from(normal)] *= 1 + 1e-6  # few points: a little ridge
    solution = np.linalg.solve(normal, design.T @ (weight**2 * series.value))
    residual = weight * (series.value - design @ solution)
    total = weight * (series.value - _mean(series.value, series.error))
    return solution[1:].reshape(2, HARMONICS), float(1 - residual @ residual / (total @ total))


def _mean(value: Points, error: Points) -> float:
    return float(np.average(value, weights=error**-2.0))


def _max(x: np.ndarray) -> float:
    return float(x.max()) if len(x) else np.nan


def _median(x: np.ndarray) -> float:
    return float(np.median(x)) if len(x) else np.nan
