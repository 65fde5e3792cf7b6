"""The table of objects: labels, and what else is known of an object beside its light."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.data.targets import listed
from sciformer.domains.lightcurve.clean import Found, Unreadable
from sciformer.domains.lightcurve.columns import (
    ERROR_FORMS,
    OBJECT_NAMES,
    Options,
    blank,
    labels,
    numbers,
    pick,
    words,
)
from sciformer.domains.lightcurve.notes import option
from sciformer.domains.lightcurve.sheet import checked
from sciformer.domains.lightcurve.table import SUFFIXES, load_sheet, suffix_of

KEY = "object_id"
"""Column of the ids in a table made by this module."""

REDSHIFT_NAMES = words(
    "redshift hostz host_z host_redshift hostgal_photoz host_galaxy_photo-z photoz photo_z z_phot zphot "
    "hostgal_specz specz spec_z redshift_final redshift_helio"
)
"""By preference; only the first one with a known value is used, so that it means the same for all objects."""

EXTINCTION_NAMES = words("extinction mwebv mw_ebv ebv e_bv e(b-v)")
RA_NAMES = words("ra ra_deg radeg raj2000 ra_j2000 ra_icrs ra_obj ramean")
DEC_NAMES = words("dec decl dec_deg decdeg dej2000 decj2000 dec_j2000 dec_icrs de_icrs dec_obj dedeg decmean")


def load_objects(source: Any, options: Options, classes: Sequence[str] = ()) -> pd.DataFrame:
    """A table of objects whose index is the ids; columns in ``classes`` stay text.

    Raises ``OSError`` or ``ValueError`` where there is no column of ids or an id occurs twice.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if suffix_of(path) not in SUFFIXES:
            raise ValueError(f"the objects table must end in {', '.join(SUFFIXES)}, got {path}")
        if not path.is_file():
            raise FileNotFoundError(f"there is no objects table {path}; check the path (now in {Path.cwd()})")
        frame, where = load_sheet(path, Options(object=options.object), text=classes).frame, str(path)
    elif isinstance(source, pd.DataFrame):
        frame, where = checked(source, "the objects table"), "the objects table"
    else:
        raise ValueError(f"objects must be a path or a DataFrame, got {type(source).__name__}")
    names = list(frame.columns)
    given = options.object if options.object and options.object in names else None
    column = pick(names, given, OBJECT_NAMES, "object", where)
    ids = frame[column] if column else _index(frame, where, names)
    code, keys = labels(pd.Series(ids).reset_index(drop=True))
    if (code < 0).any():
        raise ValueError(f"{where} has no object id in row {int((code < 0).argmax()) + 1}; fill it or delete the row")
    if len(keys) < len(code):
        twice = keys[int((np.bincount(code) > 1).argmax())]
        raise ValueError(f"{where} has the object {twice!r} more than once; keep one row of it")
    return frame.drop(columns=[column] if column else []).set_axis(keys, axis=0)


def check_labels(table: pd.DataFrame, names: Sequence[str], given: bool) -> None:
    """Raise ``ValueError`` where no objects table is ``given`` and the observations do not have the labels either."""
    if missing := [] if given else [name for name in names if name not in table.columns]:
        raise ValueError(
            f"the observations alone say nothing of {listed(missing)}: labels stand in a table with a row per object; "
            f"give it as {option('objects')}, or one of the columns {listed(list(table.columns))}"
        )


def _index(frame: pd.DataFrame, where: str, names: Sequence[str]) -> pd.Series:
    if str(frame.index.name).lower() in OBJECT_NAMES:
        return frame.index.to_series()
    raise ValueError(
        f"{where} has no column known to hold object ids; name it as {option('object')}; columns: {listed(names)}"
    )


def join(found: list[Found], objects: pd.DataFrame | None) -> tuple[list[Found], pd.DataFrame, list[bool]]:
    """Objects with light curves, then those of the table without; one row of the table for each; and whether each
    is in the given table.

    Raises ``ValueError`` where no object is in the table.
    """
    headers = pd.DataFrame([dict(item.header) for item in found], index=pd.RangeIndex(len(found)))
    headers = headers.drop(columns=[KEY], errors="ignore")
    if objects is None:
        headers.insert(0, KEY, [item.key for item in found])
        return found, headers, [True] * len(found)
    names = [item.key if item.key in objects.index else item.identity for item in found]
    known = [name in objects.index for name in names]
    if found and not any(known):
        raise ValueError(
            f"no object is in the objects table: ids such as {found[0].key!r} against {objects.index[0]!r}; "
            f"name the columns of ids as {option('object')} or make the ids equal"
            if len(objects)
            else "the objects table has no rows; it needs one per object"
        )
    taken = set(names)
    missing = [key for key in objects.index if key not in taken]
    reason = Unreadable("no observations of this object; add some or delete it from the objects table")
    found = [*found, *(Found(key=key, data=reason) for key in missing)]
    rows = objects.reindex([*names, *missing]).reset_index(drop=True)
    extra = headers.reindex(range(len(found))).drop(columns=[n for n in headers.columns if n in rows.columns])
    table = pd.concat([rows, extra], axis=1)
    table = table.drop(columns=[KEY], errors="ignore")
    table.insert(0, KEY, [item.key for item in found])
    return found, table, [*known, *([True] * len(missing))]


