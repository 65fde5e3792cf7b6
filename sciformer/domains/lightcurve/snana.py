"""Files of the supernova analysis package SNANA: text (``.DAT``), one object each, and FITS pairs HEAD and PHOT.

Kessler et al. 2009 (PASP 121, 1028). FLUXCAL has the zero point 27.5; -9 means undefined.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sciformer.data.targets import label, listed
from sciformer.domains.lightcurve.clean import Found, Unreadable
from sciformer.domains.lightcurve.columns import Options, pick
from sciformer.domains.lightcurve.fits import FitsTable, tables
from sciformer.domains.lightcurve.sheet import Sheet, objects_in
from sciformer.domains.lightcurve.table import decode, read_bytes, stem_of

ZERO_POINT = 27.5
"""Magnitude of FLUXCAL = 1."""

SEPARATOR = -777.0
"""MJD of the row after each object in PHOT."""

_HEADER = re.compile(r"\s*([A-Za-z_][\w\-().]*):(?:\s+(.*?))?\s*$")
_MEASURED = re.compile(r"(\S+)\s*\+-\s*(\S+)")


class Text(NamedTuple):
    """What one text file says, before anything is left out."""

    key: str
    header: dict[str, Any]
    rows: list[tuple[str, ...]]
    """Time, band, value, error as text."""


def is_text(content: str) -> bool:
    """Whether a text file is one of SNANA's."""
    return re.search(r"^\s*(OBS|VARLIST|SNID):", content[:200_000], re.MULTILINE) is not None


def is_pair(path: Path) -> bool:
    return re.search(r"_(HEAD|PHOT)\.", path.name, re.IGNORECASE) is not None


def read_texts(paths: Sequence[Path], options: Options, *, alone: bool = True) -> list[Found]:
    """One object per file, in the order of the files; the key is SNID.

    Raises ``ValueError`` naming the file where one that is ``alone`` cannot be read.
    """
    columns = _wanted(options)
    found: list[Found | str] = []
    texts: dict[str, Text] = {}
    for path in paths:
        try:
            text = parse(path, columns)
            if text.key in texts:
                raise ValueError(f"{path} has the SNID {text.key!r} of an earlier file; keep one of them")
        except (ValueError, OSError) as error:
            if alone:
                raise
            found.append(Found(key=stem_of(path), data=Unreadable(str(error))))
        else:
            texts[text.key] = text
            found.append(text.key)
    curves = _curves(texts, columns, options)
    return [curves[item] if isinstance(item, str) else item for item in found]


def _curves(texts: dict[str, Text], columns: Sequence[str], options: Options) -> dict[str, Found]:
    rows = [(key, *row) for key, text in texts.items() for row in text.rows]
    read: dict[str, Found] = {}
    if rows:
        frame = pd.DataFrame(rows, columns=["SNID", "MJD", "FLT", *columns], dtype="str")
        sheet = Sheet(frame=frame, where="SNANA text")
        read = {found.key: found for found in objects_in(sheet, _meaning(options, columns), alone=False)}
    nothing = Unreadable("no observations (no OBS lines); add some or delete the object")
    return {
        key: dataclasses.replace(read.get(key, Found(key=key, data=nothing)), header=text.header)
        for key, text in texts.items()
    }


def _wanted(options: Options) -> tuple[str, str]:
    """Columns of value and error."""
    if options.value is not None:
        return options.value, options.error or f"{options.value}ERR"
    return ("MAG", "MAGERR") if options.quantity == "mag" else ("FLUXCAL", options.error or "FLUXCALERR")


def _meaning(options: Options, columns: Sequence[str]) -> Options:
    zero_point = options.zero_point
    if zero_point is None and columns[0].upper() == "FLUXCAL":
        zero_point = ZERO_POINT
    return dataclasses.replace(
        options, object="SNID", time="MJD", band="FLT", value=columns[0], error=columns[1], zero_point=zero_point
    )


def parse(path: Path, columns: Sequence[str]) -> Text:
    """Header and observations of a text file; ``columns`` are those of value and error.

    Raises ``OSError`` or ``ValueError`` naming the file where it is no light curve or is cut off.
    """
    header: dict[str, Any] = {}
    names: list[str] = []
    places: list[int] = []
    rows: list[tuple[str, ...]] = []
    for number, line in enumerate(decode(path, read_bytes(path)).split("\n"), start=1):
        if line.startswith("OBS:"):
            cells = line.split()[1:]
            places = places or _places(path, names, columns)
            if len(cells) < len(names):
                raise ValueError(
                    f"{path} is cut off in line {number}: {len(cells)} of {len(names)} columns; fetch it again"
                )
            rows.append(tuple(cells[place] for place in places))
        elif match := _HEADER.match(line):
            name, value = match[1].lower(), match[2] or ""
            if name in ("varlist", "varnames"):
                names, places = value.split(), []
            elif value and name not in header:
                header.update(_entry(name, value))
    if not names and "snid" not in header:
        raise ValueError(f"{path} has no SNID and no VARLIST; it is no SNANA light curve")
    stated = header.get("nobs")
    if isinstance(stated, float) and len(rows) < stated:
        raise ValueError(f"{path} is cut off: {len(rows)} of {stated:.0f} observations (NOBS); fetch it again")
    return Text(label(header["snid"]) if "snid" in header else stem_of(path), header, rows)


