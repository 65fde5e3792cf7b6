"""One dataset to variables on common dimensions: time first, then stations, or latitudes and longitudes."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sciformer.domains.climate import regions, times
from sciformer.domains.climate.cf import (
    Places,
    bounds,
    find_places,
    full_turn,
    goes_round,
    left_out,
    not_there,
    unit_of,
)
from sciformer.domains.climate.files import LARGEST, in_pieces
from sciformer.domains.climate.options import Options


@dataclass(frozen=True, kw_only=True)
class Laid:
    """A dataset whose variables have the dimensions ``dims`` and are float32, NaN where nothing was observed."""

    data: xr.Dataset
    time: str
    dims: tuple[str, ...]
    """Of every variable: time; or time and stations; or time and one or both of latitude and longitude."""
    places: Places
    where: str
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.data.data_vars]

    @property
    def loaded(self) -> bool:
        return not self.data.chunks


def lay(
    data: xr.Dataset, time: str, options: Options, where: str, left: Mapping[str, str], notes: Sequence[str]
) -> Laid:
    """The variables of ``data``, whose dimension ``time`` has dates as coordinate; ``left`` are those that are left
    out already, and why.

    Raises ``ValueError`` where a named variable, or every variable, cannot be used.
    """
    places = find_places(data, time, options.lat or "", options.lon or "", options.station or "", where)
    data = data.set_coords([name for name in (places.lat, places.lon, places.names) if name])
    kept = (time, *_place_dims(data, places))
    data = data.isel({dim: 0 for dim, size in data.sizes.items() if size == 1 and dim not in kept})
    names, dims, reasons = _chosen(data, time, places, options, where, left)
    told = left_out(reasons)
    data = data[names].transpose(*dims, missing_dims="ignore")
    data, tidied = times.tidy(data, time, where)
    data, others = _with_units(data, options, where)
    data = regions.inside(data, places, options.region, where) if options.region else data
    size = sum(4.0 * variable.size for variable in data.data_vars.values())
    data = in_pieces(data, time) if size > LARGEST and not data.chunks else data  # of dask it stays what it is
    data = _numbers(data, options)
    if options.boxes:
        data, dims, places = regions.means(data, places, options.boxes, where), (time,), Places(notes=places.notes)
    data, circular = _round(data, options, where)
    all_notes = (*notes, *places.notes, f"left out: {told}" if told else "", *tidied, *others, *circular)
    laid = Laid(data=data, time=time, dims=dims, places=places, where=where, notes=tuple(n for n in all_notes if n))
    return _in_memory(laid) if laid.loaded else laid


# --- which variables, on which dimensions --------------------------------------------------------------------


def _place_dims(data: xr.Dataset, places: Places) -> tuple[str, ...]:
    """Dimensions that variables may have beside time."""
    if places.station:
        return (places.station,)
    return tuple(str(data[name].dims[0]) for name in (places.lat, places.lon) if name and data[name].ndim)


def _chosen(
    data: xr.Dataset, time: str, places: Places, options: Options, where: str, before: Mapping[str, str]
) -> tuple[list[str], tuple[str, ...], list[tuple[str, str]]]:
    """Names of the variables, their dimensions in order, and which are left out for which reason (now or before)."""
    there = [str(name) for name in data.data_vars if str(name) not in bounds(data)]
    for name in options.variables:
        if name not in there:
            raise not_there(name, there, where)
    allowed = _place_dims(data, places)
    asked = list(options.variables) or there
    reasons = {name: _unusable(data[name], time, allowed) for name in asked}
    usable = [name for name in asked if not reasons[name]]
    kinds = {name: frozenset(map(str, data[name].dims)) for name in usable}
    if kinds:
        fullest = max(kinds.values(), key=lambda kind: (len(kind), sum(other == kind for other in kinds.values())))
        for name in usable:
            if kinds[name] != fullest:
                reasons[name] = f"not on the dimensions {', '.join(sorted(fullest))} of the others; read it apart"
    left = [*before.items(), *((name, reason) for name, reason in reasons.items() if reason)]
    kept = [name for name in asked if not reasons[name]]
    if left and (options.variables or not kept):
        raise ValueError(f"{where}: cannot use {left_out(left)}")
    if not kept:
        raise ValueError(f"{where} has no variables beside its coordinates")
    return kept, (time, *(dim for dim in allowed if dim in kinds[kept[0]])), left


def _unusable(variable: xr.DataArray, time: str, allowed: Sequence[str]) -> str:
    """Why a variable cannot be read; "" where it can."""
    if variable.dtype.kind not in "iufb":
        return "no numbers"
    if time not in variable.dims:
        return f"without the dimension {time}"
    if more := [f"{dim} of {variable.sizes[dim]}" for dim in variable.dims if dim not in (time, *allowed)]:
        return f"with the dimension {', '.join(more)}: select one of it, or if it is a place, name lat, lon or station"
    return ""


# --- where, and in which unit --------------------------------------------------------------------------------


def _with_units(data: xr.Dataset, options: Options, where: str) -> tuple[xr.Dataset, list[str]]:
    """With the stated units in the attributes."""
    notes = []
    for name, unit in (options.units or {}).items():
        if name in data.data_vars:
            if (before := unit_of(data[name])) and before != unit:
                notes.append(f"{name!r} is in {before!r} by the source, and taken to be in {unit!r} as stated")
            data[name] = data[name].assign_attrs(units=unit)
        elif options.variables and name not in options.variables:
            raise ValueError(f"{where}: a unit is given for {name!r}, which is not among the variables")
    return data, notes


# --- numbers -------------------------------------------------------------------------------------------------


def _numbers(data: xr.Dataset, options: Options) -> xr.Dataset:
    """float32, without the values that mean missing."""

    def number(variable: xr.DataArray) -> xr.DataArray:
        for value in options.missing:
            variable = variable.where(variable != np.asarray(value).astype(variable.dtype))
        return variable.astype(np.float32)

    with np.errstate(over="ignore"):  # what is too large becomes infinite, and that counts as missing
        return data.map(number, keep_attrs=True)


def _round(data: xr.Dataset, options: Options, where: str) -> tuple[xr.Dataset, list[str]]:
    """With sine and cosine in place of directions: 359 and 1 degrees are neighbours."""
    for name in options.circular:
        if name not in data.data_vars:
            raise not_there(name, [str(known) for known in data.data_vars], where)
    parts: dict[str, xr.DataArray] = {}
    notes = []
    for name, variable in data.data_vars.items():
        turn = full_turn(unit_of(variable))
        if not (name in options.circular or (goes_round(variable) and turn)):
            parts[str(name)] = variable
            continue
        if turn is None:
            raise ValueError(f"{where}: {name!r} is in {unit_of(variable)!r} and not in degrees; it cannot be circular")
        angle = variable * (2 * np.pi / turn)
        for form, function, word in (("sin", np.sin, "sine"), ("cos", np.cos, "cosine")):
            if (part := f"{name}_{form}") in data.data_vars:
                raise ValueError(f"{where}: {name!r} is a direction to be read as {part!r}, which is there already")
            about = {"units": "1", "long_name": f"{word} of {variable.attrs.get('long_name', name)}"}
            about |= {"valid_min": -1.0, "valid_max": 1.0}
            parts[part] = angle.copy(data=function(angle.data)).drop_attrs(deep=False).assign_attrs(about)
        notes.append(f"{name!r} is a direction: read as {name}_sin and {name}_cos")
    return data.drop_vars(list(data.data_vars)).assign(parts), notes


# --- what the values themselves say --------------------------------------------------------------------------


def _in_memory(laid: Laid) -> Laid:
    """Loaded, infinite values taken for missing."""
    with np.errstate(over="ignore"):
        data = laid.data.load()
    count = sum(int(np.isinf(variable.values).sum()) for variable in data.data_vars.values())
    if not count:
        return dataclasses.replace(laid, data=data)
    data = data.map(lambda variable: variable.where(np.isfinite(variable)), keep_attrs=True)
    return dataclasses.replace(laid, data=data, notes=(*laid.notes, f"{count} infinite values count as missing"))


def without_empty(parts: Sequence[Laid], options: Options) -> list[Laid]:
    """The same without variables that have no value in any part; parts that are not in memory are not searched.

    Raises ``ValueError`` where such a variable was named, or none is left.
    """
    some = [part for part in parts if part.data.sizes[part.time]]
    if not some or not all(part.loaded for part in some):
        return list(parts)
    names = some[0].names
    empty = [name for name in names if all(np.isnan(part.data[name].values).all() for part in some)]
    stated = [name for name in empty if name in options.variables]
    if stated or len(empty) == len(names):
        raise ValueError(f"{parts[0].where}: no value of {', '.join(stated or empty)} is known (all are missing)")
    if not empty:
        return list(parts)
    note = f"left out: {', '.join(empty)} (all values are missing)"
    return [dataclasses.replace(part, data=part.data.drop_vars(empty), notes=(*part.notes, note)) for part in parts]
