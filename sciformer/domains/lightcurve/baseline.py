"""The classical models that stand beside the transformer on light curves: features, and trees on them.

Written against light-curve 0.13. No feature knows the absolute time or the position.
"""

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from sciformer.adapter import Baseline, Record
from sciformer.domains.lightcurve.curve import META, Curve
from sciformer.domains.lightcurve.period import FEWEST, Periodograms, Series, by_band, fit, light_curve, peaks

BANDS = ("u", "b", "g", "v", "r", "i", "z", "y")
"""Bands with features of their own, by their lower-case names; all bands together have features too."""
COLOURS = tuple(itertools.combinations(BANDS, 2))

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
    return _rows(records, curve_features, len(feature_names()))


def feature_names() -> tuple[str, ...]:
    per_band = [f"{name}_{band}" for band in BANDS for name in (*LEVELS, *Tools().statistics.names)]
    return (*per_band, *_joint_names(), *META)


def described(records: Sequence[Record]) -> pd.DataFrame:
    """Features of all bands together, of each record in units of its own spread. Most have long tails, which
    ``arcsinh`` shortens."""
    names = _joint_names()
    rows = _rows(records, lambda curve, tools: np.array(_joint(_bands(_in_spreads(curve)), tools)), len(names))
    return pd.DataFrame(np.arcsinh(rows), columns=list(names))


def _rows(
    records: Sequence[Record], of: "Callable[[Curve, Tools], Float[np.ndarray, ' k']]", width: int
) -> Float[np.ndarray, "n k"]:
    tools = Tools()
    with np.errstate(all="ignore"):  # what overflows is undefined
        rows = [np.full(width, np.nan) if r.data is None else of(r.data, tools) for r in records]
    matrix = np.array(rows, np.float64).reshape(len(records), width)
    matrix[~(np.abs(matrix) < np.finfo(np.float32).max)] = np.nan
    return matrix


def _joint_names() -> tuple[str, ...]:
    """What is told of all bands together, and of one beside another."""
    statistics = [f"{name}_all" for name in ("max_sn", "median_sn", *Tools().statistics.names)]
    return (*(f"{a}-{b}" for a, b in COLOURS), *EVENT, *statistics, *PERIODICITY)


def _in_spreads(curve: Curve) -> Curve:
    spread = float(np.std(curve.value)) if len(curve) else 0.0
    scale = spread if spread > 0 else 1.0
    return dataclasses.replace(curve, value=curve.value / scale, error=curve.error / scale)


class Tools(Periodograms):
    """What takes longer to set up than to use, made once for many curves."""

    @cached_property
    def statistics(self) -> Any:
        """The cheap features of the light-curve package (Malanchev et al. 2021, MNRAS 502, 5147)."""
        lc = light_curve()
        return lc.Extractor(
            *(lc.Amplitude(), lc.StandardDeviation(), lc.Skew(), lc.Kurtosis(), lc.StetsonK(), lc.Eta(), lc.EtaE()),
            *(lc.InterPercentileRange(0.25), lc.InterPercentileRange(0.05), lc.MedianAbsoluteDeviation()),
            *(lc.MagnitudePercentageRatio(0.4, 0.05), lc.MagnitudePercentageRatio(0.2, 0.1), lc.BeyondNStd(1.0)),
            *(lc.LinearTrend(), lc.Cusum(), lc.ReducedChi2(), lc.AndersonDarlingNormal(), lc.MaximumSlope()),
        )


def curve_features(curve: Curve, tools: Tools) -> Float[np.ndarray, " k"]:
    """The features of one light curve."""
    # 1. points in an order that does not depend on the reader, times from the first
    parts = _bands(curve)
    # 2. per band, between bands, all bands together
    bands = [x for band in BANDS for x in _band_features(parts.get(band), tools)]
    # 3. what is known beside the light
    meta = [float(curve.meta.get(name, np.nan)) for name in META]
    return np.array([*bands, *_joint(parts, tools), *meta])


def _joint(parts: Mapping[Hashable, Series], tools: Tools) -> list[float]:
    """The features of ``_joint_names``."""
    pooled = Series.pooled(parts)
    colours = [_colour(parts.get(a), parts.get(b)) for a, b in COLOURS]
    together = [_max(pooled.sn), _median(pooled.sn), *_statistics(pooled, tools)]
    return [*colours, *_event(pooled), *together, *_periodicity(pooled, tools)]


def _bands(curve: Curve) -> dict[Hashable, Series]:
    names = np.array([str(band).lower() for band in curve.band], dtype=object)
    t = curve.time - curve.time[:1]
    return by_band(names, t, curve.value, curve.error, flux=curve.quantity == "flux")


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
    if not series.may_have_period:
        return [np.nan] * len(PERIODICITY)
    best, *others = peaks(series, tools)
    single = best.harmonics
    second, second_power = (others[0].frequency, others[0].power) if others else (np.nan, np.nan)
    # log of the chance of such a power at one frequency
    alarm = (len(series.t) - 3) / 2 * np.log10(max(1 - best.power, 1e-12))
    double, explained_double = fit(series, best.frequency / 2)
    size = np.maximum(np.hypot(*single), 1e-30)
    angle = np.arctan2(*single)
    phi21, phi31 = (np.mod(angle[k - 1] - k * angle[0], 2 * np.pi) for k in (2, 3))
    odd = np.hypot(*double)[::2]
    low, middle, high = np.quantile(series.value, (0.0, 0.5, 1.0))
    return [
        *(-np.log10(best.frequency), best.power, -np.log10(second), second_power, alarm),
        *(size[0], *(size[1:] / size[0]), phi21, phi31, best.explained, explained_double, odd.sum() / size[0]),
        (high + low - 2 * middle) / (high - low),
    ]


def _max(x: np.ndarray) -> float:
    return float(x.max()) if len(x) else np.nan


def _median(x: np.ndarray) -> float:
    return float(np.median(x)) if len(x) else np.nan