def metadata(table: pd.DataFrame, withheld: Sequence[str] = ()) -> list[dict[str, float]]:
    """By row the numbers of ``curve.META`` that are known, from other columns than ``withheld``."""
    kept = {name.strip().lower() for name in withheld}
    table = table[[name for name in table.columns if str(name).strip().lower() not in kept]]
    columns: dict[str, np.ndarray] = {}
    redshift, name = _first_known(table, REDSHIFT_NAMES, -0.1)
    if name:
        columns["redshift"] = redshift
        forms = [form.format(name.lower()) for form in ERROR_FORMS]
        error, _ = _first_known(table, forms, 0.0)
        columns["redshift_err"] = np.where(np.isfinite(redshift) & (error > 0), error, np.nan)
    extinction, name = _first_known(table, EXTINCTION_NAMES, 0.0)
    if name:
        columns["extinction"] = extinction
    return [
        {name: float(column[i]) for name, column in columns.items() if np.isfinite(column[i])}
        for i in range(len(table))
    ]


def _first_known(table: pd.DataFrame, usual: Sequence[str], least: float) -> tuple[np.ndarray, str]:
    """The first of the usual columns with a value of at least ``least``, NaN for lower ones (-9: undefined)."""
    names = [str(name) for name in table.columns]
    for name in usual:
        column = pick(names, None, (name,), "", "")
        if column:
            values, _ = numbers(table[column])
            values = np.where(np.isfinite(values) & (values >= least), values, np.nan)
            if np.isfinite(values).any():
                return values, column
    return np.full(len(table), np.nan), ""


def positions(table: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Right ascension and declination (degrees) by row, NaN where unknown; and what was done to them, "" for nothing.

    Numbers are degrees, right ascensions from -180 too; text such as ``12:30:49.4``, ``12 30 49.4`` or ``12h30m49.4s``
    is hours of right ascension (degrees with ``d`` or ``°``) and degrees of declination. What is none is unknown.
    """
    names = [str(name) for name in table.columns]
    ra, dec = (pick(names, None, usual, "", "") for usual in (RA_NAMES, DEC_NAMES))
    if not (ra and dec):
        return np.full((len(table), 2), np.nan), [""] * len(table)
    both = np.stack([_degrees(table[ra], 15.0), _degrees(table[dec], 1.0)], axis=1)
    both[:, 0] += np.where((both[:, 0] >= -180) & (both[:, 0] < 0), 360.0, 0.0)
    possible = (both[:, 0] >= 0) & (both[:, 0] <= 360) & (np.abs(both[:, 1]) <= 90)
    stated = ~(blank(table[ra]) & blank(table[dec]))
    notes = [
        f"its position ({table[ra].iloc[i]}, {table[dec].iloc[i]}) is none on the sky: left out" if bad else ""
        for i, bad in enumerate(stated & ~possible)
    ]
    return np.where(possible[:, None], both, np.nan), notes


_SEXAGESIMAL = re.compile(
    r"([+\-\u2212]?)\s*(\d{1,3})\s*[:hd°\s]\s*([0-5]?\d)\s*[:m'′\s]\s*([0-5]?\d(?:\.\d*)?)\s*(?:s|\"|″|'')?"
)


def _degrees(column: pd.Series, factor: float) -> np.ndarray:
    """Angles in degrees, NaN where missing or none; ``factor`` is what the first part of a sexagesimal one counts."""
    values, texts = numbers(column)
    values = values.copy()
    for i in np.flatnonzero(texts):
        if match := _SEXAGESIMAL.fullmatch(str(column.iloc[i]).strip()):
            sign, *parts = match.groups()
            size = sum(float(part) / 60**power for power, part in enumerate(parts))
            hours = not {"d", "°"} & set(match[0])
            values[i] = (-1 if sign in ("-", "\u2212") else 1) * size * (factor if hours else 1.0)
    return values
