"""Which place of a source is which of those that were learned: by name, by degrees, or not at all."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciformer import discovery
from sciformer.domains.climate import reader
from sciformer.domains.climate.adapter import Climate

SHAPE = {"variables": ("tas",), "units": ("K",), "step": 1.0, "context": 16, "horizon": 8, "patch": 4}


def learned(source: Any) -> Climate:
    """What a checkpoint knows of a source."""
    records = list(reader.read(source))
    rows, columns = records[0].data.cells
    adapter = Climate(**SHAPE, rows=rows, columns=columns).fitted(records)
    again = discovery.from_json(discovery.to_json(adapter))
    assert isinstance(again, Climate)
    return again


def weather(**coords: Any) -> xr.Dataset:
    """60 days, along the coordinates that are no scalars; no value occurs twice."""
    dims = [name for name, x in coords.items() if np.ndim(x)]
    shape = (60, *(len(coords[name]) for name in dims))
    values = 280 + np.arange(np.prod(shape)).reshape(shape) % 37 / 10
    data = xr.Dataset({"tas": (("time", *dims), values, {"units": "K"})}, coords=coords)
    return data.assign_coords(time=pd.date_range("2001-01-01", periods=60))


@pytest.fixture
def named(tmp_path: Path):
    """The dataset as a file of that name."""

    def write(data: xr.Dataset, name: str) -> Path:
        data.to_netcdf(tmp_path / name)
        return tmp_path / name

    return write


def grid() -> xr.Dataset:
    return weather(lat=np.linspace(60.0, 50.0, 3), lon=np.linspace(0.0, 270.0, 4))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda ds: ds.sortby("lat"), 'lat in another order than the model learned: ds.sortby("lat", ascending=False)'),
        (lambda ds: ds.roll(lon=2, roll_coords=True), 'ds.assign_coords(lon=(ds["lon"] - 0) % 360 + 0).sortby("lon")'),
        (
            lambda ds: ds.assign_coords(lon=(ds.lon + 180) % 360 - 180).sortby("lon"),
            'ds.assign_coords(lon=(ds["lon"] - 0) % 360 + 0).sortby("lon")',
        ),
        (lambda ds: ds.assign_coords(lat=ds.lat - 20), "has the lat 40 to 30, the model learned 60 to 50"),
        (lambda ds: ds.assign_coords(lon=ds.lon + 10), "it is another grid, regrid it"),
    ],
)
def test_cells_that_are_not_those_of_training_are_refused_with_the_remedy(change, told):
    adapter, data = learned(grid()), change(grid())
    (record,) = adapter.read(data)
    assert told in adapter.unlike(record)
    if "ds." in told:
        mended = eval(told[told.index("ds.") :], {"ds": data})
        (record,) = adapter.read(mended)
        assert adapter.unlike(record) == ""
        np.testing.assert_array_equal(mended["tas"], grid()["tas"])


def test_longitudes_of_one_grid_may_be_counted_otherwise_and_be_in_single_precision(named):
    adapter = learned(named(grid(), "old.nc"))
    for change in (lambda x: x - 360, lambda x: x.astype(np.float32) + np.float32(1e-4)):
        (record,) = adapter.read(named(grid().assign_coords(lon=change(grid().lon)), "renamed.nc"))
        assert adapter.unlike(record) == ""
        assert not any("not learned" in note for note in adapter.remarks([record]))
        np.testing.assert_array_equal(
            adapter.anomaly(record.data), adapter.anomaly(next(reader.read(named(grid(), "old.nc"))).data)
        )


def test_the_only_series_that_was_learned_is_known_under_any_name(named):
    bern = weather(lat=46.9, lon=7.4)
    adapter = learned(named(bern, "a.nc"))
    for source in (named(bern, "b.nc"), bern, bern["tas"], bern.to_dataframe(), xr.merge([bern])):
        (record,) = adapter.read(source, units="tas=K")
        assert not any("not learned" in note or "taken for 'a'" in note for note in adapter.remarks([record]))
        assert record.data.place == "a"
    (moved,) = adapter.read(bern.assign_coords(lat=47.4))
    assert "not learned" in adapter.remarks([moved])[-1]


def test_where_nobody_says_where_it_lies_a_note_says_what_it_is_taken_for(named):
    adapter = learned(named(weather(), "a.nc"))
    (record,) = adapter.read(weather(lat=46.9, lon=7.4))
    assert "series: taken for 'a', the only series that was learned: nothing says where it lies" in adapter.remarks(
        [record]
    )
    (record,) = adapter.read(weather(station="Chur"), station="station")
    assert adapter.remarks([record]) == [
        "Chur: not learned; the mean of what is read of it and the seasons of the others are taken for normal"
    ]


def test_of_a_checkpoint_that_knows_no_degrees_grids_are_taken_with_a_note(named):
    adapter = dataclasses.replace(learned(named(grid(), "old.nc")), lat=(), lon=())
    (record,) = adapter.read(grid().sortby("lat"))
    assert adapter.unlike(record) == ""
    assert "series: taken for 'old', the only series that was learned" in adapter.remarks([record])[-1]


def stations() -> xr.Dataset:
    places = {"lat": ("station", [46.9, 47.4]), "lon": ("station", [7.4, 8.5])}
    return weather(station=["Bern", "Chur"]).assign_coords(places)


@pytest.mark.parametrize("role", [{}, {"cf_role": "timeseries_id"}])
def test_one_of_several_stations_is_known_by_the_name_that_it_keeps(role):
    data = stations()
    data["station"].attrs |= role
    adapter = learned(data)
    for options in ({}, {"station": "station"}):
        (record,) = adapter.read(data.sel(station="Chur"), **options)
        assert record.data.place == "Chur"
        assert record.key == "Chur" or not (role or options)
        assert not any("not learned" in note for note in adapter.remarks([record]))
    (record,) = adapter.read(data.sel(station="Chur", drop=True))
    assert "not learned" in adapter.remarks([record])[-1]
