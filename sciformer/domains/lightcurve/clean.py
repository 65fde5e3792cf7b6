"""From raw rows to light curves: the one place where observations are left out, sorted or doubted.

The policy is written in ``docs/lightcurves.md``; everything it does is counted in ``Curve.notes``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.times import Scale, resolve

NO_MAGNITUDE = 50.0
"""Magnitudes beyond ±50 (99.999, -999) are placeholders; the Sun has -27, the faintest galaxies 32."""

NO_MAGNITUDE_ERROR = 9.0
"""Magnitude errors from here (9.999, 99.999) are placeholders."""

NO_FLUX = (-999.0, -999.9, -999.99, -9999.0, -99999.0)
"""Fluxes and flux errors that are placeholders; so is whatever exceeds 1e30."""

_NO_FLUX = np.concatenate([np.array(NO_FLUX), np.array(NO_FLUX, dtype=np.float32)])


class Unreadable(str):
    """An object that cannot be read: the reason, kept in its place."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One object of a source."""

    key: str
    data: Curve | Unreadable
    identity: str = ""
    """The name by which the source knows the object, where the key is another; files of one star share it."""
    header: Mapping[str, Any] = field(default_factory=dict)
    """What the source says of the object beside its observations, by lower-case name."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Observations of one or many objects as they stand in a source, in any order."""

    keys: Sequence[str]
    code: np.ndarray
    """Index into ``keys`` for each row."""
    time: np.ndarray
    """float64 days, NaN where missing; so are values and errors."""
    band: np.ndarray
    """Index into ``bands`` for each row."""
    bands: Sequence[str]
    value: np.ndarray
    error: np.ndarray
    quantity: Literal["flux", "mag"]
    unit: str = ""
    zero_point: float | None = None
    scale: Scale | None = None
    """The day count where one is stated."""
    wrong: Mapping[int, str] = field(default_factory=dict)
    """Reasons, by index into ``keys``, why an object cannot be read."""
    doubts: Mapping[str, np.ndarray] = field(default_factory=dict)
    """True where a row was changed on reading, by the note about it."""
    flagged: np.ndarray | None = None
    """True where the source itself marks a row as bad."""
    notes: tuple[str, ...] = ()
    sentinels: tuple[float, ...] = ()
    """Values and errors that mean missing, beside the usual ones."""


def curves(rows: Rows) -> list[Curve | Unreadable]:
    """One light curve, or the reason why there is none, for each of ``rows.keys``."""
    n = len(rows.keys)
    error, doubts = _errors(rows)
    reasons = _left_out(rows)
    kept = ~np.any(list(reasons.values()), axis=0)
    counts = {text: np.bincount(rows.code[mask], minlength=n) for text, mask in reasons.items()}
    counts |= {text: np.bincount(rows.code[mask & kept], minlength=n) for text, mask in doubts.items()}

    names, place = np.unique(np.array(rows.bands, dtype=str), return_inverse=True)
    columns = (rows.code, rows.time, place[rows.band], rows.value, error)
    code, time, band, value, error = (column[kept] for column in columns)
    unsorted = _unsorted(code, time, n)
    order = np.lexsort((error, value, band, time, code))
    code, time, band, value, error = (column[order] for column in (code, time, band, value, error))
    repeated = _repeated(code, time, band, value, error)
    counts["repeated observations, dropped"] = np.bincount(code[repeated], minlength=n)
    code, time, band, value, error = (column[~repeated] for column in (code, time, band, value, error))

    bounds = np.searchsorted(code, np.arange(n + 1))
    totals = np.bincount(rows.code, minlength=n)
    found: list[Curve | Unreadable] = []
    for i in range(n):
        where = slice(bounds[i], bounds[i + 1])
        notes = [f"{text}: {counts[text][i]}" for text in counts if counts[text][i]]
        if unsorted[i]:
            notes.append("times were not in order: sorted")
        if i in rows.wrong:
            found.append(Unreadable(rows.wrong[i]))
        elif bounds[i] == bounds[i + 1]:
            found.append(_empty(int(totals[i]), notes))
        else:
            columns = (time[where].copy(), names[band[where]], value[where].copy(), error[where].copy())
            found.append(_curve(rows, columns, notes))
    return found