def _places(path: Path, names: list[str], columns: Sequence[str]) -> list[int]:
    """Where the columns of time, band, value and error are."""
    where = str(path)
    band = pick(names, None, ("flt", "band"), "band", where)
    if not band:
        raise ValueError(f"{where} has no column FLT or BAND in VARLIST; columns: {listed(names)}")
    return [names.index(pick(names, name, (), "VARLIST", where)) for name in ("MJD", band, *columns)]


def _entry(name: str, value: str) -> dict[str, Any]:
    """A header line as columns of an objects table: ``key`` and, after ``+-``, ``key_err``."""
    if name == "snid":
        return {name: value.split()[0]}
    if measured := _MEASURED.match(value):
        entry = {name: _number(measured[1]), f"{name}_err": _number(measured[2])}
        return {key: cell for key, cell in entry.items() if cell is not None}
    if name == "sim_comment" and (kind := re.search(r"SN Type\s*=\s*([^\s,]+)", value)):
        return {name: value, "sim_type": kind[1]}
    number = _number(value.split()[0])
    return {name: value if number is None else number}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def read_pair(path: Path, options: Options) -> list[Found]:
    """The objects of a HEAD file and its PHOT file; ``path`` names either.

    Raises ``OSError`` or ``ValueError`` with one line where one is missing or damaged or they do not fit.
    """
    head_path, phot_path = (_sibling(path, part) for part in ("HEAD", "PHOT"))
    head, phot = (_only(tables(file), file) for file in (head_path, phot_path))
    names = {name.upper(): name for name in head.frame.columns}
    for name in ("SNID", "PTROBS_MIN", "PTROBS_MAX"):
        if name not in names:
            raise ValueError(f"{head_path} has no column {name}; columns: {listed(list(head.frame.columns))}")
    keys = [label(cell) for cell in head.frame[names["SNID"]]]
    if len(set(keys)) < len(keys):
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"{head_path} has the SNID {twice!r} twice; keep one row of it")
    columns = _wanted(options)
    phot_names = [str(name) for name in phot.frame.columns]
    frame = phot.frame.iloc[:, _places(phot_path, phot_names, columns)].set_axis(["MJD", "FLT", *columns], axis=1)
    first, last = (head.frame[names[name]].to_numpy(dtype=np.int64) for name in ("PTROBS_MIN", "PTROBS_MAX"))
    starts, counts, notes = _ranges(
        keys, first - 1, np.maximum(last - first + 1, 0), frame["MJD"].to_numpy(), phot_path
    )
    rows = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    frame = frame.iloc[rows].reset_index(drop=True).assign(SNID=np.repeat(np.array(keys, dtype=object), counts))
    sheet = Sheet(frame=frame, where=str(phot_path), notes=notes)
    read = {found.key: found for found in objects_in(sheet, _meaning(options, columns), alone=False)}
    nothing = Unreadable("no observations (PTROBS_MAX is below PTROBS_MIN); add some or delete the object")
    headers = head.frame.rename(columns=str.lower).to_dict("records")
    return [
        dataclasses.replace(read.get(key, Found(key=key, data=nothing)), header=header)
        for key, header in zip(keys, headers, strict=True)
    ]


def _sibling(path: Path, part: str) -> Path:
    name = re.sub(
        r"_(HEAD|PHOT)\.",
        lambda match: f"_{part if match[1].isupper() else part.lower()}.",
        path.name,
        flags=re.IGNORECASE,
    )
    sibling = path.with_name(name)
    for candidate in (sibling, Path(f"{sibling}.gz"), Path(str(sibling).removesuffix(".gz"))):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{path} needs {name} beside it; SNANA FITS files come in pairs HEAD and PHOT")


def _only(found: Sequence[FitsTable], path: Path) -> FitsTable:
    if not found:
        raise ValueError(f"{path} holds no binary table; fetch it again")
    return found[0]


def _ranges(
    keys: list[str], starts: np.ndarray, counts: np.ndarray, time: np.ndarray, path: Path
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """First row and number of rows of each object in PHOT, and what to note.

    HEAD points at them. Where objects were taken out of PHOT later, the pointers are wrong; then the rows between
    separators are taken, provided that their numbers are those of the objects.
    """
    separators = np.flatnonzero(time == SEPARATOR)
    inside = np.searchsorted(separators, starts + counts) - np.searchsorted(separators, starts)
    wrong = (counts > 0) & ((starts < 0) | (starts + counts > len(time)) | (inside > 0))
    if not wrong.any():
        return starts, counts, ()
    edges = np.concatenate([[-1], separators, [] if len(time) and time[-1] == SEPARATOR else [len(time)]]).astype(int)
    if len(edges) == len(keys) + 1 and (np.diff(edges) - 1 == counts).all():
        return edges[:-1] + 1, counts, ("PTROBS of HEAD does not fit PHOT: rows taken by its separators, in order",)
    i = int(wrong.argmax())
    raise ValueError(
        f"{path} has {len(time)} rows that do not fit rows {starts[i] + 1} to {starts[i] + counts[i]} of object "
        f"{keys[i]} in HEAD; the files do not belong together or one is cut off: fetch both again"
    )
