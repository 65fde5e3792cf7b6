"""What is asked for is checked before training, and what made the variables is remembered."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciformer.domains.climate.data import ClimateData


@pytest.fixture
def grid(tmp_path) -> str:
    time = pd.date_range("2001-01-01", periods=60, freq="D")
    values = np.random.default_rng(0).normal(280, 3, (60, 3, 4)).astype(np.float32)
    coords = {
        "time": time,
        "lat": ("lat", [30.0, 40.0, 50.0], {"units": "degrees_north"}),
        "lon": ("lon", [0.0, 90.0, 180.0, 270.0], {"units": "degrees_east"}),
    }
    path = tmp_path / "grid.nc"
    xr.Dataset({"tas": (("time", "lat", "lon"), values, {"units": "K"})}, coords=coords).to_netcdf(path)
    return str(path)


def test_boxes_of_the_training_source_are_read_from_every_other(grid):
    boxes = "south=30:40,0:90; north=50:50,0:270"
    data = ClimateData(source=grid, columns={"boxes": boxes}, context=16, horizon=8, patch=8).load()
    (record,) = data.adapter.read(grid)
    assert [variable.name for variable in record.data.variables] == ["south", "north"]
    assert not data.adapter.unlike(record)
    (other,) = data.adapter.read(grid, boxes="all=30:50,0:270")
    assert [variable.name for variable in other.data.variables] == ["all"]


def test_windows_that_are_longer_than_the_series_are_refused_with_its_length(grid):
    message = "grid has 60 steps, and a window needs data.context 56 and data.horizon 8, 64 in all"
    with pytest.raises(ValueError, match=message):
        ClimateData(source=grid, context=56, horizon=8).load()


def test_lengths_that_are_no_patches_are_refused_with_the_next_that_are():
    with pytest.raises(ValueError, match=r"patches of 8 steps, such as 64 and 8; or set data.patch 1"):
        ClimateData(context=60, horizon=7)
