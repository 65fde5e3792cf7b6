"""Files of netCDF and zarr to one dataset with dates, which stays on disk until it is needed."""

import contextlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from scipy.io import netcdf_file

from sciformer.data.targets import listed
from sciformer.domains.climate import times
from sciformer.domains.climate.cf import not_there, same_unit, unit_of
from sciformer.domains.climate.dates import dated
from sciformer.domains.climate.options import Options

SUFFIXES = (".nc", ".nc3", ".nc4", ".cdf", ".netcdf")
LARGEST = 64e6
"""Bytes of values above which they are not loaded, but read piece by piece."""
PIECE = 16e6
"""Bytes of a piece of one variable."""

_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_OTHERS = {
    b"<": "is a web page",
    b"GRIB": "is GRIB; convert it to netCDF",
    b"\x1f\x8b": "is compressed by gzip; unpack it",
    b"PK": "is a zip archive; unpack it",
    b"version https://git-lfs": "is a pointer of Git LFS; fetch the file itself",
}


def is_zarr(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def open_files(
    paths: Sequence[Path], options: Options, opened: contextlib.ExitStack
) -> tuple[xr.Dataset, str, list[str]]:
    """One dataset of all files, its dimension of time, and notes. Variables of one name go on in time from file to
    file; others stand side by side. Values stay on disk; ``opened`` closes the files.

    Raises ``ValueError`` or ``OSError`` naming the file that cannot be read or does not fit the others.
    """
    notes: list[str] = []
    parts: dict[str, xr.Dataset] = {}
    dims: dict[str, str] = {}
    for path in paths:
        raw = open_file(path)
        opened.callback(raw.close)
        twice = [name for name, variable in raw.variables.items() if len(set(variable.dims)) < variable.ndim]
        data, time, found = dated(raw.drop_vars(twice), options, path.name)
        found += [f"left out: {listed([str(name) for name in twice])} (a dimension twice)"] if twice else []
        notes += [note for note in found if note not in notes]
        parts[str(path)], dims[str(path)] = data, time
    if len(set(dims.values())) > 1:
        told = ", ".join(f"{time!r} in {Path(path).name}" for path, time in dims.items())
        raise ValueError(f"the dimension of time must have one name in all files, got {told}")
    time = next(iter(dims.values()))
    if len(parts) == 1:
        return next(iter(parts.values())), time, notes
    named = {Path(path).name if len({p.name for p in paths}) == len(paths) else path: d for path, d in parts.items()}
    return (*combined(_chosen(named, options), time, notes), notes)


def _chosen(parts: Mapping[str, xr.Dataset], options: Options) -> dict[str, xr.Dataset]:
    """With the named variables alone: the others need not fit together."""
    if not options.variables:
        return dict(parts)
    there = [str(name) for name in dict.fromkeys(name for data in parts.values() for name in data.data_vars)]
    for name in options.variables:
        if name not in there:
            raise not_there(name, there, f"{next(iter(parts))} and {len(parts) - 1} other files")
    kept = {where: data[[name for name in options.variables if name in data]] for where, data in parts.items()}
    return {where: data for where, data in kept.items() if data.data_vars}


# --- one file ------------------------------------------------------------------------------------------------


def open_file(path: Path) -> xr.Dataset:
    """A file as xarray reads it lazily: fill values and packing decoded, times not.

    Raises ``OSError`` or ``ValueError`` where it is missing, empty, damaged or something else.
    """
    if is_zarr(path):
        if importlib.util.find_spec("zarr") is None:
            raise ValueError(f"{path} is zarr, which needs a package: pip install sciformer[climate]")
        data = _opened(path, "zarr")
        return data[sorted(map(str, data.data_vars))]  # a store has no order of its own
    check(path)
    return _opened(path, "netcdf4")


def check(path: Path) -> None:
    """Refuse a file that is no netCDF, or shorter than its header promises: the library would read zeros there."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the path (working directory {Path.cwd()})")
    size = path.stat().st_size
    if not size:
        raise ValueError(f"{path} is empty (0 bytes); fetch it again")
    with path.open("rb") as stream:
        start = stream.read(64)
    if not start.startswith((*_CLASSIC, _HDF5)):
        what = next((what for magic, what in _OTHERS.items() if start.lstrip().startswith(magic)), "is no netCDF file")
        raise ValueError(f"{path} {what} (begins with {start[:16]!r}); fetch the netCDF file itself")
    try:
        cut_off = start.startswith(_CLASSIC) and _is_cut_off(path, start, size)
    except (OSError, RuntimeError):  # so short that the header itself is torn
        cut_off = True
    if cut_off:
        raise ValueError(
            f"{path} is cut off: its header promises more values than its {size} bytes hold; fetch it again"
        )


def _is_cut_off(path: Path, start: bytes, size: int) -> bool:
    """Whether a classic file ends before the last of its values, or its header makes no sense."""
    if start.startswith(b"CDF\x05"):  # scipy does not know this format
        with netCDF4.Dataset(path) as file:
            values = sum(variable.size * variable.dtype.itemsize for variable in file.variables.values())
            return _large_header(file) + values > size
    try:
        with netcdf_file(path, mmap=True):  # maps each variable at its place, which must lie in the file
            return False
    except Exception:  # a wrong number in the header surfaces as anything
        return True


def _large_header(file: netCDF4.Dataset) -> int:
    """Bytes of the header of the format with 64-bit data: counts take 8 bytes, names and texts fill whole fours."""

    def name(text: str) -> int:
        return 8 + _fours(len(text.encode()))

    def attributes(of: netCDF4.Dataset | netCDF4.Variable) -> int:
        values = {key: of.getncattr(key) for key in of.ncattrs()}
        sizes = [len(v.encode()) if isinstance(v, str) else np.asarray(v).nbytes for v in values.values()]
        return 12 + sum(name(key) + 12 + _fours(n) for key, n in zip(values, sizes, strict=True))

    dims = 12 + sum(name(dim) + 8 for dim in file.dimensions)
    variables = 12 + sum(name(v.name) + 8 + 8 * v.ndim + attributes(v) + 20 for v in file.variables.values())
    return 12 + dims + attributes(file) + variables


def _fours(size: int) -> int:
    return -(-size // 4) * 4


def _opened(path: Path, engine: str) -> xr.Dataset:
    as_stored: dict[str, Any] = {"decode_times": False, "decode_timedelta": False, "decode_coords": "all"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # several fill values, cell areas in another file: both are read well
            return xr.open_dataset(path, engine=engine, **as_stored)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())}); fetch it again") from None
    except (OSError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise OSError(f"{path} is damaged or cut off ({reason}); fetch it again") from None


# --- several files -------------------------------------------------------------------------------------------


def combined(parts: Mapping[str, xr.Dataset], time: str, notes: list[str]) -> tuple[xr.Dataset, str]:
    """Datasets as one: variables of one name laid end to end in time, others side by side on all times.

    Raises ``ValueError`` where calendars, units or grids differ.
    """
    _one_calendar(parts, time)
    _one_unit(parts)
    if sum(data.nbytes for data in parts.values()) > LARGEST:
        parts = {where: in_pieces(data, time) for where, data in parts.items()}
    groups: dict[tuple[str, ...], list[str]] = {}  # variables that are in the same files
    for name in dict.fromkeys(str(name) for data in parts.values() for name in data.data_vars):
        groups.setdefault(tuple(where for where, data in parts.items() if name in data.data_vars), []).append(name)
    joined: list[xr.Dataset] = []
    for files, names in groups.items():
        pieces = [parts[where][names] for where in files]
        try:
            whole = pieces[0] if len(pieces) == 1 else _end_to_end(pieces, time)
        except (ValueError, KeyError):
            raise ValueError(f"{_fits(files)} lie on different grids; regrid them, or read them apart") from None
        whole, found = times.tidy(whole, time, _fits(files))
        notes += [note for note in found if note not in notes]
        joined.append(whole)
    try:
        merged = xr.merge(joined, join="outer", compat="no_conflicts", combine_attrs="drop_conflicts")
    except (ValueError, xr.MergeError):
        raise ValueError(f"{_fits(list(parts))} differ in their coordinates; read them apart") from None
    for dim in set(merged.sizes) - {time}:
        if any(dim in data.sizes and data.sizes[dim] != merged.sizes[dim] for data in joined):
            raise ValueError(f"{_fits(list(parts))} lie on different grids ({dim}); regrid them, or read them apart")
    lengths = {data.sizes[time] for data in joined}
    if lengths != {merged.sizes[time]}:
        notes.append("variables have different times: where one has none it is missing")
    return merged, time


def in_pieces(data: xr.Dataset, time: str) -> xr.Dataset:
    """With values as dask arrays, some steps of all places at a time."""
    per_step = max((v.nbytes / max(v.sizes[time], 1) for v in data.data_vars.values() if time in v.dims), default=1.0)
    return data.chunk({time: max(1, int(PIECE / max(per_step, 1.0)))})


def _end_to_end(pieces: list[xr.Dataset], time: str) -> xr.Dataset:
    return xr.concat(
        pieces,
        dim=time,
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="drop_conflicts",
    )


def _fits(files: Sequence[str]) -> str:
    return listed([str(file) for file in files], 3)


def _one_calendar(parts: Mapping[str, xr.Dataset], time: str) -> None:
    found = {where: times.calendar(data[time].variable) for where, data in parts.items() if data.sizes[time]}
    if len(set(found.values())) > 1:
        told = ", ".join(
            f"{name} ({next(w for w in found if found[w] == name)})" for name in dict.fromkeys(found.values())
        )
        raise ValueError(
            f"the files have different calendars: {told}; days of one do not exist in the other: "
            "convert them (xarray's convert_calendar), or read them apart"
        )


def _one_unit(parts: Mapping[str, xr.Dataset]) -> None:
    known: dict[str, tuple[str, str]] = {}
    for where, data in parts.items():
        for name, variable in data.data_vars.items():
            unit = unit_of(variable)
            before, first = known.setdefault(str(name), (unit, where))
            if not same_unit(before, unit):
                raise ValueError(
                    f"{str(name)!r} is in {before or 'no unit'!r} in {first} and in {unit or 'no unit'!r} in {where}; "
                    "convert one of them"
                )
