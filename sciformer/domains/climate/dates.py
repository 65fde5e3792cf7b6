"""From numbers, texts and parts of dates, in any calendar, to dates."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.conventions import decode_cf_variable

from sciformer.data.targets import listed
from sciformer.domains.climate.cf import SINCE, find_time, not_there
from sciformer.domains.climate.options import Options
from sciformer.domains.climate.times import is_date

PARTS = ("year", "month", "day", "hour", "minute", "second")
_ZONE = re.compile(r":\d\d.*(?:z|[+-]\d\d(?::?\d\d)?)$", re.IGNORECASE)
_COMPACT = (
    ("%Y%m%d%H", r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])"),
    ("%Y%m%d", r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    ("%Y%m", r"\d{4}(0[1-9]|1[0-2])"),
)
"""Forms that bare numbers may have without being days since anything; they are named, never assumed."""


def dated(data: xr.Dataset, options: Options, where: str) -> tuple[xr.Dataset, str, list[str]]:
    """The dataset with dates as the coordinate of its dimension of time, the name of that dimension, and notes.

    Raises ``ValueError`` where there is no time, or no way to read it.
    """
    names, note = list(options.time), ""
    if not names:
        name, note = find_time(data, where)
        names = [name] if name else []
    if not names:
        there = ", ".join(f"{name} {tuple(v.dims)}" for name, v in list(data.variables.items())[:20])
        raise ValueError(
            f"{where} has no time (no coordinate with dates, or units such as hours since ...); name it as time; "
            f"there are: {there or 'no variables'}"
        )
    for name in names:
        if name not in data.variables:
            raise not_there(name, [str(known) for known in data.variables], where)
    columns = [data[name].reset_coords(drop=True) for name in names]
    if len({column.dims for column in columns}) > 1 or columns[0].ndim > 1:
        shapes = ", ".join(f"{name} {data[name].dims}" for name in names)
        raise ValueError(f"{where}: times lie along one dimension, got {shapes}")
    dates, notes = dates_of(columns, options, where)
    dim = str(columns[0].dims[0]) if columns[0].ndim else names[0]
    rest = data.drop_vars({*names, dim} & set(map(str, data.variables)))
    if not columns[0].ndim:  # one step, without a dimension of its own
        rest = rest.expand_dims(dim)
    attributes = {**columns[0].attrs, "standard_name": "time"}
    for key in ("units", "calendar", "_FillValue", "bounds"):
        attributes.pop(key, None)
    rest = rest.assign_coords({dim: (dim, np.atleast_1d(dates), attributes)})
    return rest, dim, [text for text in (note, *notes) if text]


def dates_of(columns: Sequence[xr.DataArray], options: Options, where: str) -> tuple[np.ndarray, list[str]]:
    """Dates of a column of dates, counts or texts, or of several columns that are their parts; and notes.

    Raises ``ValueError`` naming column and value where they cannot be read.
    """
    names = [str(column.name) for column in columns]
    unit = (options.units or {}).get(names[0]) or str(columns[0].attrs.get("units", ""))
    if len(columns) > 1:
        if all(column.dtype.kind in "iuf" for column in columns):
            return _assembled([column.values for column in columns], names, where), []
        joined = pd.concat([pd.Series(column.values).astype("str").str.strip() for column in columns], axis=1)
        texts = joined.agg(" ".join, axis=1).to_numpy()
        return _read_texts(texts, options.time_format, " ".join(names), where)
    times = columns[0]
    if is_date(times.variable):
        if options.time_format:
            raise ValueError(f"{where}: {names[0]!r} holds dates already; leave time_format out")
        values = np.asarray(times.values)
        return values.astype("datetime64[us]") if times.dtype.kind == "M" else values, []
    if times.dtype.kind in "iuf":
        if options.time_format:
            return _parsed(times.values, options.time_format, names[0], where), []
        if SINCE.search(unit):
            return _decoded(times.assign_attrs(units=unit), where), []
        if times.size == 0:
            return np.empty(times.shape, dtype="datetime64[us]"), []
        raise _bare_numbers(times.values, names[0], where)
    return _read_texts(times.values, options.time_format, names[0], where)


def _decoded(times: xr.DataArray, where: str) -> np.ndarray:
    """Numbers with CF units as dates."""
    units, calendar = times.attrs["units"], times.attrs.get("calendar", "standard")
    coder = xr.coders.CFDatetimeCoder(time_unit="us")
    try:
        with warnings.catch_warnings():  # dates before 1582 become cftime, as they should
            warnings.simplefilter("ignore", xr.SerializationWarning)
            about = {"units": SINCE.sub("since", units), "calendar": calendar}
            plain = xr.Variable(times.dims, times.values, about)
            return np.asarray(decode_cf_variable("time", plain, decode_times=coder).load().values)
    except (ValueError, OverflowError, TypeError):
        raise ValueError(
            f"{where}: the units {units!r} of the time {str(times.name)!r} (calendar {calendar!r}) give no dates; "
            f"correct them, or state units={times.name}=days since YYYY-MM-DD"
        ) from None


def _parsed(values: np.ndarray, time_format: str, name: str, where: str) -> np.ndarray:
    """Texts or whole numbers by a format of ``strptime``; NaT where there is none."""
    cells = pd.Series(values.ravel())
    if cells.dtype.kind == "f":  # a fill value made floats of whole numbers
        cells = cells.astype("Int64")
    zone = "%z" in time_format
    texts = cells.astype("str").str.strip().mask(cells.isna())
    dates = pd.to_datetime(texts, format=time_format, errors="coerce", utc=zone)
    if (bad := texts[dates.isna() & texts.notna()]).size:
        raise ValueError(
            f"{where}: the time {bad.iloc[0]!r} in {name!r} is not of the form {time_format!r}; correct time_format"
        )
    return (dates.dt.tz_localize(None) if zone else dates).to_numpy().astype("datetime64[us]").reshape(values.shape)


def _read_texts(values: np.ndarray, time_format: str | None, name: str, where: str) -> tuple[np.ndarray, list[str]]:
    """Texts by the given format, else by ISO 8601; such with a time zone become UTC."""
    if time_format:
        note = f"times in {name!r} have a time zone: converted to UTC"
        return _parsed(values, time_format, name, where), [note] if "%z" in time_format else []
    cells = pd.Series(values)
    texts = cells.map(lambda x: x.decode(errors="replace") if isinstance(x, bytes) else x).astype("str").str.strip()
    texts = texts.mask(cells.isna() | texts.isin(["", "NaT", "nan", "None", "NA"]))
    zoned = texts.dropna().str.contains(_ZONE)
    dates = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=bool(zoned.any()))
    if (bad := texts[dates.isna() & texts.notna()]).size:
        raise ValueError(
            f"{where}: {bad.iloc[0]!r} in {name!r} is no date as 2020-12-31 23:00 is; state time_format, "
            "such as %d.%m.%Y %H:%M, or name another column as time"
        )
    if zoned.any() and not zoned.all():
        raise ValueError(f"{where}: some times in {name!r} have a time zone and some have none; give all or none")
    if zoned.any():
        return dates.dt.tz_localize(None).to_numpy().astype("datetime64[us]"), [
            f"times in {name!r} have a time zone: converted to UTC"
        ]
    return dates.to_numpy().astype("datetime64[us]"), []


def is_dates(column: pd.Series) -> bool:
    """Whether all cells of a column of texts that are not empty are ISO dates."""
    texts = column.dropna().astype("str").str.strip()
    if texts.empty or not texts.head(3).str.match(r"\d{4}-\d\d").all():
        return False
    return bool(pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).notna().all())


def _assembled(parts: Sequence[np.ndarray], names: Sequence[str], where: str) -> np.ndarray:
    """Dates of their parts, from the year down; months and days that are not given are the first."""
    if len(parts) > len(PARTS):
        raise ValueError(f"{where}: a time has at most the parts {', '.join(PARTS)}, got {listed(names)}")
    columns: dict[str, Any] = {"year": 1, "month": 1, "day": 1, **dict(zip(PARTS, parts, strict=False))}
    try:
        dates = pd.to_datetime(pd.DataFrame(columns))
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{where}: {', '.join(names)} are no {', '.join(PARTS[: len(parts)])}: {reason}") from None
    return dates.to_numpy().astype("datetime64[us]")


def _bare_numbers(times: np.ndarray, name: str, where: str) -> ValueError:
    """Why bare numbers are no times, with the remedy that fits them."""
    finite = times[np.isfinite(times)]
    whole = [f"{number:.0f}" for number in finite.tolist() if number == round(number)]
    first = whole[0] if whole else "no number"
    for form, pattern in _COMPACT:
        if whole and len(whole) == len(finite) and all(re.fullmatch(pattern, number) for number in whole):
            return ValueError(
                f"{where}: the times in {name!r} are numbers such as {first}, which look like {form}; if they are, "
                f"say time_format={form}"
            )
    return ValueError(
        f"{where}: {name!r} holds bare numbers (such as {first}), which are no times; name another variable as time, "
        f"state units={name}=hours since YYYY-MM-DD, or give time_format"
    )
