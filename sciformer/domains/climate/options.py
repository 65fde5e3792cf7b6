"""What the caller says about a source of series, as plain values: it may come from a command line."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Region(NamedTuple):
    """A box in degrees; it goes east from ``west`` to ``east``, across the seam of the longitudes if need be."""

    south: float
    north: float
    west: float
    east: float


class Step(NamedTuple):
    """The time from one step to the next as the caller writes it, in days, and how far (relative) it may be missed."""

    text: str
    days: float
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Options:
    """None and empty values leave it to the source."""

    variables: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    """Name of the time, or names of its parts from the year down."""
    time_format: str | None = None
    """As for ``strptime``: how texts or numbers such as 185601 (%Y%m) are times."""
    station: str | None = None
    lat: str | None = None
    lon: str | None = None
    units: Mapping[str, str] | None = None
    circular: tuple[str, ...] = ()
    """Variables in degrees that go round: each becomes its sine and its cosine."""
    region: Region | None = None
    boxes: Mapping[str, Region] | None = None
    """Boxes of a grid by name; their means are read in place of the cells."""
    step: Step | None = None
    missing: tuple[float, ...] = ()


def options_from(given: Mapping[str, Any]) -> Options:
    """Options by name.

    Raises ``ValueError`` where one is unknown or has an impossible value.
    """
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            raise ValueError(f"no option named {name!r}; options: {', '.join(known)}")
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in ("time_format", "station", "lat", "lon"):
        if not isinstance(chosen.get(name, ""), str):
            raise ValueError(f"{name} must be text, got {chosen[name]!r}")
    parsers = {
        "variables": _names,
        "time": _names,
        "circular": _names,
        "units": _units,
        "region": _region,
        "boxes": _boxes,
        "step": _step,
        "missing": _numbers,
    }
    return Options(**{name: parsers[name](value) if name in parsers else value for name, value in chosen.items()})


def _names(value: Any) -> tuple[str, ...]:
    cells = value.split(",") if isinstance(value, str) else list(value)
    names = tuple(str(cell).strip() for cell in cells if str(cell).strip())
    if len(set(names)) < len(names):
        raise ValueError(f"names must be different, got {', '.join(names)}")
    return names


def _numbers(value: Any) -> tuple[float, ...]:
    cells = value.split(",") if isinstance(value, str) else np.atleast_1d(value).tolist()
    try:
        return tuple(float(cell) for cell in cells)
    except (TypeError, ValueError):
        raise ValueError(f"missing must be numbers, comma separated, got {value!r}") from None


def _units(value: Any) -> dict[str, str]:
    return _named(value, ",", "units must be name=unit, comma separated")


def _boxes(value: Any) -> dict[str, Region]:
    named = _named(value, ";", "boxes must be name=lat0:lat1,lon0:lon1, separated by semicolons")
    return {name: _region(box, f"the box {name!r}") for name, box in named.items()}


def _named(value: Any, between: str, form: str) -> dict[str, str]:
    """``name=text`` pairs."""
    if isinstance(value, Mapping):
        return {str(name): str(text) for name, text in value.items()}
    pairs = [cell.partition("=") for cell in str(value).split(between) if cell.strip()]
    if (bad := next((pair for pair in pairs if not (pair[1] and pair[0].strip())), None)) is not None:
        raise ValueError(f"{form}, got {''.join(bad)!r}")
    names = [name.strip() for name, _, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{form}, got {twice[0]!r} twice")
    return dict(zip(names, (text.strip() for _, _, text in pairs), strict=True))


def _region(value: Any, named: str = "region") -> Region:
    try:
        (south, north), (west, east) = ([float(x) for x in side.split(":")] for side in str(value).split(","))
    except ValueError:
        raise ValueError(f"{named} must be lat0:lat1,lon0:lon1 (such as 40:60,-10:10), got {value!r}") from None
    if max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 360:
        raise ValueError(f"{named} must lie within 90 degrees of latitude and 360 of longitude, got {value!r}")
    return Region(min(south, north), max(south, north), west, east)


def _step(value: Any) -> Step:
    """Months and years vary in length, so they are met less narrowly."""
    try:
        dates = pd.date_range("2001-01-01", periods=25, freq=str(value))
    except ValueError:
        raise ValueError(f"step must be a duration such as 10min, 1h, 1D, 1MS (month) or 1YS, got {value!r}") from None
    days = float(np.median(np.diff(dates.values) / np.timedelta64(1, "D")))
    return Step(str(value), days, 0.12 if days > 27 else 0.001)
