"""The prepared tables of data cards, made anew from clones of the repositories that the cards name.

Rows are those of the files, placeholders included: what becomes of them is decided when the tables are read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.domains.lightcurve import snana, table, votable
from sciformer.domains.lightcurve.columns import Options
from sciformer.domains.lightcurve.objects import KEY

Track = Callable[[Sequence[Path]], Iterable[Path]]
"""Goes through files, and may show how far."""


def tables(name: str, folder: Path, track: Track) -> Mapping[str, pd.DataFrame] | None:
    """Tables by part of a data card, from the clone in ``folder``; None where no way is known.

    Raises ``OSError`` or ``ValueError`` naming what is missing in ``folder`` or the file that is damaged.
    """
    makers = {"snpcc": _snpcc, "debosscher": _debosscher, "stripe82_rrlyrae": _stripe82}
    return makers[name](folder, track) if name in makers else None


# --- SNPCC -----------------------------------------------------------------------------------------------

_SNPCC_OBJECTS = {
    KEY: ("snid", np.int32),
    "sntype": ("sntype", np.int16),
    "sim_type": ("sim_type", "str"),
    "hostz": ("host_galaxy_photo-z", np.float32),
    "hostz_err": ("host_galaxy_photo-z_err", np.float32),
    "sim_z": ("sim_redshift", np.float32),
    "sim_peakmjd": ("sim_peakmjd", np.float64),
    "mwebv": ("mwebv", np.float32),
}
"""Columns of the objects table, each with its name in the header of a file and its type."""


def _snpcc(folder: Path, track: Track) -> dict[str, pd.DataFrame]:
    """Of the supernovae of the challenge those that the card names: for the others no file is read."""
    found = {path.stem: path for path in _files(folder, "data/SIMGEN_PUBLIC_DES/*.DAT", "TransiXplore/2010SNPCC")}
    chosen = [path for number in _snpcc_objects() if (path := found.get(f"DES_SN{number:06d}"))]
    if not chosen:
        raise FileNotFoundError(f"{folder} has none of the supernovae of the card, such as DES_SN000017.DAT")
    headers: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for path in track(chosen):
        text = snana.parse(path, ("FLUXCAL", "FLUXCALERR"))
        if missing := [name for name, _ in _SNPCC_OBJECTS.values() if name not in text.header]:
            raise ValueError(f"{path} has no {missing[0].upper()} in its header; fetch it again")
        headers.append({name: text.header[key] for name, (key, _) in _SNPCC_OBJECTS.items()})
        rows = pd.DataFrame(text.rows, columns=["time", "band", "flux", "flux_err"])
        frames.append(_observations(path, text.key, rows, "flux", np.int32))
    objects = pd.DataFrame(headers).astype({name: kind for name, (_, kind) in _SNPCC_OBJECTS.items()})
    return {"": objects, "observations": pd.concat(frames, ignore_index=True)}


def _snpcc_objects() -> list[int]:
    lines = Path(__file__).with_name("snpcc_objects.txt").read_text("utf-8").splitlines()
    return [int(number) for line in lines if not line.startswith("#") for number in line.split()]


# --- Debosscher ------------------------------------------------------------------------------------------


def _debosscher(folder: Path, track: Track) -> dict[str, pd.DataFrame]:
    """Labels and positions stand in the files of the stars."""
    headers: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for path in track(_files(folder, "data/debosscher/*.xml", "longjp/lightcurves")):
        sheet = votable.load_vosource(path)
        if missing := [name for name in ("label", "ra", "dec") if not sheet.header.get(name)]:
            raise ValueError(f"{path} states no {missing[0]} of the star; fetch it again")
        headers.append({KEY: path.stem, **sheet.header})
        rows = sheet.frame.rename(columns={"t": "time", "m": "mag", "m_err": "mag_err"}).drop(columns="band")
        frames.append(_observations(path, path.stem, rows, "mag", np.int64))
    kinds = {KEY: np.int64, "label": "str", "ra": np.float64, "dec": np.float64}
    objects = pd.DataFrame(headers)[list(kinds)].astype(kinds)
    return {"": objects, "observations": pd.concat(frames, ignore_index=True)}


# --- RR Lyrae stars of Stripe 82 -------------------------------------------------------------------------


def _stripe82(folder: Path, track: Track) -> dict[str, pd.DataFrame]:
    """Types and periods are those of table 2 of the paper; each star has a file of observations."""
    (catalogue,) = _files(folder, "RRLyrae/apj326724t2.txt", "light-curve/test-data")
    found = {path.stem: path for path in _files(folder, "RRLyrae/light-curves/*.csv", "light-curve/test-data")}
    objects = _catalogue(catalogue)
    objects = objects[objects[KEY].astype(str).isin(found)].reset_index(drop=True)
    if unknown := sorted(set(found) - set(objects[KEY].astype(str))):
        raise ValueError(f"{found[unknown[0]]} is of no star in {catalogue}; the files do not belong together")
    frames = [
        _observations(path, path.stem, _stripe82_rows(path), "mag", np.int32)
        for path in track([found[str(number)] for number in objects[KEY]])
    ]
    return {"": objects, "observations": pd.concat(frames, ignore_index=True)}


def _catalogue(path: Path) -> pd.DataFrame:
    from astropy.io import ascii

    try:
        rows: Any = ascii.read(table.decode(path, table.read_bytes(path)).split("\n"), format="mrt")
        columns = {KEY: rows["Num"], "type": rows["Type"], "period": rows["Per"]}
    except (ValueError, KeyError, ascii.InconsistentTableError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as a table of the journal ({reason:.100}); fetch it again") from None
    return pd.DataFrame({name: np.asarray(column) for name, column in columns.items()}).astype(
        {KEY: np.int32, "type": "str", "period": np.float64}
    )


def _stripe82_rows(path: Path) -> pd.DataFrame:
    return table.load_sheet(path, Options()).frame.rename(columns={"magerr": "mag_err"})


# --- all of them -----------------------------------------------------------------------------------------


def _files(folder: Path, pattern: str, repository: str) -> list[Path]:
    """Files of a clone by name, one at least."""
    if found := sorted(folder.glob(pattern)):
        return found
    raise FileNotFoundError(f"{folder} has no {pattern}; give the folder of a clone of github.com/{repository}")


def _observations(path: Path, key: str, rows: pd.DataFrame, value: str, identity: type) -> pd.DataFrame:
    """The rows of one object, in the columns and types of the card."""
    kinds = {"time": np.float64, "band": "str", value: np.float32, f"{value}_err": np.float32}
    kinds = {name: kind for name, kind in kinds.items() if name in rows.columns}
    try:
        frame = rows[list(kinds)].astype(kinds)
        frame.insert(0, KEY, identity(key))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} cannot be read ({error}); fetch it again") from None
    return frame
