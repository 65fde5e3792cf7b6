"""Series of any kind to records: files of netCDF and zarr, tables of time, xarray and pandas.

What is read and what becomes of bad input is written in ``docs/climate.md``.
"""

import contextlib
import dataclasses
import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from sciformer.adapter import Record
from sciformer.domains.climate import files, tables
from sciformer.domains.climate.dates import dated
from sciformer.domains.climate.layout import lay, without_empty
from sciformer.domains.climate.options import Options, options_from
from sciformer.domains.climate.records import Found, records
from sciformer.domains.climate.regions import is_inside

UNNAMED = "series"
"""The key of one series in memory that has no name."""


def read(source: Any, **options: Any) -> Iterator[Record]:
    """Yield one record per station, or one per grid or single series; ``Record.data`` is a ``Series``.

    ``source``: an ``xarray`` Dataset or DataArray, a pandas DataFrame or Series, a file of netCDF, zarr, CSV or
    Parquet, a list, a glob or a folder of files of one kind. ``options``: see ``options.Options``.

    Raises ``ValueError`` or ``OSError``, before the first record, where the source as a whole or an option is
    unusable. A station that is unusable is a record with a problem.
    """
    chosen = options_from(options)
    made = [record for found in load(source, chosen) for record in records(found, chosen)]
    if not any(record.ok for record in made):
        more = f" (the first of {len(made)} stations, none of which can be read)" if len(made) > 1 else ""
        raise ValueError(f"{made[0].problem}{more}")
    return iter(made)


def open_source(source: Any, **options: Any) -> xr.Dataset:
    """The labelled dataset behind a source: time first, then stations or latitudes and longitudes; float32 variables
    with units, directions as sine and cosine; on disk where it is large. Stations of a table stand along a dimension
    ``station``, on all times that any of them has.

    Raises ``ValueError`` or ``OSError`` where the source, a station of it or an option is unusable.
    """
    found = load(source, options_from(options))
    for part in found:
        if part.laid is None:
            raise ValueError(part.problem)
    laid = {part.key: part.laid.data for part in found if part.laid is not None}
    if len(laid) == 1:
        return next(iter(laid.values()))
    names = pd.Index(list(laid), name="station")
    whole = xr.concat(
        list(laid.values()), dim=names, join="outer", data_vars="all", coords="different", compat="equals"
    )
    return whole.transpose("time", ...)


def load(source: Any, options: Options) -> list[Found]:
    """The datasets behind a source: one, or one for each station of a table."""
    found = _sources(source, options)
    if twice := [key for key, count in Counter(part.key for part in found).items() if count > 1]:
        raise ValueError(f"two stations of the source are called {twice[0]!r}; make the names unique")
    kept = iter(without_empty([part.laid for part in found if part.laid is not None], options))
    return [part if part.laid is None else dataclasses.replace(part, laid=next(kept)) for part in found]


# --- kinds of source -----------------------------------------------------------------------------------------


def _sources(source: Any, options: Options) -> list[Found]:
    if isinstance(source, xr.DataArray):
        name = str(source.name) if source.name is not None else "value"
        return [_dataset(source.to_dataset(name=name), options, name if source.name else UNNAMED, "the array")]
    if isinstance(source, xr.Dataset):
        key = Path(str(source.encoding.get("source", UNNAMED))).stem
        return [_dataset(_masked(source), options, key, "the dataset")]
    if isinstance(source, pd.DataFrame | pd.Series):
        name = source.name if isinstance(source, pd.Series) and source.name is not None else UNNAMED
        return _stations(tables.stations(source, options, str(name), "the table"), options, "the table")
    key, paths = _paths(source)
    if all(tables.is_table(path) for path in paths):
        return _tables(paths, options)
    if odd := next((path for path in paths if tables.is_table(path)), None):
        raise ValueError(f"{odd} is a table and {_other(paths)} is not; read files of one kind")
    return [_netcdf(key, paths, options)]


def _other(paths: Sequence[Path]) -> Path:
    return next(path for path in paths if not tables.is_table(path))


