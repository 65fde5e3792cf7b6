"""What can be asked about a series: what comes after it, or what its gaps hide."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from sciformer.domains.climate.series import EPOCH, MONTHLY, Series

WITHOUT_CALENDAR = ("standard", "gregorian", "proleptic_gregorian")
"""Calendars whose days are those of datetime64."""
OFF = 0.1
"""Share of a step by which a moment that is asked about may miss it."""
FEWEST = 2
"""Steps that must be seen before anything is asked."""


def questions(
    series: Series,
    usual: Bool[np.ndarray, "y x v"],
    *,
    context: int,
    longest: int,
    horizon: Any = None,
    times: Any = None,
    variables: str | Sequence[str] | None = None,
) -> Series:
    """A series whose values are 0 where something is asked, NaN where not.

    ``horizon``: so many steps after the last of the series; ``times``: dates, or days since 1970 in its calendar,
    after it or in the last ``context`` steps. ``variables``: names, of a text those between commas. ``usual`` says
    where anything is ever measured.

    Raises ``ValueError`` for a time out of reach or between steps, and for a variable that was not learned.
    """
    time = _following(series, longest, horizon) if times is None else days(times, series)
    if times is not None and horizon is not None:
        raise ValueError("say either `horizon` or `times`, not both")
    last = series.time[-1]
    far = (time > last + (longest + 0.5) * series.pace) | (time < last - context * series.pace)
    if far.any():
        remedy = ": cut the series after that time, ds.sel(time=slice(None, ...))" if time[far][0] < last else ""
        raise ValueError(
            f"{series.place or 'the series'} ends on {date(last, series)} and is asked about "
            f"{date(time[far][0], series)}; the model answers from {context} steps before to {longest} steps after "
            f"the last (a step is {series.step:g} days){remedy}"
        )
    if times is not None:
        _require_steps(time, series, longest)
    asked = np.broadcast_to(usual, (len(time), *usual.shape)).copy()
    if variables is not None:
        names = [variable.name for variable in series.variables]
        wanted = [name.strip() for name in variables.split(",")] if isinstance(variables, str) else list(variables)
        if unknown := [name for name in wanted if name not in names]:
            raise ValueError(f"variable {unknown[0]!r} was not learned; the model knows {', '.join(names)}")
        asked &= np.isin(names, wanted)
    return series.replaced(time=time, values=np.where(asked, 0.0, np.nan).astype(np.float32))


def _require_steps(time: Float[np.ndarray, " m"], series: Series, longest: int) -> None:
    """Raise ``ValueError`` where a moment is farther than ``OFF`` from every step, observed or not: it would be
    answered as another."""
    back = max(round((series.time[-1] - time[0]) / series.pace), 0) + 1
    steps = np.concatenate([following(series, -back), series.time, following(series, longest)])
    nearest = steps[np.abs(steps - time[:, None]).argmin(1)]
    if (off := np.abs(time - nearest) > OFF * series.step).any():
        raise ValueError(
            f"{series.place or 'the series'} is asked about {date(time[off][0], series)}, which lies between two of "
            f"its steps; ask about the nearest one, {date(nearest[off][0], series)}"
        )


def require(told: Series, usual: Bool[np.ndarray, "y x v"], time: Float[np.ndarray, " n"]) -> None:
    """Raise ``ValueError`` where what is known beforehand is not told at a moment, in a cell where it ever is."""
    for moment in time:
        at = np.flatnonzero(np.abs(told.time - moment) < told.step / 2)
        lost = usual if not len(at) else usual & ~np.isfinite(told.values[at[0]])
        if lost.any():
            name = told.variables[int(np.argwhere(lost)[0, -1])].name
            raise ValueError(
                f"{told.place or 'the series'} has no {name} on {date(moment, told)}, which the model takes as known "
                "beforehand: let it go on through all times that are asked about"
            )


def _following(series: Series, longest: int, horizon: Any) -> Float[np.ndarray, " n"]:
    steps = longest if horizon is None else horizon
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or not 1 <= steps <= longest:
        raise ValueError(f"`horizon` must be a whole number of steps from 1 to {longest}, got {steps!r}")
    return following(series, int(steps))


def following(series: Series, steps: int) -> Float[np.ndarray, " n"]:
    """The next moments of a series, or those before its last if ``steps`` is negative; months and years go by the
    calendar."""
    ahead = np.arange(1, abs(steps) + 1) * np.sign(steps)
    if series.step < MONTHLY:
        return series.time[-1] + ahead * series.step
    months = round(series.step / 30.44)
    return shifted(series.time[-1], months * ahead, series.calendar)


def shifted(day: float, months: np.ndarray, calendar: str) -> Float[np.ndarray, " n"]:
    """The same day of later months."""
    import cftime

    start = cftime.num2date(day, f"days since {EPOCH}", calendar=calendar)
    out = []
    for k in months:
        year, month = divmod(start.year * 12 + start.month - 1 + int(k), 12)
        moment = start.replace(year=year, month=month + 1, day=1)
        room = start.replace(day=min(start.day, moment.daysinmonth), year=year, month=month + 1)
        out.append(cftime.date2num(room, f"days since {EPOCH}", calendar=calendar))
    return np.array(out, dtype=np.float64)


def days(times: Any, series: Series) -> Float[np.ndarray, " n"]:
    """Days since 1970 in the calendar of the series, sorted, each once."""
    import cftime

    values = np.atleast_1d(np.asarray(times))
    if not values.size:
        raise ValueError("times is empty: name at least one, or say `horizon`")
    if values.dtype.kind in "iuf":
        return np.unique(values.astype(np.float64))
    if values.dtype == object and isinstance(values.flat[0], cftime.datetime):
        return np.unique(cftime.date2num(values, f"days since {EPOCH}", calendar=series.calendar))
    try:
        dates = pd.DatetimeIndex(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"times must be dates like 2026-01-31T12:00, got {times!r:.80}") from error
    if dates.hasnans:
        raise ValueError(f"times must be dates like 2026-01-31T12:00, got {times!r:.80}")
    if dates.tz is not None:
        dates = dates.tz_convert("UTC").tz_localize(None)
    if series.calendar in WITHOUT_CALENDAR:
        return np.unique((dates - pd.Timestamp(EPOCH)) / pd.Timedelta(days=1)).astype(np.float64)
    moments = [cftime.datetime(*x.timetuple()[:6], calendar=series.calendar) for x in dates]
    return np.unique(cftime.date2num(moments, f"days since {EPOCH}", calendar=series.calendar))


def table(series: Series) -> pd.DataFrame:
    """A row for every number of a series: where, and ``value``; errors are not known."""
    values = np.asarray(series.values)
    n, y, x, v = np.nonzero(np.isfinite(values))
    names = np.array([variable.name for variable in series.variables], dtype=object)
    return pd.DataFrame(
        {
            "time": series.time[n],
            "variable": names[v],
            "lat": series.lat[y],
            "lon": series.lon[x],
            "value": values[n, y, x, v].astype(np.float64),
            "error": np.nan,
        }
    )


def date(day: Any, series: Series) -> str:
    import cftime

    seconds = round(float(day) * 86400)  # float32 knows a day of a month no better
    moment = cftime.num2date(seconds, f"seconds since {EPOCH}", calendar=series.calendar)
    return moment.strftime("%Y-%m-%d" if seconds % 86400 == 0 else "%Y-%m-%dT%H:%M")
