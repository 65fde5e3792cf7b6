"""A table of observations, whatever it was read from, and the objects in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sciformer.data.targets import listed
from sciformer.domains.lightcurve.clean import Found, Rows, curves
from sciformer.domains.lightcurve.columns import (
    Chosen,
    Options,
    choose,
    days,
    labels,
    numbers,
    quantity_of_unit,
)
from sciformer.domains.lightcurve.curve import ORIGINS
from sciformer.domains.lightcurve.notes import option
from sciformer.domains.lightcurve.photometry import rescale
from sciformer.domains.lightcurve.times import Scale, days_per, parse_scale, scale_in_name, stated_scale, unit_factor

if TYPE_CHECKING:
    from astropy.table import Table

_COARSE = 1e-4
"""Days; times stored with larger steps than this are noted."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of observations and what its file says about it."""

    frame: pd.DataFrame
    where: str = "the table"
    """For messages."""
    name: str = "1"
    """Key of the one object, where no column tells objects apart."""
    identity: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    scale: Scale | None = None
    band: str = ""
    """Of all observations, where no column says."""
    quality: str = ""
    """Column of flags."""
    header: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def frame_sheet(frame: pd.DataFrame) -> Sheet:
    """A DataFrame as a sheet; named levels of its index are columns."""
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=levels) if levels else frame
    return Sheet(frame=checked(frame, "the table"))