def _curve(rows: Rows, columns: tuple[np.ndarray, ...], notes: list[str]) -> Curve | Unreadable:
    time, band, value, error = columns
    try:
        scale, doubt = resolve(rows.scale, float(time[0]), float(time[-1]))
    except ValueError as mixed:
        return Unreadable(str(mixed))
    return Curve(
        time=time,
        band=band,
        value=value,
        error=error,
        quantity=rows.quantity,
        unit=rows.unit,
        zero_point=rows.zero_point,
        scale=scale.name,
        origin=scale.origin,
        notes=(*rows.notes, *notes, *([doubt] if doubt else [])),
    )


def _empty(total: int, notes: list[str]) -> Unreadable:
    if not total:
        return Unreadable("no observations; add some or delete the object")
    return Unreadable(f"no usable observation among {total} ({'; '.join(notes)}); correct them or delete the object")


def _left_out(rows: Rows) -> dict[str, np.ndarray]:
    """Rows that are no observation, by the note about them; each row under its first reason."""
    flagged = np.zeros(len(rows.code), dtype=bool) if rows.flagged is None else rows.flagged
    no_time = ~np.isfinite(rows.time)
    no_value = ~np.isfinite(rows.value)
    placeholder = _placeholder(rows, rows.value, NO_MAGNITUDE) | ((rows.value == rows.error) & (rows.value < 0))
    return {
        "observations flagged as bad, left out": flagged,
        "observations without a time, left out": no_time & ~flagged,
        "observations without a value, left out": no_value & ~no_time & ~flagged,
        "observations with a placeholder for a value, left out": placeholder & ~no_value & ~no_time & ~flagged,
    }


def _errors(rows: Rows) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Errors with NaN for unknown, and rows whose error was doubted by the note about them."""
    placeholder = _placeholder(rows, rows.error, NO_MAGNITUDE_ERROR) | np.isposinf(rows.error)
    negative = (rows.error <= 0) & ~placeholder
    named = np.array([bool(name) for name in rows.bands])[rows.band]
    return np.where(placeholder | negative, np.nan, rows.error), {
        **rows.doubts,
        "observations without a band": ~named & named.any(),
        "errors of zero or less, taken for unknown": negative,
        "placeholders for errors, taken for unknown": placeholder,
    }


def _placeholder(rows: Rows, column: np.ndarray, magnitude_limit: float) -> np.ndarray:
    given = np.isin(column, rows.sentinels) if rows.sentinels else np.zeros(len(column), dtype=bool)
    if rows.quantity == "mag":
        return given | (column >= magnitude_limit) | (column <= -NO_MAGNITUDE)
    return given | np.isin(column, _NO_FLUX) | (np.abs(column) > 1e30)


def _unsorted(code: np.ndarray, time: np.ndarray, n: int) -> np.ndarray:
    """Per object whether its times fall anywhere in the order of the rows."""
    order = np.argsort(code, kind="stable")
    code, time = code[order], time[order]
    falls = (code[1:] == code[:-1]) & (time[1:] < time[:-1])
    return np.bincount(code[1:][falls], minlength=n) > 0


def _repeated(*columns: np.ndarray) -> np.ndarray:
    """True where a row equals the one before it in every column; unknown errors are equal."""
    same = np.ones(max(len(columns[0]) - 1, 0), dtype=bool)
    for column in columns:
        a, b = column[1:], column[:-1]
        same &= (a == b) | ((a != a) & (b != b))
    return np.concatenate([np.zeros(min(len(columns[0]), 1), dtype=bool), same])
