"""Magnitudes and fluxes: m = zero point - 2.5 log10(flux), with errors carried along to first order."""

import dataclasses
import math
from typing import Literal

import numpy as np

from sciformer.domains.lightcurve.curve import Curve

POGSON = 2.5 / math.log(10)
"""Magnitudes per relative change of flux: an error of 1 % is one of 0.0109 mag."""


def to_magnitude(flux: np.ndarray, error: np.ndarray, zero_point: float) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes and their errors. A flux of zero or less has none: NaN, error NaN."""
    _check(zero_point)
    positive = np.where(np.asarray(flux, dtype=np.float64) > 0, flux, np.nan)
    return zero_point - 2.5 * np.log10(positive), POGSON * np.asarray(error, dtype=np.float64) / positive


def to_flux(magnitude: np.ndarray, error: np.ndarray, zero_point: float) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes and their errors, in the unit whose magnitude is ``zero_point``."""
    _check(zero_point)
    flux = 10.0 ** (0.4 * (zero_point - np.asarray(magnitude, dtype=np.float64)))
    return flux, flux * np.asarray(error, dtype=np.float64) / POGSON


def rescale(flux: np.ndarray, old: np.ndarray | float, new: float) -> np.ndarray:
    """Fluxes (or their errors) of the zero point ``old`` in the unit of the zero point ``new``."""
    return np.asarray(flux, dtype=np.float64) * 10.0 ** (0.4 * (new - np.asarray(old, dtype=np.float64)))


def convert(curve: Curve, quantity: Literal["flux", "mag"], zero_point: float | None = None) -> Curve:
    """The curve as magnitudes or as fluxes. Observations without a magnitude are left out and noted.

    ``zero_point`` is that of the fluxes; by default the curve's own.

    Raises ``ValueError`` where the zero point is not known, or differs from the curve's own.
    """
    if zero_point is None:
        zero_point = curve.zero_point
    elif curve.quantity == "flux" and curve.zero_point not in (None, zero_point):
        raise ValueError(f"the fluxes have the zero point {curve.zero_point}, got {zero_point}; leave it out")
    if curve.quantity == quantity:
        return dataclasses.replace(curve, zero_point=zero_point)
    if zero_point is None:
        raise ValueError(f"{curve.quantity} becomes {quantity} by a zero point, which is unknown; give zero_point")
    if quantity == "flux":
        value, error = to_flux(curve.value, curve.error, zero_point)
        return dataclasses.replace(curve, value=value, error=error, quantity="flux", unit="", zero_point=zero_point)
    value, error = to_magnitude(curve.value, curve.error, zero_point)
    known = np.isfinite(value)
    notes = curve.notes
    if not known.all():
        notes = (
            *notes,
            f"observations of zero or negative flux, which have no magnitude, left out: {int((~known).sum())}",
        )
    return dataclasses.replace(
        curve,
        time=curve.time[known],
        band=curve.band[known],
        value=value[known],
        error=error[known],
        quantity="mag",
        unit="mag",
        zero_point=zero_point,
        notes=notes,
    )


def _check(zero_point: float) -> None:
    if not math.isfinite(zero_point):
        raise ValueError(f"zero_point must be the finite magnitude of a flux of 1, got {zero_point}")
