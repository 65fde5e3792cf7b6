"""Whether a series is of the kind that a model learned, and at a place that it learned."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from sciformer.adapter import Record
from sciformer.domains.climate.cf import same_unit
from sciformer.domains.climate.series import YEAR, Series

if TYPE_CHECKING:
    from sciformer.domains.climate.adapter import Climate

NEAR = 0.01
"""Degrees by which the place of a station may be written otherwise; cells of a grid by a tenth of their distance."""

FEW = 0.1
"""Share of the steps that are read of which fewer observations are remarked upon."""


def reach(own: "Climate", saved: Any) -> int:
    """That of a backbone which was trained with ``saved``.

    Raises ``ValueError`` where a token would hold other steps or cells than it has met."""
    if own.gridded != saved.gridded:
        kinds = ["grids" if adapter.gridded else "stations" for adapter in (own, saved)]
        raise ValueError(f"these are {kinds[0]} and the checkpoint was trained on {kinds[1]}: start from another one")
    for name in ("patch", "block"):
        if (here := getattr(own, name)) != (there := getattr(saved, name)):
            raise ValueError(
                f"data.{name} is {here} and was {there} when the checkpoint was trained: give --data.{name} {there}"
            )
    return saved.reach or saved.span


def alongside(own: "Climate", every: Sequence[Any]) -> "Climate":
    """It, with the variables and the longest stretch of all.

    Raises ``ValueError`` where a token of one would hold other steps, cells or known variables than those of another.
    """
    for name in ("patch", "block", "gridded", "known"):
        if len(there := {getattr(adapter, name) for adapter in every}) > 1:
            told = " and ".join(sorted(map(str, there)))
            raise ValueError(f"series that one backbone learns from must be of one {name}, got {told}")
    vocabulary = dict.fromkeys(name for adapter in every for name in adapter.variables)
    return dataclasses.replace(own, vocabulary=tuple(vocabulary), reach=max(adapter.span for adapter in every))


def unlike(adapter: "Climate", series: Series) -> str:
    """Why it is not, and what to do; "" where it is."""
    units = {variable.name: variable.unit for variable in series.variables}
    learned = dict(zip(adapter.every, (*adapter.units, *adapter.known_units), strict=True))
    if lost := [name for name in learned if name not in units]:
        return f"has no variable {lost[0]!r}, which the model learned; it has {', '.join(units)}"
    for name, unit in learned.items():
        if unit and units[name] and not same_unit(units[name], unit):
            mend = f"convert it, or if the source names its unit wrongly, say --columns.units {name}={unit}"
            return f"gives {name} in {units[name]}, the model learned {unit}: {mend}"
    if series.cells != (adapter.rows, adapter.columns):
        return f"is a grid of {series.cells} cells, the model learned {(adapter.rows, adapter.columns)}: regrid it"
    if series.gridded and (strange := _elsewhere(adapter, series)):
        return strange
    if series.calendar != adapter.calendar and (series.calendar in YEAR or adapter.calendar in YEAR):
        return f"has the calendar {series.calendar}, the model learned {adapter.calendar}: convert it"
    if len(series) > 1 and not 0.8 < series.pace / adapter.step < 1.25:
        return f"has steps of {series.pace:g} days, the model learned {adapter.step:g}: resample it"
    return ""


def remarks(adapter: "Climate", records: Sequence[Record]) -> list[str]:
    """What the reader noted, which places were silent of late, and which were not learned."""
    readable = [record for record in records if record.ok]
    said = [f"{record.key}: {note}" for record in readable for note in (*record.data.notes, *_silent(adapter, record))]
    strange = [record.key for record in readable if adapter.stations and record.data.place not in adapter.stations]
    if strange:
        named = ", ".join(strange[:3]) + ("" if len(strange) <= 3 else f" and {len(strange) - 3} more")
        said.append(
            f"{named}: not learned; the mean of what is read of it and the seasons of the others are taken for normal"
        )
    return said


def _silent(adapter: "Climate", record: Record) -> list[str]:
    """What was not, or hardly, observed of late; of values on disk nobody looked."""
    series, steps = adapter.recent(record, adapter.context), adapter.context
    if not isinstance(series.values, np.ndarray):
        return []
    seen = np.isfinite(series.values).any(axis=(1, 2)).sum(0)
    if not seen.any():
        return [f"nothing was observed in the last {steps} steps: the answer is what is normal"]
    named = [(variable.name, count) for variable, count in zip(series.variables, seen.tolist(), strict=True)]
    return [
        f"{name!r} was observed at {count or 'none'} of the last {steps} steps: the answer leans on what is normal"
        for name, count in named
        if count < FEW * steps
    ]


# --- places --------------------------------------------------------------------------------------------------


def recognised(adapter: "Climate", records: Sequence[Record]) -> list[Record]:
    """The records. An only one that has no name but that of its file is the learned place that a coordinate of it
    names, else the only place that was learned, unless they are known to lie apart."""
    if len(records) != 1 or not records[0].ok:
        return list(records)
    series: Series = records[0].data
    if series.named or series.place in adapter.stations or series.cells != (adapter.rows, adapter.columns):
        return list(records)
    said = set(adapter.stations) & set(_texts(series))
    possible = said or set(adapter.stations)
    if len(possible) != 1:
        return list(records)
    (place,) = possible
    lat, lon = _place(adapter, adapter.stations.index(place))
    away = _apart(series.lat, lat, "lat"), _apart(series.lon, lon, "lon")
    if (away[0] > _near(lat)).any() or (away[1] > _near(lon)).any():
        return list(records)
    note = f"taken for {place!r}, the only series that was learned: nothing says where it lies"
    notes = (*series.notes, note) if not said and np.isnan(away[0]).any() else series.notes
    return [dataclasses.replace(records[0], data=series.replaced(place=place, notes=notes))]


def _texts(series: Series) -> list[str]:
    """What the scalar coordinates of a series say in words."""
    coords = () if series.labels is None else series.labels.coords.values()
    return [str(x.item()) for x in coords if not x.dims and x.dtype.kind in "OSTU"]


def _elsewhere(adapter: "Climate", series: Series) -> str:
    """Why the cells of a grid are not those that were learned, one by one; "" where they are."""
    at = adapter.stations.index(series.place) if series.place in adapter.stations else 0
    for axis, there, known in zip(("lat", "lon"), (series.lat, series.lon), _place(adapter, at), strict=True):
        apart, near = _apart(there[:, None], known, axis), _near(known)
        if not (np.diagonal(apart) > near).any():
            continue
        if (apart.min(1) > near).any():
            told, learned = (f"{x[0]:g} to {x[-1]:g}" for x in (there, known))
            return f"has the {axis} {told}, the model learned {learned}: it is another grid, regrid it"
        return f"has {axis} in another order than the model learned: {_order(series, axis, known)}"
    return ""


def _order(series: Series, axis: str, known: Float[np.ndarray, " p"]) -> str:
    """How to bring a coordinate into the order that was learned."""
    name = (series.dims or ("lat", "lon"))[0 if axis == "lat" else -1]
    rising, falling = (bool((sign * np.diff(known) > 0).all()) for sign in (1, -1))
    if axis == "lat" and (rising or falling):
        return f'ds.sortby("{name}"{"" if rising else ", ascending=False"})'
    if axis == "lon" and rising:
        west = f"{np.floor(known[0]):g}"
        return f'ds.assign_coords({name}=(ds["{name}"] - {west}) % 360 + {west}).sortby("{name}")'
    return f"order it as there, from {known[0]:g} to {known[-1]:g}"


def _place(adapter: "Climate", at: int) -> tuple[Float[np.ndarray, " y"], Float[np.ndarray, " x"]]:
    """Where a learned place lies; NaN where nobody said, as of older checkpoints."""
    if not adapter.lat:
        return np.full(adapter.rows, np.nan), np.full(adapter.columns, np.nan)
    lat, lon = (np.array(degrees, dtype=float) for degrees in (adapter.lat, adapter.lon))
    return lat.reshape(-1, adapter.rows)[at], lon.reshape(-1, adapter.columns)[at]


def _apart(one: np.ndarray, other: np.ndarray, axis: str) -> np.ndarray:
    """Degrees between coordinates; 359 and -1 degrees east are one."""
    apart = np.abs(one - other)
    return np.minimum(apart, np.abs(apart - 360)) if axis == "lon" else apart


def _near(known: Float[np.ndarray, " p"]) -> float:
    return NEAR if len(known) == 1 else 0.1 * float(np.diff(np.sort(known)).min())
