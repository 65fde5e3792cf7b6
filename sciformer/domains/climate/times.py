"""One rising axis of time, and what is odd about it.

A time is a ``datetime64`` where the calendar is the usual one and the year is after 1582, else a date of ``cftime``.
"""

from typing import Any

import cftime
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int

from sciformer.domains.climate.options import Step
from sciformer.domains.climate.series import EPOCH

MOST_GAPS = 3
"""Gaps that a note tells one by one; the rest it counts."""


def is_date(times: xr.Variable | xr.DataArray) -> bool:
    """Whether values are decoded: ``datetime64``, or objects of ``cftime``."""
    return times.dtype.kind == "M" or (
        times.dtype.kind == "O" and times.size > 0 and isinstance(times.values.flat[0], cftime.datetime)
    )


def calendar(times: xr.Variable | xr.DataArray) -> str:
    """The calendar by its common name; ``standard`` for all ``datetime64``."""
    if times.dtype.kind == "M":
        return "standard"
    return str(times.values.flat[0].calendar)


# --- one rising axis -----------------------------------------------------------------------------------------


def tidy(data: xr.Dataset, time: str, where: str) -> tuple[xr.Dataset, list[str]]:
    """Steps in order of time, each time once, and notes of what was done to them. Values stay where they are.

    Raises ``ValueError`` where two steps have one time and different values.
    """
    notes: list[str] = []
    known = ~pd.isna(data[time].values)
    if not known.all():
        notes.append(f"steps without a time are left out: {np.count_nonzero(~known)}")
        data = data.isel({time: np.flatnonzero(known)})
    order = np.argsort(data[time].values, kind="stable")
    moved = np.count_nonzero(order != np.arange(len(order)))
    if moved:
        first = int(np.flatnonzero(_later(data[time].values))[0]) + 1
        notes.append(f"times are not in order (first at {text(data[time].values[first])}): steps are sorted")
        data = data.isel({time: order})
    values = data[time].values
    later = np.flatnonzero(values[1:] == values[:-1]) + 1
    if later.size:
        same = _same_rows(data, time, later)
        if not same.all():
            at = text(values[later[np.argmin(same)]])
            raise ValueError(
                f"{where}: two steps have the time {at} and different values; delete one, "
                "or where rows are of several stations, name what tells them apart as station"
            )
        notes.append(f"steps that repeat an equal one (first at {text(values[later[0]])}) are merged: {later.size}")
        data = data.isel({time: np.setdiff1d(np.arange(len(values)), later)})
    return data, notes


def _later(values: np.ndarray) -> Bool[np.ndarray, " m"]:
    return np.asarray(values[1:] < values[:-1], dtype=bool)


def _same_rows(data: xr.Dataset, time: str, later: Int[np.ndarray, " r"]) -> Bool[np.ndarray, " r"]:
    """Whether each of these steps equals the one before it, in all variables."""
    same = np.ones(len(later), dtype=bool)
    for variable in data.data_vars.values():
        if time in variable.dims:
            rows = variable.variable.transpose(time, ...)
            one, other = rows.isel({time: later - 1}), rows.isel({time: later})
            equal = (one == other) | (one.isnull() & other.isnull())
            same &= equal.all(dim=[dim for dim in equal.dims if dim != time]).values
    return same


# --- days, gaps ----------------------------------------------------------------------------------------------


def days(times: np.ndarray) -> Float[np.ndarray, " n"]:
    """Days since 1970-01-01 in the calendar of the times, exact to a microsecond."""
    if times.dtype.kind == "M":
        return times.astype("datetime64[us]").astype(np.int64) / 86_400e6
    name = times[0].calendar
    return np.asarray(cftime.date2num(times, f"days since {EPOCH}", calendar=name), dtype=np.float64)


def text(time: Any) -> str:
    """A time for people, to the minute where that is all of it."""
    if isinstance(time, cftime.datetime):
        return time.isoformat(" ", "minutes")
    stamp = pd.Timestamp(time)
    return stamp.isoformat(" ", "minutes" if stamp == stamp.floor("min") else "auto")


def duration(length: float) -> str:
    """Days for people: in hours or minutes where these are whole and days are not."""
    for unit, name in ((1.0, "d"), (24.0, "h"), (1440.0, "min")):
        if abs(length * unit - round(length * unit)) < 1e-6 and length * unit > 0.999:
            return f"{round(length * unit)} {name}"
    return f"{length:.4g} d" if length > 0.1 else f"{length * 86_400:.4g} s"


def median_step(time: Float[np.ndarray, " n"], stated: Step | None, where: str) -> float:
    """Days from a step to the next: the median, or what the caller says if that fits it.

    Raises ``ValueError`` where it does not.
    """
    found = float(np.median(np.diff(time)))
    if stated is None or abs(found / stated.days - 1) > stated.tolerance:
        if stated is not None:
            raise ValueError(
                f"{where}: step is given as {stated.text}, but most steps are {duration(found)} apart; correct step, "
                "or resample the source"
            )
        return found
    return stated.days if stated.tolerance < 0.01 else found


def oddities(times: np.ndarray, time: Float[np.ndarray, " n"], step: float) -> list[str]:
    """Notes on gaps and on steps of other lengths. Months and years count as equal."""
    apart = np.diff(time)
    steps = apart / step
    tolerance = 0.12 if step > 27 else 0.001
    gaps = np.flatnonzero(steps > 1.5)
    odd = np.abs(steps - np.maximum(np.round(steps), 1)) > tolerance * np.maximum(np.round(steps), 1)
    notes = []
    if odd.any():
        first = int(np.flatnonzero(odd)[0])
        notes.append(
            f"steps are irregular: {np.count_nonzero(odd)} of {len(apart)} differ from {duration(step)} "
            f"(first after {text(times[first])}: {duration(float(apart[first]))})"
        )
    elif gaps.size:
        longest = sorted(gaps[np.argsort(-apart[gaps], kind="stable")][:MOST_GAPS].tolist())
        told = "; ".join(f"{duration(float(apart[i]))} after {text(times[i])}" for i in longest)
        more = f"; {gaps.size} in all" if gaps.size > len(longest) else ""
        lost = int(np.round(steps[gaps]).sum()) - gaps.size
        notes.append(f"gaps: {told}{more} (of steps of {duration(step)}, {lost} are not there; none is made up)")
    return notes
