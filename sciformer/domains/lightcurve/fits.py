"""FITS tables: Kepler, TESS and lightkurve light curves, and any binary table of observations."""

import dataclasses
import io
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.domains.lightcurve.clean import Found
from sciformer.domains.lightcurve.columns import TIME_NAMES, Options
from sciformer.domains.lightcurve.curve import ORIGINS
from sciformer.domains.lightcurve.sheet import Sheet, native, objects_in
from sciformer.domains.lightcurve.table import read_bytes, stem_of
from sciformer.domains.lightcurve.times import Scale, named

SUFFIXES = (".fits", ".fit", ".fts")

_MISSIONS = {"kepler": "Kepler", "k2": "Kepler", "tess": "TESS"}
"""Band of the light curves of telescopes that have but one."""


_DAMAGE = "(?s).*(verification failed|truncated|Error validating header)"
"""Warnings of astropy that are errors here."""


@dataclass(frozen=True, kw_only=True)
class FitsTable:
    """A binary table in memory: native byte order, text as text, no columns of arrays."""

    frame: pd.DataFrame
    name: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of the file and of the table by lower-case name."""


def read_file(path: Path, options: Options, *, alone: bool = True) -> list[Found]:
    """The light curves of a FITS file: one, unless a column of ids tells several apart.

    Raises ``OSError`` or ``ValueError`` with one line that names the file and the remedy.
    """
    table = _observations(tables(path), path)
    header, units = table.header, dict(table.units)
    time = _time_column(table.frame)
    scale = _reference(header, path)
    if time and scale is not None and "timeunit" in header:
        units[time] = str(header["timeunit"])
    names = {name.lower(): name for name in table.frame.columns}
    spacecraft = "bjdrefi" in header or "bjdreff" in header
    sheet = Sheet(
        frame=table.frame,
        where=str(path),
        name=stem_of(path),
        identity=_identity(header),
        units=units,
        scale=scale,
        band=_band(header),
        quality=(names.get("quality") or names.get("sap_quality") or "") if spacecraft else "",
        header=header,
    )
    return objects_in(sheet, dataclasses.replace(options, object="") if spacecraft else options, alone=alone)


def tables(path: Path) -> list[FitsTable]:
    """All binary tables of a FITS file, checksums verified.

    Raises ``ValueError`` with one line where the file is cut off, damaged or no FITS file.
    """
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    content = read_bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            warnings.filterwarnings(
                "error", "(?s).*(verification failed|truncated|Error validating header)", AstropyWarning
            )
            with fits.open(io.BytesIO(content), checksum=True, memmap=False) as file:
                hdus: list[Any] = list(file)
                return [_table(hdu, hdus[0].header) for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
    except (OSError, TypeError, ValueError, KeyError, IndexError, EOFError, zlib.error, AstropyWarning) as error:
        raise ValueError(f"{path} {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    signs = ("buffer is too small", "truncated", "Error validating header", "Header missing END")
    if any(sign in text for sign in signs):
        return "is cut off (shorter than its header says); download it again"
    if "verification failed" in text:
        return f"is damaged ({text.rstrip('.')}); download it again"
    return f"cannot be read as FITS ({text:.100}); download or write it again"


def _table(hdu: Any, primary: Any) -> FitsTable:
    columns, units = {}, {}
    for column in hdu.columns:
        values = np.asarray(hdu.data[column.name])
        if values.ndim != 1 or values.dtype == object:
            continue
        if column.null is not None and values.dtype.kind in "iu":
            values = np.where(values == column.null, np.nan, values)
        columns[column.name] = native(values)
        if column.unit:
            units[column.name] = column.unit
    header = {**dict(_keywords(primary)), **dict(_keywords(hdu.header))}
    return FitsTable(frame=pd.DataFrame(columns), name=hdu.name, units=units, header=header)


def _keywords(header: Any) -> list[tuple[str, Any]]:
    """What a header says, but for how the file is laid out."""
    layout = ("naxis", "bitpix", "simple", "extend", "xtension", "pcount", "gcount", "tfields", "checksum", "datasum")
    columns = ("ttype", "tform", "tunit", "tdisp", "tnull", "tscal", "tzero", "tdim")
    return [
        (name.lower(), value)
        for name, value in header.items()
        if isinstance(value, str | int | float) and name and not name.lower().startswith((*layout, *columns))
    ]


def _observations(found: list[FitsTable], path: Path) -> FitsTable:
    for table in found:
        if table.name.upper() == "LIGHTCURVE":
            return table
    for table in found:
        if _time_column(table.frame):
            return table
    if not found:
        raise ValueError(f"{path} holds no binary table; it needs one with times and fluxes")
    return found[0]  # the missing column is then named with those that there are


def _time_column(frame: pd.DataFrame) -> str:
    names = {str(name).lower(): str(name) for name in frame.columns}
    return next((names[name] for name in TIME_NAMES if name in names), "")


def _reference(header: Mapping[str, Any], path: Path) -> Scale | None:
    """The day count that keywords such as BJDREFI and BJDREFF state."""
    for base in ("BJD", "HJD", "MJD", "JD"):
        parts = [header[name] for name in _reference_names(base) if name in header]
        if parts:
            try:
                return named(base, ORIGINS[base] + sum(float(part) for part in parts))
            except ValueError:
                raise ValueError(f"{path} has no number in {base}REF; correct the header") from None
    return None


def _reference_names(base: str) -> tuple[str, ...]:
    return tuple(f"{base}ref{part}".lower() for part in ("i", "f", ""))


def _band(header: Mapping[str, Any]) -> str:
    mission = str(header.get("mission") or header.get("telescop") or "").strip().lower()
    return _MISSIONS.get(mission) or str(header.get("filter") or "").strip()


def _identity(header: Mapping[str, Any]) -> str:
    for name in ("object", "ticid", "keplerid"):
        if name in header:
            return str(header[name]).strip()
    return ""
