"""Tables of time (CSV, Parquet, pandas) to one dataset per station."""

import dataclasses
import gzip
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import xarray as xr

from sciformer.data.targets import label, listed
from sciformer.domains.climate.cf import not_there
from sciformer.domains.climate.dates import dates_of, is_dates
from sciformer.domains.climate.options import Options

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
_PLACES = {"lat": ("lat", "latitude"), "lon": ("lon", "longitude")}
_CF = {
    "lat": {"standard_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "units": "degrees_east"},
}


@dataclass(frozen=True, kw_only=True)
class Station:
    """The rows of one station (or of a whole table): ``data`` has the dimension ``time`` and numbers alone."""

    key: str
    data: xr.Dataset | None
    problem: str = ""
    time: str = "time"
    notes: tuple[str, ...] = ()
    left: dict[str, str] = field(default_factory=dict)
    """Columns that are no variables, and why."""


def is_table(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(SUFFIXES)


def read_table(path: Path) -> pd.DataFrame:
    """A file as pandas reads it.

    Raises ``ValueError`` or ``OSError`` where it is missing, empty, a web page or no table.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path (working directory {Path.cwd()})")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty (0 bytes); fetch it again")
    if path.suffix.lower() in (".parquet", ".pq"):
        try:
            return pd.read_parquet(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{path} is damaged or no Parquet file ({str(error).splitlines()[0]})") from None
    try:
        opener = gzip.open if path.suffix.lower() == ".gz" else open
        with opener(path, "rb") as stream:
            first = stream.readline()
        if first.lstrip()[:1] == b"<":
            raise ValueError(f"{path} is a web page (begins with {first[:16]!r}); fetch the table itself")
        sep = max((",", ";", "\t"), key=first.decode("utf-8", "replace").count)
        return pd.read_csv(path, sep=sep, skipinitialspace=True, low_memory=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is no table of text ({' '.join(str(error).split())})") from None


def stations(frame: pd.DataFrame | pd.Series, options: Options, key: str, where: str) -> list[Station]:
    """The stations of a table in order of appearance; a table without a column of stations is one, called ``key``.

    Raises ``ValueError`` where the table as a whole cannot be read.
    """
    frame = _flat(frame)
    if not len(frame):
        raise ValueError(f"{where} has no rows: a series needs at least two steps")
    names = [str(name) for name in frame.columns]
    for name in (*options.time, options.station, options.lat, options.lon):
        if name and name not in names:
            raise not_there(name, names, where, "column")
    time = list(options.time) or [_time_column(frame, where)]
    zone_notes = [_without_zone(frame, name) for name in time]
    places = {kind: getattr(options, kind) or _place_column(names, kind) for kind in ("lat", "lon")}
    notes = [note for note in zone_notes if note]
    notes += [
        f"{name!r} is taken for degrees {'north' if kind == 'lat' else 'east'} by its name"
        for kind, name in places.items()
        if name and not getattr(options, kind)
    ]
    columns = [xr.DataArray(frame[name].to_numpy(), dims="time", name=name) for name in time]
    dates, more = dates_of(columns, options, where)
    used = {*time, options.station, *places.values()} - {"", None}
    values, left = _variables(frame, [name for name in names if name not in used], options, where)
    found = []
    for name, rows in _groups(frame, options.station, key, where):
        data = xr.Dataset(
            {column: ("time", cells[rows]) for column, cells in values.items()},
            coords={"time": ("time", dates[rows], {"standard_name": "time"})},
        )
        part = Station(key=name, data=data, notes=(*notes, *more), left=left)
        found.append(_placed(part, frame.iloc[rows], places, where))
    return found


def _flat(frame: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """With the index among the columns, where it says something."""
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(frame.name if frame.name is not None else "value")
    frame = frame.copy(deep=False)
    if isinstance(frame.index, pd.PeriodIndex):
        frame.index = frame.index.to_timestamp()
    if isinstance(frame.index, pd.DatetimeIndex) and frame.index.name is None:
        frame.index.name = "time"
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = pd.Index([" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns])
    if names.has_duplicates:
        raise ValueError(f"two columns of the table are called {names[names.duplicated()][0]!r}; rename one")
    frame.columns = names
    return frame


def _time_column(frame: pd.DataFrame, where: str) -> str:
    """The column of dates: the only one, or the one called time."""
    dates = [
        str(name)
        for name, column in frame.items()
        if pd.api.types.is_datetime64_any_dtype(column)
        or (not pd.api.types.is_numeric_dtype(column) and is_dates(column))
    ]
    if "time" in frame.columns:
        return "time"
    if len(dates) == 1:
        return dates[0]
    if dates:
        raise ValueError(f"{where} has several columns of dates ({listed(dates)}); name one as time")
    raise ValueError(
        f"{where} has no time (no column of dates such as 2020-12-31 23:00); name the column, or those of year, month, "
        f"day and hour, as time; columns: {listed([str(name) for name in frame.columns])}"
    )


def _place_column(names: Sequence[str], kind: str) -> str:
    return next((name for name in _PLACES[kind] if name in names), "")


def _without_zone(frame: pd.DataFrame, name: str) -> str:
    """Make times of a zone UTC, in place."""
    column = frame[name]
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        return ""
    zone = column.dt.tz
    frame[name] = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return "" if str(zone) == "UTC" else f"times in {name!r} are of the zone {zone}: converted to UTC"


def _variables(
    frame: pd.DataFrame, names: Sequence[str], options: Options, where: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns of numbers, NaN where a cell is empty, and why the others are none."""
    for name in options.variables:
        if name not in names:
            raise not_there(name, names, where)
    values: dict[str, np.ndarray] = {}
    left: dict[str, str] = {}
    for name in options.variables or names:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
            values[name] = column.to_numpy(dtype=np.float64, na_value=math.nan)
        elif column.isna().all():
            values[name] = np.full(len(column), math.nan)
        elif name in options.variables:
            raise ValueError(f"{where}: variable {name!r} holds text, such as {_first_text(column)!r}; make it numbers")
        else:
            left[name] = "no numbers"
    return values, left


def _first_text(column: pd.Series) -> str:
    numbers = pd.to_numeric(column, errors="coerce")
    return str(column[numbers.isna() & column.notna()].iloc[0])


def _groups(frame: pd.DataFrame, station: str | None, key: str, where: str) -> Iterator[tuple[str, np.ndarray]]:
    if station is None:
        yield key, np.arange(len(frame))
        return
    cells = frame[station]
    if cells.isna().any():
        row = int(np.flatnonzero(cells.isna())[0]) + 1
        raise ValueError(f"{where}: row {row} has no station in {station!r}; add it or delete the row")
    codes, names = pd.factorize(cells)
    for i, name in enumerate(names):
        yield label(name), np.flatnonzero(codes == i)


def _placed(part: Station, rows: pd.DataFrame, places: dict[str, str], where: str) -> Station:
    """With the place of its rows as coordinates, or a problem where they have several."""
    assert part.data is not None
    coords: dict[str, Any] = {}
    for kind, name in places.items():
        if name:
            found = pd.to_numeric(rows[name], errors="coerce").dropna().unique()
            if len(found) > 1:
                problem = (
                    f"{where}: {name!r} of {part.key!r} is {found[0]:g} and {found[1]:g}; a station has one place: "
                    "name what tells stations apart as station, or turn a grid into a dataset (DataFrame.to_xarray)"
                )
                return dataclasses.replace(part, data=None, problem=problem)
            coords[kind] = ((), float(found[0]) if len(found) else math.nan, _CF[kind])
    return dataclasses.replace(part, data=part.data.assign_coords(coords))
