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
    recent = adapter.seen(series)
    recent = recent.between(int(np.searchsorted(recent.time, recent.time[-1] - back)), len(recent)).loaded()
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


def continued(series: Series, told: Series, asked: Series, values: Float[np.ndarray, " rows"]) -> Series:
    """The series with values where something is asked after its end, beside what is ``told`` beforehand."""
    new = np.full(asked.values.shape, np.nan, dtype=np.float32)
    new[np.isfinite(np.asarray(asked.values))] = values
    whole = np.concatenate([np.asarray(series.values), new])
    grown = series.replaced(time=np.concatenate([series.time, asked.time]), values=whole)
    return beside(grown, told) if told.variables else grown


def beside(series: Series, told: Series) -> Series:
    """Two series of one place as one, of all steps of either; steps within half a step of each other are one."""
    near = np.abs(series.time - told.time[np.abs(told.time[:, None] - series.time).argmin(0)]) < series.step / 2
    time = np.sort(np.concatenate([told.time, series.time[~near]]))
    values = np.full((len(time), *series.values.shape[1:3], len(series.variables) + len(told.variables)), np.nan)
    for part, columns in ((series, slice(len(series.variables))), (told, slice(len(series.variables), None))):
        values[np.abs(time[:, None] - part.time).argmin(0), ..., columns] = np.asarray(part.values)
    variables = (*series.variables, *told.variables)
    return series.replaced(time=time, values=values.astype(np.float32), variables=variables)


def hidden(series: Series, cut: int, count: int) -> Series:
    """The series without what was observed of its first ``count`` variables from step ``cut`` on."""
    values = np.array(series.values)
    values[cut:, ..., :count] = np.nan
    return series.replaced(values=values)