def _netcdf(key: str, paths: Sequence[Path], options: Options) -> Found:
    """Files as one dataset. They stay open only if values are left in them."""
    where = paths[0].name if len(paths) == 1 else f"{key} ({len(paths)} files)"
    with contextlib.ExitStack() as opened:
        try:
            data, time, notes = files.open_files(paths, options, opened)
            laid = lay(data, time, options, where, {}, notes)
        except RuntimeError as error:  # of the library, where a checksum or a pointer is wrong
            reason = " ".join(str(error).split())
            raise OSError(f"{where} is damaged: its values cannot be read ({reason}); fetch it again") from None
        if not laid.loaded:
            opened.pop_all()
    return Found(key=key, laid=laid)


def _masked(data: xr.Dataset) -> xr.Dataset:
    """Fill values and packing decoded, where attributes still say so."""
    return xr.decode_cf(data, decode_times=False, decode_timedelta=False)


def _dataset(data: xr.Dataset, options: Options, key: str, where: str) -> Found:
    data, time, notes = dated(data, options, where)
    return Found(key=key, laid=lay(data, time, options, where, {}, notes))


def _tables(paths: Sequence[Path], options: Options) -> list[Found]:
    """Tables, each of them one station unless a column tells stations apart."""
    found = []
    for path in paths:
        frame = tables.read_table(path)
        key = path.name.removesuffix(".gz").rpartition(".")[0]
        found += _stations(tables.stations(frame, options, key, path.name), options, path.name)
    names = {part.key: part.laid.names for part in found if part.laid is not None}
    first = next(iter(names), "")
    for key, there in names.items():
        if there != names[first]:
            odd = sorted(set(there) ^ set(names[first]))
            raise ValueError(
                f"{key} and {first} have not the same variables (only one has {', '.join(odd) or 'that order'}); "
                "name those of both as variables"
            )
    return found


def _stations(parts: Sequence[tables.Station], options: Options, where: str) -> list[Found]:
    """A station that cannot be read does not spoil the others."""
    found = []
    for part in _near(parts, options, where):
        if part.data is None:
            found.append(Found(key=part.key, laid=None, problem=part.problem))
            continue
        named = where if len(parts) == 1 else f"{where}, station {part.key}"
        plain = dataclasses.replace(options, station=None, lat=None, lon=None, region=None)  # all done by now
        try:
            laid = lay(part.data, part.time, plain, named, part.left, part.notes)
        except ValueError as error:
            if len(parts) == 1:
                raise
            found.append(Found(key=part.key, laid=None, problem=str(error)))
        else:
            found.append(Found(key=part.key, laid=laid, named=bool(options.station)))
    return found


def _near(parts: Sequence[tables.Station], options: Options, where: str) -> list[tables.Station]:
    """Stations in the region; those whose place nobody knows are not."""
    if options.region is None:
        return list(parts)
    kept = [part for part in parts if part.data is None or is_inside(part.data, options.region)]
    if not kept:
        raise ValueError(f"{where} has no station in the region; name their places as lat and lon, or correct region")
    return kept


def _paths(source: Any) -> tuple[str, list[Path]]:
    """A name for what is read, and its files."""
    if isinstance(source, list | tuple):
        paths = [Path(item) for item in source if isinstance(item, str | Path)]
        if not paths or len(paths) < len(source):
            raise ValueError("a list of sources must hold paths, and at least one")
        stems = [path.stem for path in paths]
        return "+".join(stems) if len(stems) <= 3 else f"{stems[0]}+{len(stems) - 1}", paths
    if not isinstance(source, str | Path):
        raise ValueError(
            f"source must be a path, a list of paths, or data of xarray or pandas, got {type(source).__name__}"
        )
    path = Path(source)
    if path.is_dir() and not files.is_zarr(path):
        inside = sorted(file for file in path.iterdir() if _is_known(file))
        if not inside:
            raise ValueError(f"{path} holds no files that end in {', '.join((*files.SUFFIXES, *tables.SUFFIXES))}")
        return (path.name if len(inside) > 1 else inside[0].stem), inside
    if not path.exists() and glob.has_magic(str(source)):
        inside = [Path(found) for found in sorted(glob.glob(str(source)))]  # noqa: PTH207 - patterns may be absolute
        if not inside:
            raise FileNotFoundError(f"no file is like {source} (working directory {Path.cwd()})")
        return (inside[0].parent.resolve().name if len(inside) > 1 else inside[0].stem), inside
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path (working directory {Path.cwd()})")
    return path.stem, [path]


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in files.SUFFIXES or tables.is_table(path) or files.is_zarr(path)
