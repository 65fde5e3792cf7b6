"""The ``data`` options of a climate recipe: files or a data card, and how series are cut into windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.targets import column_names
from sciformer.domains.climate import embedded, limits, reader
from sciformer.domains.climate.adapter import Climate
from sciformer.domains.climate.windows import windows

KEPT = ("boxes", "circular", "missing", "region", "units")
"""Options of the reader by which variables become what the model learned."""


@dataclass(frozen=True)
class ClimateData(DataConfig):
    """Where the series come from, and what is asked about them.

    Attributes:
        source: A netCDF, zarr, CSV or Parquet file, a folder of them, or the name of a data card (see
            ``sciformer data list``); "co2" and "elnino" come with statsmodels.
        variables: Variables to read and to forecast, separated by commas; by default all that vary with time.
        known: Variables that are known beforehand (a holiday, a scenario, a weather forecast), separated by commas:
            they are read as far as they go, and never forecast. A forecast needs them for all times asked about.
        columns: How to read the source where its attributes do not say (time, time_format, station, lat, lon, units,
            circular, region, boxes, step, missing). What makes the variables (boxes, circular, region, units, missing)
            holds for all that the checkpoint reads later, unless said otherwise.
        bounds: Of a variable what it cannot be below and above, as in --data.bounds.pr 0.. and --data.bounds.hurs
            0..100; by default what its attributes say. Answers stay within.
        context: Steps that are seen.
        horizon: Steps that are asked about after them.
        patch: Consecutive steps in a token; 1 where steps are uneven.
        block: Cells of a grid along the side of a token.
        stride: Steps from one window to the next; 0 is the horizon.
    """

    source: str = "co2"
    variables: str = ""
    known: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, str] = field(default_factory=dict)
    context: int = 96
    horizon: int = 24
    patch: int = 8
    block: int = 1
    stride: int = 0

    def __post_init__(self):
        for name in ("context", "horizon", "patch", "block"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name} must be at least 1, got {getattr(self, name)}")
        if self.context % self.patch or self.horizon % self.patch:
            raise ValueError(
                f"data.context {self.context} and data.horizon {self.horizon} must be whole numbers of patches of "
                f"{self.patch} steps, such as {self._whole(self.context)} and {self._whole(self.horizon)}; or set "
                "data.patch 1"
            )
        if self.stride < 0:
            raise ValueError(f"data.stride must be 0 (the horizon) or a number of steps, got {self.stride}")

    def _whole(self, steps: int) -> int:
        return -(-steps // self.patch) * self.patch

    def load(self, split_column: str | None = None) -> Dataset:
        if split_column:
            raise ValueError("windows of series have no split column: use split.kind time")
        source, options, notes = self._source()
        if self.variables:
            options["variables"] = ",".join(dict.fromkeys(column_names(f"{self.variables},{self.known}")))
        records = list(reader.read(source, **{**options, **self.columns}))
        readable = [record.data for record in records if record.ok]
        if not readable:
            problem = records[0].problem if records else "it is empty"
            raise ValueError(f"nothing in {self.source} can be read: {problem}")
        possible, passed = limits.limits(readable, self.bounds)
        cut = windows(records, self.context, self.horizon, self.stride or self.horizon)
        if not any(record.ok for record in cut):
            longest = max(readable, key=len)
            raise ValueError(
                f"{longest.place} has {len(longest)} steps, and a window needs data.context {self.context} and "
                f"data.horizon {self.horizon}, {self.context + self.horizon} in all: make one of them shorter"
            )
        return Dataset(
            adapter=self._adapter(readable, possible),
            records=cut,
            targets=(),
            source=self.source,
            notes=(*notes, *passed, *dict.fromkeys(note for series in readable for note in series.notes)),
        )

    def _adapter(self, series: Sequence[Any], possible: Mapping[str, limits.Limits]) -> Climate:
        first = series[0]
        for other in series[1:]:
            if [v.name for v in other.variables] != [v.name for v in first.variables] or other.cells != first.cells:
                raise ValueError(
                    f"{other.place} and {first.place} differ in variables or grid; read them by themselves"
                )
        told = column_names(self.known)
        there = {variable.name: variable for variable in first.variables}
        asked = [variable for variable in first.variables if variable.name not in told]
        if not asked or (lost := [name for name in told if name not in there]):
            why = f"there is no variable {lost[0]!r}" if asked else "nothing is left to forecast"
            raise ValueError(f"data.known {self.known}: {why}; there are {', '.join(there)}")
        return Climate(
            variables=tuple(variable.name for variable in asked),
            units=tuple(variable.unit for variable in asked),
            known=tuple(told),
            known_units=tuple(there[name].unit for name in told),
            step=float(np.median([x.pace for x in series])),
            context=self.context,
            horizon=self.horizon,
            patch=self.patch,
            block=self.block,
            calendar=first.calendar,
            reading={name: text for name, text in self.columns.items() if name in KEPT},
            lower=tuple(possible[variable.name][0] for variable in asked),
            upper=tuple(possible[variable.name][1] for variable in asked),
            rows=first.cells[0],
            columns=first.cells[1],
        )

    def _source(self) -> tuple[Any, dict[str, Any], tuple[str, ...]]:
        """What to read, reader options, what is known to be wrong with it."""
        if self.source in embedded.SERIES and not Path(self.source).exists():
            return embedded.load(self.source), {}, ()
        if card := cards.meant(self.source, Climate.name, "climate"):
            return *cards.source(card.name), card.traps
        return self.source, {}, ()
