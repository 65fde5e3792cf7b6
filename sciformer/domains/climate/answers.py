"""Answers as a climate scientist expects them: an xarray Dataset in the names, units and coordinates of the source."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pandas as pd
import xarray as xr

from sciformer.adapter import Record
from sciformer.domains.climate import tables
from sciformer.domains.climate.questions import WITHOUT_CALENDAR
from sciformer.domains.climate.series import EPOCH, Series

QUANTILE = "quantile"
TOGETHER = 64
"""Stations on disk that are answered at once: they share pieces of the file."""

Case = tuple[Record, Series]
Answer = Callable[[Sequence[Case]], pd.DataFrame]


def is_dataset(source: Any) -> bool:
    """Whether a source is an xarray object, or files of one."""
    if isinstance(source, xr.Dataset | xr.DataArray):
        return True
    paths = source if isinstance(source, list | tuple) else [source]
    return all(isinstance(path, str | Path) and not tables.is_table(Path(path)) for path in paths)


def dates(days: np.ndarray, calendar: str) -> np.ndarray:
    """Moments as the source would decode them: datetime64 in the standard calendar, cftime in any other."""
    if calendar in WITHOUT_CALENDAR:
        return (pd.Timestamp(EPOCH) + pd.to_timedelta(days, unit="D")).round("ms").to_numpy(dtype="datetime64[us]")
    return cftime.num2date(days, f"days since {EPOCH}", calendar=calendar)


def present(source: Any, records: Sequence[Record], cases: Sequence[Case], answer: Answer) -> Any:
    """An ``xarray.Dataset`` for one, and for files of netCDF or zarr; of dask where the values are. None for a table.

    Raises ``ValueError`` where none of it can be answered: a Dataset has no place to say why.
    """
    if not is_dataset(source):
        return None
    if not cases:
        raise ValueError(f"{records[0].key} {records[0].problem}")
    return dataset(cases, answer, {record.key: record.problem for record in records if not record.ok})


def dataset(cases: Sequence[Case], answer: Answer, problems: Mapping[str, str]) -> xr.Dataset:
    """Quantiles by time and place, of the stations (or the grid) that could be answered.

    ``cases``: of each place what is read of it, and the questions. ``answer``: from such to a row for every number of
    the questions, with the columns ``q0.05`` and so on, ``mean``, ``lower`` and ``upper`` (to the ``level`` in its
    attributes). ``problems``: why the others have none. Where values are on disk nothing is answered yet: the Dataset
    is of dask, a piece for the grid or for each station.
    """
    columns = _columns(answer([]))
    values = [record.data.values for record, _ in cases]
    here = all(isinstance(x, np.ndarray) for x in values)
    cubes = _cubes(cases, answer, values) if here else _later(cases, answer, len(columns))
    parts = [_of_place(asked, cube, sorted(columns)) for (_, asked), cube in zip(cases, cubes, strict=True)]
    if len(parts) == 1:
        whole = parts[0]
    else:
        dim = _station(cases[0][1])
        whole = xr.concat(parts, dim=dim, coords="different", compat="equals", join="outer", combine_attrs="override")
    first = ["time", *(str(dim) for dim in whole.dims if dim not in ("time", QUANTILE)), QUANTILE]
    stamp = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}: forecast by sciformer"
    told = {"history": "\n".join(x for x in (str(whole.attrs.get("history", "")).strip(), stamp) if x)}
    if problems:
        told["problems"] = "\n".join(f"{name}: {why}" for name, why in problems.items())
    return whole.transpose(*first).assign_attrs(told)


def _cubes(cases: Sequence[Case], answer: Answer, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Quantiles [steps, y, x, variables, quantiles] of each place whose ``values`` were read; NaN where nothing was
    asked."""
    read = [record.data.replaced(values=x) for (record, _), x in zip(cases, values, strict=True)]
    table = answer([(dataclasses.replace(x, data=y), z) for (x, z), y in zip(cases, read, strict=True)])
    out, start = [], 0
    columns = _columns(table)
    quantiles = table[[columns[share] for share in sorted(columns)]].to_numpy(np.float32)
    for _, questions in cases:
        asked = np.isfinite(np.asarray(questions.values))
        cube = np.full((*asked.shape, len(columns)), np.nan, dtype=np.float32)
        stop = start + np.count_nonzero(asked)
        cube[asked] = quantiles[start:stop]
        out.append(cube)
        start = stop
    return out


def _later(cases: Sequence[Case], answer: Answer, quantiles: int) -> list[Any]:
    """The same as dask arrays."""
    import dask.array
    from dask.delayed import delayed

    out = []
    for start in range(0, len(cases), TOGETHER):
        some = cases[start : start + TOGETHER]
        work = delayed(functools.partial(_cubes, some, answer), nout=len(some))
        cubes = work([record.data.values for record, _ in some])
        shapes = [(*asked.values.shape, quantiles) for _, asked in some]
        out += [dask.array.from_delayed(x, s, np.float32) for x, s in zip(cubes, shapes, strict=True)]
    return out


def _of_place(series: Series, values: Any, shares: Sequence[float]) -> xr.Dataset:
    labels = series.labels if series.labels is not None else xr.Dataset()
    where, out = series.dims, {}
    shape = [len(series), *(labels.sizes[dim] for dim in where), len(shares)]
    for j, variable in enumerate(series.variables):
        attrs = dict(labels[variable.name].attrs) if variable.name in labels else {}
        attrs |= {"units": variable.unit} if variable.unit else {}
        out[variable.name] = (("time", *where, QUANTILE), values[..., j, :].reshape(shape), attrs)
    keep = {str(name): x for name, x in labels.coords.items() if "time" not in x.dims}
    time = ("time", dates(series.time, series.calendar), labels["time"].attrs if "time" in labels.coords else {})
    quantile = (QUANTILE, shares, {"long_name": "share of truths that should lie below"})
    coords = {**keep, "time": time, QUANTILE: quantile}
    if not where and not _named(series):
        coords["station"] = series.place
    return xr.Dataset(out, coords=coords, attrs=labels.attrs)


def _columns(table: pd.DataFrame) -> dict[float, str]:
    """The column of each quantile; the mean of a Gaussian is its middle."""
    level = table.attrs["level"]
    ends = {round((1 - level) / 2, 6): "lower", 0.5: "mean", round((1 + level) / 2, 6): "upper"}
    return ends | {float(str(name)[1:]): str(name) for name in table if str(name).startswith("q0")}


def _named(series: Series) -> str:
    """The scalar coordinate that holds the name of the station, if any."""
    coords = series.labels.coords if series.labels is not None else {}
    return next((str(name) for name, x in coords.items() if not x.dims and str(x.item()) == series.place), "")


def _station(series: Series) -> str:
    return _named(series) or "station"
