"""The classical forecasts that stand beside the transformer: a constant, a Gaussian process, and for stars that repeat
themselves a Fourier series.

All answer with the mean and the standard deviation of the light itself, in the curve's unit. A future measurement
scatters more: add its error in quadrature.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from sciformer.domains.lightcurve import period
from sciformer.domains.lightcurve.curve import Curve

WAVELENGTHS = "ubgvrizyjhk"
"""Bands from blue to red, by their lower-case names; other bands come after them, in alphabetical order."""
MAX_POINTS = 300
SEED = 0
"""Longer curves are learned from ``MAX_POINTS`` of their points, drawn at random with this seed: time is cubic."""
TERMS = 3
"""Of the Fourier series."""

Answer = tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]


def constant(curve: Curve, times: Sequence[float] | np.ndarray, bands: Sequence[str] | np.ndarray) -> Answer:
    """Per band the mean with weights 1/error², and the scatter that the errors do not explain, with the mean's own
    uncertainty. A band that was not observed gets those of all points.

    Raises ``ValueError`` for a curve without points.
    """
    _check(curve, times, bands)
    known = {band: _level(curve.value[at], curve.error[at]) for band, at in _by_band(curve).items()}
    everything = _level(curve.value, curve.error)
    levels = np.array([known.get(str(band), everything) for band in bands]).reshape(len(bands), 2)
    return levels[:, 0], levels[:, 1]


def gaussian_process(curve: Curve, times: Sequence[float] | np.ndarray, bands: Sequence[str] | np.ndarray) -> Answer:
    """A Gaussian process around the constant: Matern 3/2 in time x squared exponential in the order of wavelength.

    The noise is that of the errors; where they are unknown, a tenth of the scatter. Size and length-scales are those
    of maximum likelihood, the best of two starts. A curve of fewer than three points, or without scatter, is answered
    by the constant.
    Raises ``ValueError`` for a curve without points.
    """
    # 1. residuals from each band's mean, in units of their scatter
    base, spread = constant(curve, times, bands)
    n = len(curve)
    residual = curve.value - constant(curve, curve.time, curve.band)[0]
    weight = _weights(curve.error)
    scale = float(np.sqrt(np.average(residual**2, weights=weight)))
    if n < 3 or len(times) == 0 or not scale > 0:
        return base, spread
    # 2. fit
    span = max(float(np.ptp(curve.time)), 1e-6)
    order = {band: float(i) for i, band in enumerate(sorted({*curve.band, *bands}, key=_wavelength))}

    def places(t: Sequence[float] | np.ndarray, b: Sequence[str] | np.ndarray) -> np.ndarray:
        return np.column_stack([(np.asarray(t, float) - curve.time[0]) / span, [order[str(band)] for band in b]])

    few = np.sort(np.random.default_rng(SEED).permutation(n)[:MAX_POINTS])
    error = np.where(np.isfinite(curve.error) & (curve.error > 0), curve.error, 0.1 * scale)[few]
    model = _regressor(np.maximum(error / scale, 1e-4) ** 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length-scale at the end of its range is an answer too
        model.fit(places(curve.time, curve.band)[few], residual[few] / scale)
    # 3. predict
    mean, std = model.predict(places(times, bands), return_std=True)  # pyright: ignore[reportAssignmentType]
    return base + scale * mean, scale * std


def fourier(curve: Curve, times: Sequence[float] | np.ndarray, bands: Sequence[str] | np.ndarray) -> Answer:
    """Per band a Fourier series at the period that all bands together have (the multi-harmonic periodogram's model, of
    ``TERMS`` terms), and the scatter around it that the errors do not explain. Without a period, or in a band of too
    few points, the constant.

    Raises ``ValueError`` for a curve without points.
    """
    from astropy.timeseries import LombScargle

    mean, spread = constant(curve, times, bands)
    found = period.fold(curve.time, curve.band, curve.value, curve.error, period.Periodograms())
    if found is None:
        return mean, spread
    when, where, zero = np.asarray(times, float), np.array([str(band) for band in bands]), curve.time[0]
    for band, at in _by_band(curve).items():
        asked = where == band
        if len(at) < 4 * TERMS + 2 or not asked.any():
            continue
        error = _weights(curve.error[at]) ** -0.5
        series = LombScargle(curve.time[at] - zero, curve.value[at], error, nterms=TERMS)
        residual = curve.value[at] - series.model(curve.time[at] - zero, 1 / found.period)
        freedom = len(at) / (len(at) - 2 * TERMS - 1)
        scatter = np.average(residual**2 - error**2 / freedom, weights=error**-2) * freedom
        mean[asked] = series.model(when[asked] - zero, 1 / found.period)
        spread[asked] = np.sqrt(max(scatter, 1e-4 * spread[asked][0] ** 2))
    return mean, spread


def _regressor(alpha: np.ndarray) -> Any:
    from sklearn import gaussian_process  # heavy, and only needed here

    gp: Any = gaussian_process  # its types forget that there may be one length-scale per column
    # each factor sees one column: along the other its length-scale is out of reach
    far = (1e9, 1e11)
    # Minutes between the bands of one night: a longer shortest scale would be made up for by a huge variance, which
    # residuals in units of their scatter cannot have.
    in_time = gp.kernels.Matern([0.1, 1e10], [(1e-6, 1e2), far], nu=1.5)
    in_band = gp.kernels.RBF([1e10, 2.0], [far, (0.1, 1e2)])
    kernel = gp.kernels.ConstantKernel(1.0, (0.05, 4.0)) * in_time * in_band
    return gp.GaussianProcessRegressor(kernel, alpha=alpha, n_restarts_optimizer=1, random_state=SEED)


def _level(value: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    weight = _weights(error)
    mean = float(np.average(value, weights=weight))
    known = np.isfinite(error) & (error > 0)
    n = len(value)
    scatter = np.average((value - mean) ** 2, weights=weight) * (n / (n - 1) if n > 1 else 1.0)
    noise = np.average(np.where(known, error, 0.0) ** 2, weights=weight)
    own = 1 / np.sum(weight) if known.all() else max(scatter, noise) / n
    return mean, float(np.sqrt(max(scatter - noise, 0.0) + own))


def _weights(error: np.ndarray) -> np.ndarray:
    """1/error²; an unknown error counts as the median of the known ones."""
    known = np.isfinite(error) & (error > 0)
    typical = np.median(error[known]) if known.any() else 1.0
    return np.where(known, error, typical).astype(float) ** -2.0


def _by_band(curve: Curve) -> dict[str, np.ndarray]:
    return {str(band): np.flatnonzero(curve.band == band) for band in np.unique(curve.band)}


def _wavelength(band: str) -> tuple[int, str]:
    at = WAVELENGTHS.find(band.lower()) if len(band) == 1 else -1
    return (at if at >= 0 else len(WAVELENGTHS), band)


def _check(curve: Curve, times: Sequence[float] | np.ndarray, bands: Sequence[str] | np.ndarray) -> None:
    if len(times) != len(bands):
        raise ValueError(f"a forecast needs a band for every time, got {len(times)} times and {len(bands)} bands")
    if len(curve) == 0:
        raise ValueError("a forecast needs at least 1 observation to learn from, got 0")
