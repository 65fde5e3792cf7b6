"""Which coordinate of a dataset is which: by CF attributes and dates, and by exact names where those are silent."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from sciformer.data.targets import listed
from sciformer.domains.climate.times import is_date

SINCE = re.compile(r"\bsince\b", re.IGNORECASE)
"""What units of countable times say."""

_NORTH = frozenset({"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"})
_EAST = frozenset({"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"})
_DEGREES = frozenset({"degree", "degrees", "deg", "°", "degt", "deg t", "degree true", "degrees true"})
_RADIANS = frozenset({"rad", "radian", "radians"})
_SYNONYMS = {
    **dict.fromkeys(("celsius", "degc", "deg_c", "degreec", "degreesc", "degree_c", "degrees_c", "°c"), "celsius"),
    **dict.fromkeys(("degcelsius", "deg_celsius", "degreecelsius", "degree_celsius", "degrees_celsius"), "celsius"),
    **dict.fromkeys(("k", "kelvin", "kelvins", "degk", "deg_k", "degree_kelvin", "degrees_kelvin"), "kelvin"),
    **dict.fromkeys(("%", "percent", "per_cent"), "percent"),
}
"""One name for units that are the same, without blanks and capitals."""
_SILENT = {"time": ("time",), "lat": ("lat", "latitude"), "lon": ("lon", "longitude")}
"""Names that count where no attribute says anything."""


@dataclass(frozen=True)
class Places:
    """Names of the coordinates of places, "" where there are none; and the dimension of stations, if they lie along
    one."""

    lat: str = ""
    lon: str = ""
    station: str = ""
    """The dimension of stations."""
    names: str = ""
    """The coordinate that holds the names of the stations, a scalar that of one; "" where they have none."""
    notes: tuple[str, ...] = ()


def find_time(data: xr.Dataset, where: str) -> tuple[str, str]:
    """The coordinate of time, and a note where only its name says so; "" where there is none.

    Raises ``ValueError`` where several could be it.
    """
    candidates = [name for name in data.variables if _is_time(data, str(name))]
    for wanted in (
        [name for name in candidates if name in data.dims],
        [name for name in candidates if data[name].attrs.get("standard_name") == "time"],
        candidates,
    ):
        if len(wanted) == 1:
            return str(wanted[0]), ""
        if len(wanted) > 1 and wanted is candidates:
            raise ValueError(f"{where} has several times ({listed([str(n) for n in wanted])}); name one as time")
    return _by_name(data, "time", "the time")


def _is_time(data: xr.Dataset, name: str) -> bool:
    """A coordinate that is decoded, or can be; data variables that hold dates are no axis."""
    times = data[name]
    if times.ndim != 1 or name in bounds(data) or not (name in data.dims or name in data.coords or _says_time(times)):
        return False
    return is_date(times.variable) or bool(SINCE.search(str(times.attrs.get("units", ""))))


def _says_time(times: xr.DataArray) -> bool:
    return times.attrs.get("standard_name") == "time" or times.attrs.get("axis") == "T"


def find_places(data: xr.Dataset, time: str, options_lat: str, options_lon: str, station: str, where: str) -> Places:
    """Latitudes, longitudes and stations; ``time`` is the dimension of time, names that are given win.

    Raises ``ValueError`` where one that is named is not there, several could be it, or places move or lie on a
    curvilinear grid.
    """
    lat, note_lat = _find_place(data, "lat", options_lat, where)
    lon, note_lon = _find_place(data, "lon", options_lon, where)
    for name in (lat, lon):
        if name and time in data[name].dims:
            raise ValueError(f"{where}: {name!r} changes with time; a moving place is no station, delete it")
        if name and data[name].ndim > 1:
            raise ValueError(
                f"{where}: {name!r} has the dimensions {', '.join(map(str, data[name].dims))}: a curvilinear grid; "
                "regrid it to latitudes and longitudes that are its own dimensions"
            )
    for name, most in ((lat, 90), (lon, 360)):
        if name and (reach := np.nanmax(np.abs(np.asarray(data[name].values, dtype=np.float64)), initial=0)) > most:
            raise ValueError(f"{where}: {name!r} goes to {reach:g}; {name!r} must be degrees, at most {most}")
    dim = _station_dim(data, lat, lon, station, where)
    return Places(lat, lon, dim, _station_names(data, dim, station), tuple(n for n in (note_lat, note_lon) if n))


def _find_place(data: xr.Dataset, kind: Literal["lat", "lon"], given: str, where: str) -> tuple[str, str]:
    if given:
        if given not in data.variables:
            raise not_there(given, [str(name) for name in data.variables], where, kind)
        return given, ""
    candidates = [str(name) for name in data.variables if _is_place(data, str(name), kind)]
    for wanted in ([name for name in candidates if name in data.dims], candidates):
        if len(wanted) == 1:
            return wanted[0], ""
    if candidates:
        raise ValueError(f"{where}: {listed(candidates)} all say that they are {kind}; name one as {kind}")
    return _by_name(data, kind, {"lat": "degrees north", "lon": "degrees east"}[kind])


def _is_place(data: xr.Dataset, name: str, kind: Literal["lat", "lon"]) -> bool:
    attributes = data[name].attrs
    standard, axis, units = {"lat": ("latitude", "Y", _NORTH), "lon": ("longitude", "X", _EAST)}[kind]
    if name in bounds(data):
        return False
    if attributes.get("standard_name") or attributes.get("units"):  # an axis alone may be in metres
        return attributes.get("standard_name") == standard or str(attributes.get("units", "")).lower() in units
    return attributes.get("axis") == axis


def _by_name(data: xr.Dataset, kind: str, meaning: str) -> tuple[str, str]:
    """The variable with the plain name, where it says nothing else of itself."""
    for name in _SILENT[kind]:
        if name in data.variables and data[name].ndim <= 1 and not data[name].attrs.get("standard_name"):
            return name, f"{name!r} is taken for {meaning} by its name: no attribute says so"
    return "", ""


def bounds(data: xr.Dataset) -> set[str]:
    """Names of variables that hold the edges of cells."""
    keys = ("bounds", "climatology")
    return {
        str(said[key])
        for variable in data.variables.values()
        for said in (variable.attrs, variable.encoding)
        for key in keys
        if key in said
    }


def _station_dim(data: xr.Dataset, lat: str, lon: str, station: str, where: str) -> str:
    """The dimension along which stations lie: the one named, or the one that both coordinates share."""
    if station:
        if station in data.dims:
            return station
        if station not in data.variables:
            raise not_there(station, [*map(str, data.variables), *map(str, data.dims)], where, "station")
        if data[station].ndim > 1:
            raise ValueError(f"{where}: {station!r} has {data[station].ndim} dimensions; stations lie along one")
        return str(data[station].dims[0]) if data[station].ndim else ""
    if lat and lon and data[lat].dims == data[lon].dims and data[lat].ndim == 1:
        return str(data[lat].dims[0])
    return ""


def _station_names(data: xr.Dataset, dim: str, station: str) -> str:
    """What is said to be names, else what CF calls the id of a series, else the coordinate of the dimension. Where
    stations lie along none, a scalar is the name of the only one."""
    if station != dim and station in data.variables:
        return station
    for name, variable in data.variables.items():
        if variable.attrs.get("cf_role") == "timeseries_id" and variable.dims == ((dim,) if dim else ()):
            return str(name)
    return dim if dim in data.variables else ""


# --- units, directions ---------------------------------------------------------------------------------------


def unit_of(variable: xr.DataArray | xr.Variable) -> str:
    return str(variable.attrs.get("units", "")).strip()


def same_unit(one: str, other: str) -> bool:
    """Whether two units are one: written alike but for blanks and capitals, or well-known names of one."""
    plain, others = ("".join(unit.split()).casefold() for unit in (one, other))
    return _SYNONYMS.get(plain, plain) == _SYNONYMS.get(others, others)


def goes_round(variable: xr.DataArray) -> bool:
    """Whether CF calls it a direction of something."""
    name = str(variable.attrs.get("standard_name", ""))
    return "from_direction" in name or "to_direction" in name


def full_turn(unit: str) -> float | None:
    """How much a full turn is in that unit; None where it is no angle."""
    if unit.casefold() in _RADIANS:
        return 6.283185307179586
    return 360.0 if not unit or unit.casefold() in _DEGREES else None


def left_out(reasons: Iterable[tuple[str, str]]) -> str:
    """One note on variables that are not read, by reason; "" where there are none."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons:
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(f"{listed(names)} ({reason})" for reason, names in by_reason.items())


def not_there(name: str, there: Sequence[str], where: str, role: str = "variable") -> ValueError:
    """That nothing is called so, what is, and what is like it."""
    close = difflib.get_close_matches(name.strip().lower(), {other.lower(): other for other in there}, n=3)
    hint = f"did you mean {' or '.join(repr(o) for o in there if o.lower() in close)}? " if close else ""
    return ValueError(f"{where} has no {role} named {name!r}; {hint}there are: {listed(there) or 'none'}")
