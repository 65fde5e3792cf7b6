"""The native type of the climate domain: variables at one station, or on one grid, as time goes on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

EPOCH = "1970-01-01"
YEAR = {"standard": 365.2425, "noleap": 365.0, "365_day": 365.0, "all_leap": 366.0, "366_day": 366.0, "360_day": 360.0}
"""Days in a year by calendar; as in the standard one in all others."""
MONTHLY = 27.5
"""Days; steps as long as this go by the calendar."""


@dataclass(frozen=True)
class Variable:
    """What is measured: its name in the source, its unit as the source writes it ("" where it does not)."""

    name: str
    unit: str = ""
    long_name: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """Steps of a series. Windows of it are views: cutting a long series a thousand times copies nothing."""

    time: Float[np.ndarray, " n"]
    """Days since 1970-01-01 00:00 in the calendar of the series, float64, rising."""
    values: Any
    """Float array [n, y, x, variables], of numpy or (not yet loaded) of dask; NaN where nothing was observed. A station
    has one cell."""
    variables: tuple[Variable, ...]
    lat: Float[np.ndarray, " y"]
    """Degrees north, in the order of the source; NaN where nobody said."""
    lon: Float[np.ndarray, " x"]
    """Degrees east, as the source counts them."""
    place: str = ""
    """What the station or grid is called; by it, what is normal there is known again."""
    named: bool = False
    """Whether the source itself calls it so; else the place is called after the file."""
    calendar: str = "standard"
    step: float = 1.0
    """Days from one step to the next (the median); months differ in length and are one step each."""
    dims: tuple[str, ...] = ()
    """What the source calls the axes of place that its variables have, latitude first; a station has none."""
    labels: xr.Dataset | None = None
    """Coordinates and attributes of the source without its data, so that answers can be labelled alike."""
    notes: tuple[str, ...] = ()
    """What a reader of the answers must know (steps that were averaged, values that were refused)."""

    def __len__(self) -> int:
        return len(self.time)

    @property
    def cells(self) -> tuple[int, int]:
        return len(self.lat), len(self.lon)

    @property
    def gridded(self) -> bool:
        return self.cells != (1, 1)

    @property
    def region(self) -> str:
        """The box of 10 by 10 degrees around its middle; of a place that nobody knows, its name."""
        south, west = (10 * np.floor(np.mean(x) / 10) for x in (self.lat, self.lon % 360))
        if not np.isfinite(south + west):
            return self.place
        return f"{south:.0f} to {south + 10:.0f} N, {west:.0f} to {west + 10:.0f} E"

    @property
    def pace(self) -> float:
        """Days from one step to the next in the long run: those of months and years are no whole number."""
        year = YEAR.get(self.calendar, YEAR["standard"])
        months = self.step / (year / 12)
        return self.step if self.step < MONTHLY or abs(months - round(months)) > 0.1 else round(months) * year / 12

    def replaced(self, **changes: Any) -> "Series":
        return dataclasses.replace(self, **changes)

    def between(self, start: int, stop: int) -> "Series":
        """The steps from ``start`` up to but not including ``stop``."""
        rows = slice(start, stop)
        return self.replaced(time=self.time[rows], values=self.values[rows])

    def take(self, names: Sequence[str]) -> "Series":
        """The named variables alone, in that order."""
        places = {variable.name: j for j, variable in enumerate(self.variables)}
        chosen = [places[name] for name in names]
        return self.replaced(values=self.values[..., chosen], variables=tuple(self.variables[j] for j in chosen))

    def loaded(self) -> "Series":
        """The same with its values in memory.

        Read by this thread alone: a pool of threads does not outlive the fork of a loader process, and each holds
        pieces of its own.
        """
        here = isinstance(self.values, np.ndarray)
        values = self.values if here else self.values.compute(scheduler="synchronous")
        return self.replaced(values=np.asarray(values, dtype=np.float32))
