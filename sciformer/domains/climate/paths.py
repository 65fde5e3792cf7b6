"""Paths that a series may take beyond the horizon, drawn so that they look like its past."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from sciformer.domains.climate.series import Series

if TYPE_CHECKING:
    from sciformer.domains.climate.adapter import Climate


def shares(
    adapter: "Climate", series: Series, asked: Series, samples: int, rng: np.random.Generator
) -> Float[np.ndarray, "samples rows"]:
    """The Schaake shuffle (Clark et al. 2004, J. Hydrometeorol. 5, 243): draws of one question are ranked as the
    anomalies of as many past stretches of the series are at that step, variable and cell, so that a path rises and
    falls as the past did. Where the past has a gap, chance ranks."""
    back = (samples * adapter.horizon + adapter.context) * adapter.step
    recent = series.take(adapter.variables)
    recent = recent.between(int(np.searchsorted(series.time, series.time[-1] - back)), len(series)).loaded()
    place = np.round((recent.time - recent.time[0]) / adapter.step).astype(int)
    anomaly = np.full((place[-1] + 1, *recent.values.shape[1:]), np.nan)
    anomaly[place] = adapter.anomaly(recent)
    ahead = np.round((asked.time - asked.time[0]) / adapter.step).astype(int)
    starts = np.linspace(0, max(len(anomaly) - ahead.max() - 1, 0), samples).round().astype(int)
    past = anomaly[np.minimum(starts[:, None] + ahead, len(anomaly) - 1)]
    past = np.where(np.isfinite(past), past, rng.normal(size=past.shape))
    rank = rng.permutation(past.argsort(0).argsort(0))
    within = rng.random((samples, 1, 1, 1, 1))
    return ((rank + within) / samples)[:, np.isfinite(np.asarray(asked.values))]


def continued(series: Series, asked: Series, values: Float[np.ndarray, " rows"]) -> Series:
    """The series with values where something is asked after its end."""
    new = np.full(asked.values.shape, np.nan, dtype=np.float32)
    new[np.isfinite(np.asarray(asked.values))] = values
    whole = np.concatenate([np.asarray(series.values), new])
    return series.replaced(time=np.concatenate([series.time, asked.time]), values=whole)
