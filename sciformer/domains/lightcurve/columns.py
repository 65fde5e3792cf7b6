"""Which column of a table of observations is which: by usual names, or as the caller says."""

import contextlib
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sciformer.data.targets import label, listed
from sciformer.domains.lightcurve.notes import option
from sciformer.domains.lightcurve.times import dates_to_mjd, parse_scale


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OBJECT_NAMES = words(
    "object_id objectid object obj_id objid oid id snid cid star_id star source_id sourceid target_id target "
    "tic ticid tic_id kic kepid keplerid kepler_id lcid lc_id diaobjectid name"
)
TIME_NAMES = words(
    "time mjd jd hjd bjd btjd bkjd bjd_tdb mjd_obs obsmjd obs_mjd obsjd obs_jd midpointmjdtai timestamp datetime "
    "date date_obs date-obs obs_date obs_time obstime epoch t days day"
)
BAND_NAMES = words("band passband filter filt flt fid filtercode bandpass filter_name")
FLUX_NAMES = words(
    "pdcsap_flux sap_flux kspsap_flux det_flux flux fluxcal psfflux psf_flux forcediffimflux difference_flux f"
)
MAG_NAMES = words("mag magnitude magpsf psfmag psf_mag mag_auto mag_calib magcalib magap m")
ERROR_FORMS = words("{}_err {}err {}_error {}error e_{} err_{} sigma_{} {}_sigma {}sigma {}_unc d{} e{}")
MAG_ERROR_NAMES = words("mag_err magerr mag_error magerror sigmapsf psfmagerr e_mag emag dmag")
FLUX_ERROR_NAMES = words("flux_err fluxerr flux_error fluxerror e_flux eflux dflux fluxcalerr")
ERROR_NAMES = words("error err sigma uncertainty unc e")
ZERO_POINT_NAMES = words("zp zero_point zeropoint zpt")
UNIT_NAMES = words("unit units flux_unit flux_units mag_unit value_unit")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the caller says about a source; None leaves it to usual names and to the file."""

    object: str | None = None
    """Column of object ids, of the objects table too; "" says that all rows are one object."""
    time: str | None = None
    band: str | None = None
    value: str | None = None
    error: str | None = None
    quantity: Literal["flux", "mag"] | None = None
    unit: str | None = None
    zero_point: float | int | str | None = None
    """Magnitude of a flux of 1, or the column that holds it."""
    scale: str | None = None
    """Time scale: MJD, JD, HJD, BJD, BKJD, BTJD, or one of these less a number (``JD-2440000``)."""
    sentinels: tuple[float, ...] = ()
    """Values and errors that mean missing, beside the usual ones."""
    quality: int = -1
    """Bits of the QUALITY column for which an observation is left out: all, or none where 0."""
    sep: str | None = None
    names: tuple[str, ...] | None = None
    """Columns of files without a header."""


class Chosen(NamedTuple):
    """Names of the columns in use; "" where there is none."""

    object: str
    time: str
    band: str
    value: str
    error: str
    zero_point: str
    unit: str
    quantity: Literal["flux", "mag"]


def options_from(given: Mapping[str, object]) -> Options:
    """Options by name.

    Raises ``ValueError`` where one is unknown or has an impossible value.
    """
    known = list(Options.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise ValueError(f"no option named {name!r}; options: {', '.join(known)}, objects (the table of objects)")
    if given.get("quantity") not in (None, "flux", "mag"):
        raise ValueError(f"quantity must be flux or mag, got {given['quantity']!r}")
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, kind in (("names", str), ("sentinels", float)):
        if name in fields:
            cells = fields[name].split(",") if isinstance(fields[name], str) else np.atleast_1d(fields[name]).tolist()
            fields[name] = tuple(kind(cell) for cell in cells)
    for name, kind in (("zero_point", float), ("quality", int)):  # a command line gives text
        with contextlib.suppress(KeyError, ValueError):
            fields[name] = kind(fields[name])
    zero_point = fields.get("zero_point", 0)
    if not isinstance(zero_point, str) and not np.isfinite(zero_point):
        raise ValueError(f"zero_point must be a finite magnitude or a column, got {zero_point}")
    if not isinstance(fields.get("quality", 0), int):
        raise ValueError(f"quality must be the bits for which an observation is left out, got {fields['quality']!r}")
    for name in ("object", "time", "band", "value", "error", "unit", "scale", "sep"):
        if not isinstance(fields.get(name, ""), str):
            raise ValueError(f"{name} must be text, got {fields[name]!r}")
    return Options(**fields)


def choose(frame: pd.DataFrame, units: Mapping[str, str], options: Options, where: str) -> Chosen:
    """The columns of ``frame`` that are read.

    Raises ``ValueError`` where a needed one is missing or two could be it.
    """
    names = [str(name) for name in frame.columns]
    time = pick(names, options.time, TIME_NAMES, "time", where) or next(filter(parse_scale, names), "")
    if not time:
        raise ValueError(
            f"{where} has no column known to hold times; name it as {option('time')}; columns: {listed(names)}"
        )
    value, quantity = _value(names, units, options, where)
    forms = [form.format(value.lower()) for form in ERROR_FORMS]
    kin = MAG_ERROR_NAMES if quantity == "mag" else FLUX_ERROR_NAMES
    rest = [name for name in names if name not in (time, value)]
    zero_point = options.zero_point if isinstance(options.zero_point, str) else None
    usual = ZERO_POINT_NAMES if options.zero_point is None and quantity == "flux" else ()
    return Chosen(
        object="" if options.object == "" else pick(rest, options.object, OBJECT_NAMES, "object", where),
        time=time,
        band=pick(rest, options.band, BAND_NAMES, "band", where),
        value=value,
        error=pick(rest, options.error, (*forms, *kin, *ERROR_NAMES), "error", where),
        zero_point=pick(rest, zero_point, usual, "zero_point", where),
        unit=pick(rest, None, UNIT_NAMES, "unit", where),
        quantity=quantity,
    )


def _value(
    names: list[str], units: Mapping[str, str], options: Options, where: str
) -> tuple[str, Literal["flux", "mag"]]:
    """The column of values and what it holds."""
    value = options.value and pick(names, options.value, (), "value", where)
    if not value:
        flux, mag = (pick(names, None, usual, "value", where) for usual in (FLUX_NAMES, MAG_NAMES))
        if flux and mag and options.quantity is None:
            raise ValueError(f"{where} has values in {flux!r} and in {mag!r}; name one of them as {option('value')}")
        value = {"flux": flux, "mag": mag, None: flux or mag}[options.quantity]
    if not value:
        raise ValueError(
            f"{where} has no column known to hold fluxes or magnitudes; name it as {option('value')} and "
            f"say which it is as {option('quantity')}; columns: {listed(names)}"
        )
    unit = options.unit or units.get(value, "")
    by_unit = quantity_of_unit(unit)
    by_name = _quantity_of_name(value)
    stated = options.quantity or by_name or by_unit
    if stated is None:
        raise ValueError(
            f"{where} does not say whether {value!r} holds fluxes or magnitudes; give {option('quantity')}"
        )
    if by_unit not in (None, stated):
        raise ValueError(
            f"{where} has {value!r} in {unit!r}, which is no unit of {stated}; correct the unit or `quantity`"
        )
    return value, stated


def quantity_of_unit(unit: str) -> Literal["flux", "mag"] | None:
    if not unit.strip():
        return None
    return "mag" if "mag" in unit.lower() and "magg" not in unit.lower() else "flux"  # nanomaggies are fluxes


def _quantity_of_name(name: str) -> Literal["flux", "mag"] | None:
    name = name.strip().lower()
    if name in MAG_NAMES or "mag" in name:
        return "mag"
    return "flux" if name in FLUX_NAMES or "flux" in name else None


def pick(names: Sequence[str], given: str | None, usual: Sequence[str], role: str, where: str) -> str:
    """The column ``given``, else the first one with a usual name in any case, else "".

    Raises ``ValueError`` where ``given`` is not there.
    """
    folded = {name.strip().lower(): name for name in reversed(names)}
    if given is not None:
        if given in names:
            return given
        if given.strip().lower() in folded:
            return folded[given.strip().lower()]
        close = difflib.get_close_matches(given.strip().lower(), folded, n=3)
        hint = f"did you mean {' or '.join(repr(folded[match]) for match in close)}? " if close else ""
        raise ValueError(f"{where} has no {role} column named {given!r}; {hint}columns: {listed(names)}")
    return next((folded[name] for name in usual if name in folded), "")


def blank(column: pd.Series) -> np.ndarray:
    """True where a cell is empty, blank, NaN, or one of the usual words for missing."""
    missing = column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return missing
    words = ("", "nan", "na", "n/a", "null", "none", "--", "-", "...")
    return missing | column.astype("str").str.strip().str.lower().isin(words).to_numpy(dtype=bool)


def labels(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Index of each cell's label in order of appearance, and the labels; -1 where the cell is missing."""
    code, cells = pd.factorize(column)
    texts = [label(cell) for cell in cells]
    place = {text: i for i, text in enumerate(dict.fromkeys(texts)) if text}
    index = np.array([*(place.get(text, -1) for text in texts), -1])
    return index[code], list(place)


def numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """float64 values, NaN where missing; and True where a cell is text that is no number."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(column), dtype=bool)
    missing = blank(column)
    values = pd.to_numeric(column.astype("str").mask(missing), errors="coerce").to_numpy(
        dtype=np.float64, na_value=np.nan
    )
    nan = np.isnan(values)
    return values, nan & ~missing


def days(column: pd.Series) -> tuple[np.ndarray, np.ndarray, bool]:
    """Times as numbers, True where a cell is neither number nor date, and whether they are dates (then MJD)."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return dates_to_mjd(column), np.zeros(len(column), dtype=bool), True
    values, wrong = numbers(column)
    if wrong.any() and not np.isfinite(values).any():
        return dates_to_mjd(column.mask(blank(column))), np.zeros(len(column), dtype=bool), True
    return values, wrong, False
