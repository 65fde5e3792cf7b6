"""The native form of a light curve: what every reader makes and everything else in this domain reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

ORIGINS: Mapping[str, float] = {
    "JD": 0.0,
    "HJD": 0.0,
    "BJD": 0.0,
    "MJD": 2_400_000.5,
    "BKJD": 2_454_833.0,
    "BTJD": 2_457_000.0,
}
"""Julian date of time zero by time scale: plain, helio- and barycentric dates, Kepler's and TESS's."""

META = ("redshift", "redshift_err", "extinction")
"""What may be known of an object beside its light, and may be shown to a model; its absence is normal."""

RELATIVE = "relative"
"""Unit of a model whose records come in several: fluxes and magnitudes alike, each record in spreads of its own."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Observations of one object, by rising time; no resampling, no filling.

    ``time`` is in days, float64, since ``origin`` (a Julian date; NaN where nobody said); a float32 cannot hold
    a Julian date. ``value`` and its one-sigma ``error`` are magnitudes or fluxes in ``unit``; NaN in ``error`` says
    unknown. ``zero_point`` is the magnitude of a flux of 1, where known.
    """

    time: np.ndarray
    band: np.ndarray
    value: np.ndarray
    error: np.ndarray
    quantity: Literal["flux", "mag"] = "flux"
    unit: str = ""
    zero_point: float | None = None
    scale: str = ""
    origin: float = float("nan")
    meta: Mapping[str, float] = field(default_factory=dict)
    """Numbers named in ``META``, known ones only."""
    position: tuple[float, float] | None = None
    """Right ascension and declination in degrees: for the audit, never for the model."""
    notes: tuple[str, ...] = ()
    """What the reader did that a user should know: rows left out, times sorted."""

    def __post_init__(self):
        n = len(self.time)
        for name in ("band", "value", "error"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"a light curve of {n} times needs as many {name}s, got {len(getattr(self, name))}")
        if n and not (np.isfinite(self.time).all() and np.isfinite(self.value).all()):
            raise ValueError("times and values of a light curve must be finite: leave missing observations out")
        if n > 1 and (np.diff(self.time) < 0).any():
            raise ValueError("the times of a light curve must rise: sort the observations")

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> "Curve":
        """Some of the observations (indices that rise, or a mask); all else stays."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ("time", "band", "value", "error")})