def checked(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The frame with text for names, which are different."""
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if frame.columns.duplicated().any():
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"{where} has two columns named {twice!r}; rename one")
    return frame


def astropy_sheet(table: "Table", where: str = "the table", name: str = "1") -> Sheet:
    """An astropy table or time series as a sheet: native byte order, masked cells missing, units aside."""
    from astropy.time import Time, TimeDelta

    columns, units, scale = {}, {}, None
    for title in table.colnames:
        column: Any = table[title]
        if isinstance(column, TimeDelta):
            columns[title], units[title] = native(column.to_value("jd")), "d"
        elif isinstance(column, Time):
            base = column.format.upper()
            base = base if base in ORIGINS else "MJD"
            columns[title] = native(column.to_value(base.lower()))
            scale = scale or Scale(base, ORIGINS[base])
        elif getattr(column, "ndim", 1) == 1:
            columns[title] = native(column)
            if getattr(column, "unit", None) is not None:
                units[title] = column.unit.to_string()
    header = {
        str(key).lower(): value for key, value in (table.meta or {}).items() if isinstance(value, str | int | float)
    }
    frame = pd.DataFrame(columns)
    return Sheet(frame=frame, where=where, name=name, units=units, scale=scale, header=header)


def native(column: Any) -> Any:
    """A column of astropy or FITS as pandas can hold it."""
    mask = np.asarray(getattr(column, "mask", False))
    values = np.asarray(getattr(column, "unmasked", getattr(column, "value", column)))
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.byteorder not in ("=", "|"):
        values = values.astype(values.dtype.newbyteorder("="))
    if not mask.any():
        return values
    if values.dtype.kind in "iufb":
        return np.where(mask, np.nan, values)
    return pd.Series(values.astype(object)).mask(np.broadcast_to(mask, values.shape))


def objects_in(sheet: Sheet, options: Options, *, alone: bool = True) -> list[Found]:
    """The light curves of a table, in order of appearance; what cannot be read keeps its place.

    ``alone``: the table is the whole source, so that unassigned names in it may be those of objects.

    Raises ``ValueError`` where the table as a whole is unusable.
    """
    if sheet.frame.empty:
        raise ValueError(f"{sheet.where} has no rows; it needs one per observation")
    chosen = choose(sheet.frame, sheet.units, options, sheet.where)
    code, keys = _objects(sheet, chosen, options, alone)
    rows = _rows(sheet, chosen, options, code, keys)
    constants = _constants(sheet.frame.drop(columns=[name for name in chosen[:-1] if name]), code, len(keys))
    return [
        Found(key=key, data=data, identity=sheet.identity, header={**sheet.header, **header})
        for key, data, header in zip(keys, curves(rows), constants, strict=True)
    ]


def _objects(sheet: Sheet, chosen: Chosen, options: Options, alone: bool) -> tuple[np.ndarray, list[str]]:
    """Index of each row's object, and the ids."""
    if not chosen.object:
        if alone and options.object is None:
            _refuse_other_names(sheet, chosen)
        return np.zeros(len(sheet.frame), dtype=np.int64), [sheet.name]
    code, keys = labels(sheet.frame[chosen.object])
    if (code < 0).any():
        row = int((code < 0).argmax()) + 1
        raise ValueError(f"{sheet.where} has no object id in row {row} of column {chosen.object!r}; fill it")
    return code, keys


def _refuse_other_names(sheet: Sheet, chosen: Chosen) -> None:
    for name in sheet.frame.columns.drop([name for name in chosen[:-1] if name]):
        column = sheet.frame[name]
        if not pd.api.types.is_numeric_dtype(column) and column.nunique() > 1:
            raise ValueError(
                f"{sheet.where} has no column known to hold object ids, but {name!r} may; name the column as "
                f"{option('object')}, or give '' where all rows are one object; columns: "
                f"{listed(list(sheet.frame.columns))}"
            )


def _rows(sheet: Sheet, chosen: Chosen, options: Options, code: np.ndarray, keys: list[str]) -> Rows:
    frame, notes = sheet.frame, list(sheet.notes)
    time, bad_time, dates = _days(sheet, chosen)
    value, bad_value = numbers(frame[chosen.value])
    error, bad_error = np.full(len(frame), np.nan), np.zeros(len(frame), dtype=bool)
    if chosen.error:
        error, bad_error = numbers(frame[chosen.error])
    else:
        notes.append("no column of errors: all are unknown")
    unit = _unit(sheet, chosen, options)
    error = error * _error_factor(sheet, chosen, unit)
    scale, factor = _time_scale(sheet, chosen, options, dates)
    if factor != 1:
        notes.append(f"times converted to days from {sheet.units[chosen.time]}")
    if dates:
        notes.append("times are dates: read as UTC, converted to MJD")
    if step := _step(frame[chosen.time]):
        notes.append(f"times are stored in 32 bits, in steps of {step:.2g} days")
    converted: dict[str, np.ndarray] = {}
    zero_point = options.zero_point if not isinstance(options.zero_point, str) else None
    if chosen.zero_point:
        value, error, zero_point, converted = _one_zero_point(sheet, chosen, value, error)
    band, bands = labels(frame[chosen.band]) if chosen.band else (np.zeros(len(frame), dtype=np.int64), [sheet.band])
    bad = {chosen.time: bad_time, chosen.value: bad_value, chosen.error: bad_error}
    return Rows(
        keys=keys,
        code=code,
        time=time * factor,
        band=np.where(band < 0, len(bands), band),
        bands=(*bands, ""),
        value=value,
        error=error,
        quantity=chosen.quantity,
        unit=unit,
        zero_point=None if zero_point is None else float(zero_point),
        scale=scale,
        wrong=_wrong(frame, code, bad),
        doubts=converted,
        flagged=_flagged(sheet, options),
        notes=tuple(notes),
        sentinels=options.sentinels,
    )


def _days(sheet: Sheet, chosen: Chosen) -> tuple[np.ndarray, np.ndarray, bool]:
    try:
        return days(sheet.frame[chosen.time])
    except ValueError as error:
        raise ValueError(f"{sheet.where}, column {chosen.time!r}: {error}") from None


def _unit(sheet: Sheet, chosen: Chosen, options: Options) -> str:
    unit = options.unit or sheet.units.get(chosen.value, "")
    if not unit and chosen.unit:
        _, found = labels(sheet.frame[chosen.unit])
        if len(found) > 1:
            raise ValueError(f"{sheet.where} mixes units ({listed(found, 5)}) in {chosen.unit!r}; convert to one unit")
        unit = found[0] if found else ""
    if quantity_of_unit(unit) not in (None, chosen.quantity):
        raise ValueError(f"{sheet.where} has {chosen.quantity} {chosen.value!r} in {unit!r}; correct the unit")
    return unit or ("mag" if chosen.quantity == "mag" else "")


def _error_factor(sheet: Sheet, chosen: Chosen, unit: str) -> float:
    """What brings errors to the unit of the values."""
    other = sheet.units.get(chosen.error, "")
    if not other or not sheet.units.get(chosen.value) or other == unit or chosen.quantity == "mag" == other:
        return 1.0
    try:
        return unit_factor(other, unit)
    except ValueError:
        raise ValueError(
            f"{sheet.where} has values in {unit!r} and errors in {other!r}, which do not convert; use one unit"
        ) from None


def _time_scale(sheet: Sheet, chosen: Chosen, options: Options, dates: bool) -> tuple[Scale | None, float]:
    """The day count that is stated, and the days in a unit of the column of times."""
    if dates:
        return Scale("MJD", ORIGINS["MJD"]), 1.0
    unit = sheet.units.get(chosen.time, "").strip()
    by_unit = parse_scale(unit) if unit else None
    factor = 1.0 if not unit or by_unit or unit.lower() in ("d", "day", "days") else days_per(unit)
    if options.scale is not None:
        return stated_scale(options.scale), factor
    return sheet.scale or by_unit or scale_in_name(chosen.time), factor


def _step(times: pd.Series) -> float:
    """The resolution of times in 32 bits in days, where it is coarse; else 0."""
    if times.dtype != np.float32 or not np.isfinite(times).any():
        return 0.0
    step = float(np.spacing(np.float32(times[np.isfinite(times)].abs().max())))
    return step if step > _COARSE else 0.0


def _one_zero_point(
    sheet: Sheet, chosen: Chosen, value: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, dict[str, np.ndarray]]:
    """Fluxes and errors brought to the commonest zero point of a column, and which of them had another."""
    points, _ = numbers(sheet.frame[chosen.zero_point])
    if not np.isfinite(points[np.isfinite(value)]).all():
        row = int((~np.isfinite(points) & np.isfinite(value)).argmax()) + 1
        raise ValueError(f"{sheet.where} has no zero point in row {row} of {chosen.zero_point!r}; fill it")
    each, counts = np.unique(points[np.isfinite(points)], return_counts=True)
    if not len(each):
        raise ValueError(f"{sheet.where} has no zero point in column {chosen.zero_point!r}; fill it or delete it")
    common = float(each[counts.argmax()])
    if len(each) == 1:
        return value, error, common, {}
    changed = {f"fluxes of another zero point, brought to {common:g}": np.isfinite(points) & (points != common)}
    return rescale(value, points, common), rescale(error, points, common), common, changed


def _wrong(frame: pd.DataFrame, code: np.ndarray, bad: Mapping[str, np.ndarray]) -> dict[int, str]:
    """Why objects with text among their numbers cannot be read."""
    reasons: dict[int, str] = {}
    for name, mask in bad.items():
        objects, first, counts = np.unique(code[mask], return_index=True, return_counts=True)
        cells = frame[name][mask].iloc[first] if name and len(first) else ()
        for i, cell, count in zip(objects, cells, counts, strict=True):
            reasons.setdefault(int(i), f"{name} {cell!r:.40} is no number ({count} such); correct it or leave it empty")
    return reasons


def _flagged(sheet: Sheet, options: Options) -> np.ndarray | None:
    if not sheet.quality or not options.quality:
        return None
    flags, _ = numbers(sheet.frame[sheet.quality])
    return (np.nan_to_num(flags).astype(np.int64) & options.quality) != 0


def _constants(rest: pd.DataFrame, code: np.ndarray, n: int) -> list[dict[str, Any]]:
    """By object what the columns say that do not vary within any object: labels and the like."""
    first = np.zeros(n, dtype=np.int64)
    first[code[::-1]] = np.arange(len(code))[::-1]
    headers: list[dict[str, Any]] = [{} for _ in range(n)]
    for name in rest.columns:
        cells, _ = pd.factorize(rest[name])
        if len(code) > n and (cells != cells[first][code]).any():
            continue
        for header, cell in zip(headers, rest[name].iloc[first], strict=True):
            header[name] = cell
    return headers
