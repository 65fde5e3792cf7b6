"""Varied light curves for the laws of ``tests/contract.py``."""

import numpy as np

from sciformer.adapter import Record
from sciformer.domains.lightcurve.curve import Curve


def curve(n: int, seed: int, bands: str = "gr", **known: object) -> Curve:
    """A noisy oscillation seen at uneven times."""
    rng = np.random.default_rng(seed)
    time = np.sort(56_000 + rng.uniform(0, 30, n))
    error = rng.uniform(0.05, 0.2, n)
    value = 3 * np.sin(time) + 10 + error * rng.normal(size=n)
    band = np.array([bands[i] for i in rng.integers(0, len(bands), n)])
    return Curve(time=time, band=band, value=value, error=error, scale="MJD", **known)  # type: ignore[arg-type]


def records() -> list[Record]:
    gaps = curve(6, 5)
    gaps.error[2] = np.nan
    curves = [
        curve(12, 0),
        curve(1, 1),
        curve(7, 2, bands="ugriz", meta={"redshift": 0.3, "redshift_err": 0.01}),
        curve(9, 3, bands="q"),
        curve(5, 4, meta={"extinction": 0.1}),
        gaps,
        curve(25, 6, bands="ugriz"),
    ]
    return [Record(key=f"star {i}", data=curve, group=f"star {i}") for i, curve in enumerate(curves)]
