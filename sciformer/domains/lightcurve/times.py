"""Which day count times belong to: stated, or told by their size; dates written as text."""

import math
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sciformer.domains.lightcurve.curve import ORIGINS
from sciformer.domains.lightcurve.notes import option

JULIAN = (2_200_000.0, 2_700_000.0)
"""Times in this range (years 1311 to 2680) can only be full Julian dates."""

_OBSERVED = (2_409_500.0, 2_475_000.5)
"""Julian dates of photometry: from the first plates of Harvard (1885) to 2064."""

_MODIFIED = (30_000.0, 75_000.0)
"""Times taken for modified Julian dates (1941 to 2064) where nobody said what they are."""

_COUNT = re.compile(
    r"(?P<name>JD|HJD|BJD|MJD|BKJD|BTJD)(?:[_ ]?\(?(?:TDB|TT|UTC|TAI)\)?)?"
    r"(?:\s*[-\u2212]\s*(?P<offset>\d+(?:\.\d*)?))?"
)
_WHOLE = re.compile(rf"{_COUNT.pattern}(?:\s*,?\s*(?:d|days?))?")


class Scale(NamedTuple):
    """A day count: its name and the Julian date of its zero (NaN: unknown)."""

    name: str
    origin: float


UNKNOWN = Scale("", math.nan)


def parse_scale(text: str) -> Scale | None:
    """``MJD``, ``BTJD``, ``BJD_TDB``, ``JD-2440000``, ``BJD - 2454833, days``; None where it is no day count."""
    match = _WHOLE.fullmatch(text.strip().upper().replace("DAYS", "days").replace("DAY", "days"))
    if match is None:
        return None
    return _scale(match)


def named(base: str, origin: float) -> Scale:
    """The day count with this origin: its usual name, else ``base-number``."""
    if origin == ORIGINS[base]:
        return Scale(base, origin)
    family = "BJD" if base in ("BKJD", "BTJD") else base
    usual = {name: zero for name, zero in ORIGINS.items() if zero and (name == "MJD") == (family != "BJD")}
    for name, zero in usual.items():
        if origin == zero:
            return Scale(name, origin)
    return Scale(f"{family}-{origin - ORIGINS[family]:.10g}", origin)


def stated_scale(text: str) -> Scale:
    """The day count a user or a file states.

    Raises ``ValueError`` where it is not known.
    """
    scale = parse_scale(text)
    if scale is None:
        raise ValueError(f"scale must be {', '.join(ORIGINS)} or such a name with an offset (JD-2440000), got {text!r}")
    return scale


def scale_in_name(column: str) -> Scale | None:
    """The day count that the name of a column states (``obs_mjd``, ``BJD_TDB``, ``HJD-2440000``)."""
    found = _COUNT.search(column.upper())
    return _scale(found) if found else None


def _scale(found: re.Match[str]) -> Scale:
    return named(found["name"], ORIGINS[found["name"]] + float(found["offset"] or 0))


def resolve(stated: Scale | None, first: float, last: float) -> tuple[Scale, str]:
    """The day count of an object whose times run from ``first`` to ``last``, and what to note about it.

    Raises ``ValueError`` where the times belong to two day counts.
    """
    span = f"{first:.8g} to {last:.8g}" if last > first else f"{first:.8g}"
    full = JULIAN[0] <= last <= JULIAN[1]
    if full and first < JULIAN[0]:
        raise ValueError(f"times mix Julian dates with smaller ones ({span}); bring them to one time scale")
    doubt = "no time scale is stated"
    if stated is not None:
        fits = (
            full if stated.origin == 0 else _OBSERVED[0] <= first + stated.origin <= last + stated.origin < _OBSERVED[1]
        )
        if fits:
            return stated, ""
        doubt = f"times of {span} cannot be {stated.name} as stated"
    if full:
        family = stated.name[0] + "JD" if stated is not None and stated.name[0] in "HB" else "JD"
        return Scale(family, 0.0), f"{doubt}: taken for {family} by size"
    if stated is not None and stated.origin == 0:  # MJD, or Julian dates less a number: half a day lies between
        return UNKNOWN, f"{doubt}: time zero is unknown; state the scale, as JD-2400000 or MJD, as {option('scale')}"
    if _MODIFIED[0] <= first and last < _MODIFIED[1]:
        return Scale("MJD", ORIGINS["MJD"]), f"{doubt}: taken for MJD by size"
    return (
        UNKNOWN,
        f"{doubt}: time zero is unknown" if stated else f"{doubt} and {span} does not tell: time zero is unknown",
    )


def dates_to_mjd(column: pd.Series) -> np.ndarray:
    """Modified Julian dates of a column of dates (``datetime64`` or ISO text, UTC), NaN where missing.

    Raises ``ValueError`` where a cell is no date.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        if getattr(column.dt, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        days = (column - pd.Timestamp("1858-11-17")) / pd.Timedelta(days=1)
        return days.to_numpy(dtype=np.float64, na_value=np.nan)
    from astropy.time import Time

    present = column.notna().to_numpy()
    text = [str(cell).strip().removesuffix("Z").replace("/", "-") for cell in column[present]]
    mjd = np.full(len(column), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ERFA doubts leap seconds of dates in the future
        try:
            mjd[present] = Time(np.array(text, dtype=str), scale="utc").mjd
        except ValueError:
            raise ValueError(
                f"time {_first_bad(text)!r} is neither a number nor a date such as 2020-01-31T12:00"
            ) from None
    return mjd


def _first_bad(text: list[str]) -> str:
    from astropy.time import Time

    for cell in text:
        try:
            Time(cell, scale="utc")
        except ValueError:
            return cell
    return text[0]  # each is a date, of different forms


def days_per(unit: str) -> float:
    """Days in a unit of time.

    Raises ``ValueError`` where it is no unit of time.
    """
    try:
        return unit_factor(unit, "day")
    except ValueError:
        raise ValueError(f"the unit of times must be one of time or a time scale such as MJD, got {unit!r}") from None


def unit_factor(unit: str, other: str) -> float:
    """How many of ``other`` are in one ``unit``.

    Raises ``ValueError`` where one is unknown or they do not convert.
    """
    from astropy import units

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old: Any = units.Unit(unit)
        try:
            return float(old.to(units.Unit(other)))
        except (TypeError, units.UnitConversionError) as error:
            raise ValueError(str(error)) from None
