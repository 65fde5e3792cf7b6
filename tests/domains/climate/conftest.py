"""Small series of our own, as datasets, tables and files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciformer.domains.climate import reader
from sciformer.domains.climate.series import Series


@pytest.fixture
def grid() -> Callable[..., xr.Dataset]:
    """Temperature and rain on 3 by 4 cells; no value occurs twice."""

    def make(n: int = 6, start: str = "2020-01-01", freq: str = "1D", unit: str = "K") -> xr.Dataset:
        shape = (n, 3, 4)
        values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        dims = ("time", "lat", "lon")
        return xr.Dataset(
            {
                "tas": (dims, values + 200, {"units": unit, "long_name": "temperature"}),
                "pr": (dims, values / 100, {"units": "mm d-1"}),
            },
            coords={
                "time": pd.date_range(start, periods=n, freq=freq).as_unit("us"),
                "lat": ("lat", [50.0, 40.0, 30.0], {"standard_name": "latitude", "units": "degrees_north"}),
                "lon": ("lon", [0.0, 90.0, 180.0, 270.0], {"standard_name": "longitude", "units": "degrees_east"}),
            },
        )

    return make


@pytest.fixture
def table() -> Callable[..., pd.DataFrame]:
    def make(n: int = 6, freq: str = "1h") -> pd.DataFrame:
        times = pd.date_range("2020-01-01", periods=n, freq=freq)
        return pd.DataFrame({"time": times, "a": np.arange(n) + 0.5, "b": np.arange(n) ** 2})

    return make


@pytest.fixture
def one() -> Callable[..., Series]:
    """The only series of a source."""

    def read(source: Any, **options: Any) -> Series:
        (record,) = reader.read(source, **options)
        assert record.ok
        return record.data

    return read


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset as netCDF or zarr and say where."""

    def write(data: xr.Dataset, name: str = "data.nc", **options: Any) -> Path:
        path = tmp_path / name
        if path.suffix == ".zarr":
            data.to_zarr(path, **options)
        else:
            data.to_netcdf(path, **options)
        return path

    return write
