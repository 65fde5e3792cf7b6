"""From laid datasets to records: one series for each station or grid."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from sciformer.adapter import Record
from sciformer.data.targets import label
from sciformer.domains.climate import times
from sciformer.domains.climate.cf import unit_of
from sciformer.domains.climate.layout import Laid
from sciformer.domains.climate.options import Options
from sciformer.domains.climate.series import Series, Variable


@dataclass(frozen=True, kw_only=True)
class Found:
    """A dataset of one series or of several stations along a dimension; None where it cannot be read."""

    key: str
    laid: Laid | None
    problem: str = ""
    named: bool = False
    """Whether the source itself calls the series ``key``."""


def records(found: Found, options: Options) -> list[Record]:
    if found.laid is None:
        return [Record(key=found.key, group=found.key, problem=found.problem)]
    return [_record(key, laid, options, found.named) for key, laid in _apart(found.key, found.laid).items()]


def _apart(key: str, laid: Laid) -> Mapping[str, Laid]:
    """The stations of a dataset by name, each with its coordinates as scalars."""
    dim = laid.places.station
    if not dim or dim not in laid.dims:
        return {_station_names(laid)[0] if laid.places.names else key: laid}
    names = _station_names(laid)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"{laid.where}: two stations are called {twice!r}; make the names unique")
    alone = dataclasses.replace(laid.places, station="")
    return {
        name: dataclasses.replace(
            laid,
            data=laid.data.isel({dim: i}),
            dims=laid.dims[:1],
            places=alone,
            where=f"{laid.where}, station {name}",
        )
        for i, name in enumerate(names)
    }


def _station_names(laid: Laid) -> list[str]:
    if not laid.places.names or laid.places.names not in laid.data.coords:
        return [str(i + 1) for i in range(laid.data.sizes[laid.places.station])]
    cells = np.atleast_1d(laid.data[laid.places.names].values).tolist()
    return [label(cell.decode(errors="replace") if isinstance(cell, bytes) else cell) for cell in cells]


def _record(key: str, laid: Laid, options: Options, named: bool) -> Record:
    try:
        series = _series(laid, options)
        return Record(key=key, data=series.replaced(place=key, named=named or bool(laid.places.names)), group=key)
    except ValueError as error:
        return Record(key=key, group=key, problem=str(error))


def _series(laid: Laid, options: Options) -> Series:
    """The series of one place or grid.

    Raises ``ValueError`` where it has fewer than two steps or no value.
    """
    dates = laid.data[laid.time].values
    if len(dates) < 2:
        raise ValueError(f"{laid.where} has {len(dates) or 'no'} step{'s' * (len(dates) != 1)}; a series needs two")
    time = times.days(dates)
    step = times.median_step(time, options.step, laid.where)
    values = _squares(laid)
    notes = [*laid.notes, *times.oddities(dates, time, step)]
    if laid.loaded:
        notes += _said_by(values, laid)
    else:
        notes.append("values stay on disk: nobody looked for variables that are constant or all missing")
    return Series(
        time=time,
        values=values,
        variables=tuple(_variable(laid.data[name]) for name in laid.names),
        lat=_degrees(laid, laid.places.lat),
        lon=_degrees(laid, laid.places.lon),
        calendar=times.calendar(laid.data[laid.time].variable),
        step=step,
        dims=laid.dims[1:],
        labels=_labels(laid),
        notes=tuple(notes),
    )


def _variable(data: xr.DataArray) -> Variable:
    return Variable(str(data.name), unit_of(data), str(data.attrs.get("long_name", "")))


def _said_by(values: np.ndarray, laid: Laid) -> list[str]:
    """Notes on variables that are constant or missing at this place.

    Raises ``ValueError`` where nothing is known.
    """
    known = np.isfinite(values)
    if not known.any():
        raise ValueError(f"{laid.where}: all values are missing")
    notes = []
    for j, name in enumerate(laid.names):
        seen = values[..., j][known[..., j]]
        if not seen.size:
            notes.append(f"{name!r} has no value here")
        elif seen.min() == seen.max():
            notes.append(f"{name!r} is {seen[0]:g} at all times")
    return notes


def _labels(laid: Laid) -> xr.Dataset:
    """Coordinates, and for each variable a scalar without value that has its attributes."""
    empty = {name: ((), np.float32(np.nan), laid.data[name].attrs) for name in laid.names}
    return laid.data.drop_vars(laid.names).assign(empty)


def _squares(laid: Laid) -> Any:
    """Values [n, y, x, variables] of a laid dataset without stations, of numpy or dask."""
    arrays = [laid.data[name].data for name in laid.names]
    y, x = (len(_degrees(laid, name)) for name in (laid.places.lat, laid.places.lon))
    if laid.loaded:
        return np.stack([array.reshape(-1, y, x) for array in arrays], axis=-1)
    import dask.array  # takes a second, and most sources are small

    stacked = dask.array.stack([array.reshape(-1, y, x) for array in arrays], axis=-1)
    return dask.array.where(dask.array.isfinite(stacked), stacked, np.float32(np.nan))


def _along(laid: Laid, name: str) -> bool:
    """Whether the variables go along that coordinate."""
    dims = laid.data[name].dims if name in laid.data.coords else ()
    return bool(dims) and dims[0] in laid.dims


def _degrees(laid: Laid, name: str) -> Float[np.ndarray, " p"]:
    """Degrees of a coordinate of place, one for each cell along it; one NaN where there is none."""
    if not name or name not in laid.data.coords or (laid.data[name].ndim and not _along(laid, name)):
        return np.array([np.nan])
    return np.atleast_1d(np.asarray(laid.data[name].values, dtype=np.float64))
