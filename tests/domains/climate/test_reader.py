"""Sources of every kind give the same series; options say what a source does not."""

import warnings

import cftime
import dask.array
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciformer.domains.climate import files, layout, reader
from sciformer.domains.climate.limits import limits
from sciformer.domains.climate.series import Series


def alike(one: Series, other: Series) -> None:
    np.testing.assert_array_equal(one.time, other.time)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.lat, other.lat)
    np.testing.assert_array_equal(one.lon, other.lon)
    assert one.variables == other.variables
    assert (one.calendar, one.step) == (other.calendar, other.step)


# --- datasets and files --------------------------------------------------------------------------------------


def test_a_grid_in_memory(grid, one):
    data = grid()
    found = one(data)
    assert found.values.shape == (6, 3, 4, 2)
    assert found.values.dtype == np.float32
    assert [(v.name, v.unit, v.long_name) for v in found.variables] == [
        ("tas", "K", "temperature"),
        ("pr", "mm d-1", ""),
    ]
    np.testing.assert_array_equal(found.values[..., 0], data["tas"].values)
    assert found.time.tolist() == [18262.0 + i for i in range(6)]
    assert found.lat.tolist() == [50, 40, 30]
    assert found.notes == ()
    assert found.labels is not None
    assert found.labels["tas"].attrs == data["tas"].attrs
    assert found.labels["tas"].ndim == 0
    assert found.labels.sizes == data.sizes


def test_what_is_given_is_not_changed(grid, one):
    data = grid()
    before = data.copy(deep=True)
    one(data, units="tas=degC", missing="200", region="0:45,0:180")
    xr.testing.assert_identical(data, before)


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_every_kind_of_netcdf_is_the_dataset(grid, one, save, kind):
    alike(one(save(grid(), format=kind)), one(grid()))
    assert [record.key for record in reader.read(save(grid(), format=kind))] == ["data"]


def test_zarr_is_the_dataset(grid, one, save):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the writer, about its formats
        path = save(grid(), "data.zarr")
    alike(one(path), one(grid(), variables="pr,tas"))  # by name: a store has no order
    assert [record.key for record in reader.read(str(path))] == ["data"]


def test_dimensions_in_any_order(grid, one):
    alike(one(grid().transpose("lon", "time", "lat")), one(grid()))


@pytest.mark.parametrize("form", ["list", "glob", "folder"])
def test_files_go_on_in_time_and_stand_side_by_side(grid, one, save, tmp_path, form):
    data = grid(8)
    save(data[["tas"]].isel(time=slice(4, 8)), "a.nc")  # the later one is the first by name
    save(data[["tas"]].isel(time=slice(0, 4)), "b.nc")
    save(data[["pr"]], "c.nc")
    source = {
        "list": [tmp_path / name for name in ("a.nc", "b.nc", "c.nc")],
        "glob": str(tmp_path / "*.nc"),
        "folder": tmp_path,
    }[form]
    (record,) = reader.read(source)
    alike(record.data, one(data))
    assert record.key == ("a+b+c" if form == "list" else tmp_path.name)
    assert any("not in order" in note for note in record.data.notes)


def test_a_variable_that_ends_earlier_is_missing_there(grid, one, save):
    data = grid(8)
    paths = [save(data[["tas"]], "a.nc"), save(data[["pr"]].isel(time=slice(0, 5)), "b.nc")]
    found = one(paths)
    assert len(found) == 8
    assert np.isnan(found.values[5:, ..., 1]).all()
    assert np.isfinite(found.values[..., 0]).all()
    assert any("different times" in note for note in found.notes)


def test_a_large_source_stays_on_disk(grid, one, save, monkeypatch):
    monkeypatch.setattr(files, "LARGEST", 1000.0)
    monkeypatch.setattr(layout, "LARGEST", 1000.0)
    monkeypatch.setattr(files, "PIECE", 400.0)
    monkeypatch.setattr(xr.Dataset, "load", None)  # nobody may
    data = grid(40)
    data["tas"][3, 1, 1] = np.inf
    path = save(data)
    found = one(path, region="35:60,0:180")
    assert isinstance(found.values, dask.array.Array)
    assert found.values.dtype == np.float32
    assert found.values.shape == (40, 2, 3, 2)
    assert len(found.values.chunks[0]) == 3
    assert any("stay on disk" in note for note in found.notes)
    window = found.between(2, 5).loaded()
    assert np.isnan(window.values[1, 1, 1, 0])
    np.testing.assert_array_equal(window.values[..., 1], data["pr"].values[2:5, :2, :3])
    assert reader.open_source(path)["tas"].chunks
    several = one([save(data.isel(time=slice(0, 20)), "a.nc"), save(data.isel(time=slice(20, 40)), "b.nc")])
    assert isinstance(several.values, dask.array.Array)
    np.testing.assert_array_equal(several.values.compute()[..., 1], data["pr"].values)


def test_a_dataset_of_dask_is_not_loaded_however_small(grid, one):
    found = one(grid().chunk({"time": 2}))
    assert isinstance(found.values, dask.array.Array)
    np.testing.assert_array_equal(found.values[..., 0], grid()["tas"].values)


def test_packed_values_and_fill_values_are_decoded(grid, one, save):
    data = grid()
    data["tas"][0, 0, 0] = np.nan
    packing = {"tas": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 300.0, "_FillValue": -32768}}
    found = one(save(data, encoding=packing))
    assert np.isnan(found.values[0, 0, 0, 0])
    np.testing.assert_allclose(found.values[1:, ..., 0], data["tas"].values[1:], atol=0.006)
    raw = xr.open_dataset(save(data, "raw.nc", encoding=packing), mask_and_scale=False)
    alike(one(raw), found)
    raw.close()


def test_the_key_is_a_name(grid, save):
    assert [r.key for r in reader.read(grid())] == ["series"]
    assert [r.key for r in reader.read(grid()["tas"])] == ["tas"]
    with xr.open_dataset(save(grid(), "tropics.nc")) as data:
        assert [r.key for r in reader.read(data)] == ["tropics"]


def test_an_array_is_a_dataset(grid, one):
    alike(one(grid()["tas"]), one(grid(), variables="tas"))
    unnamed = one(xr.DataArray([1.0, 2.0], {"time": pd.date_range("2020", periods=2)}, ("time",)))
    assert [v.name for v in unnamed.variables] == ["value"]


# --- places --------------------------------------------------------------------------------------------------


def stations(n: int = 4) -> xr.Dataset:
    return xr.Dataset(
        {"tas": (("site", "time"), np.arange(3.0 * n).reshape(3, n))},
        coords={
            "time": pd.date_range("2020-01-01", periods=n).as_unit("us"),
            "name": ("site", ["Oslo", "Rome", "Cairo"], {"cf_role": "timeseries_id"}),
            "where_north": ("site", [60.0, 42.0, 30.0], {"units": "degrees_north"}),
            "where_east": ("site", [11.0, 12.0, 31.0], {"standard_name": "longitude"}),
        },
    )


def test_stations_along_a_dimension():
    records = list(reader.read(stations()))
    assert [record.key for record in records] == ["Oslo", "Rome", "Cairo"]
    for i, record in enumerate(records):
        assert record.data.values[:, 0, 0, 0].tolist() == [4.0 * i + j for j in range(4)]
    assert records[1].data.lat.tolist() == [42]
    assert records[1].data.lon.tolist() == [12]
    assert str(records[1].data.labels["name"].values) == "Rome"
    assert reader.open_source(stations())["tas"].dims == ("time", "site")


def test_places_need_not_be_called_coordinates():
    expected = list(reader.read(stations()))
    bare = stations().reset_coords(["name", "where_north", "where_east"])
    for record, other in zip(reader.read(bare), expected, strict=True):
        assert record.key == other.key
        assert record.data.notes == ()
        alike(record.data, other.data)


def test_a_station_without_a_value_keeps_its_place():
    data = stations()
    data["tas"][1] = np.nan
    oslo, rome, cairo = reader.read(data)
    assert oslo.ok
    assert cairo.ok
    assert rome.data is None
    assert rome.problem == "the dataset, station Rome: all values are missing"


def test_stations_whose_places_nobody_knows_must_be_named():
    data = stations().drop_vars(["where_north", "where_east", "name"])
    with pytest.raises(ValueError, match=r"tas \(with the dimension site of 3: select one .* lat, lon or station\)"):
        reader.read(data)
    records = list(reader.read(data, station="site"))
    assert [record.key for record in records] == ["1", "2", "3"]
    assert np.isnan(records[0].data.lat).all()
    names = stations().drop_vars(["where_north", "where_east"])
    assert [r.key for r in reader.read(names, station="name")] == ["Oslo", "Rome", "Cairo"]


def test_two_stations_of_one_name_are_refused():
    data = stations()
    data["name"] = ("site", ["Oslo", "Rome", "Oslo"])
    with pytest.raises(ValueError, match="two stations are called 'Oslo'; make the names unique"):
        reader.read(data, station="name")


def test_scalar_places_are_those_of_a_single_series(one):
    found = one(stations().isel(site=1))
    assert (found.cells, found.lat.tolist(), found.lon.tolist()) == ((1, 1), [42], [12])


def test_places_without_attributes_go_by_their_names_alone(grid, one):
    data = grid()
    for name in ("lat", "lon"):
        data[name].attrs = {}
    found = one(data)
    assert found.lat.tolist() == [50, 40, 30]
    assert "'lat' is taken for degrees north by its name: no attribute says so" in found.notes
    renamed = data.rename(lat="y", lon="x")
    with pytest.raises(ValueError, match="with the dimension y of 3, x of 4"):
        reader.read(renamed)
    alike(one(renamed, lat="y", lon="x"), found)


def test_projected_axes_are_no_degrees(grid):
    data = grid().rename(lat="y", lon="x")
    data["y"].attrs = {"axis": "Y", "units": "m"}
    data["x"].attrs = {"axis": "X", "units": "m"}
    with pytest.raises(ValueError, match="with the dimension y of 3"):
        reader.read(data)


def test_a_curvilinear_grid_is_refused(grid):
    data = grid().rename(lat="y", lon="x")
    about = {"standard_name": "latitude"}
    data = data.drop_vars(["y", "x"]).assign_coords(lat=(("y", "x"), np.zeros((3, 4)), about))
    with pytest.raises(ValueError, match=r"'lat' has the dimensions y, x: a curvilinear grid; regrid it"):
        reader.read(data)


def test_a_band_of_latitudes_has_no_longitudes(grid, one):
    found = one(grid().mean("lon"))
    assert found.values.shape == (6, 3, 1, 2)
    assert np.isnan(found.lon).tolist() == [True]


def test_a_region_without_cells_is_refused(grid):
    with pytest.raises(ValueError, match="nothing in the region 80:85,0:90; its places are in 30:50,0:270"):
        reader.read(grid(), region="80:85,0:90")
    with pytest.raises(ValueError, match="no latitudes and longitudes for a region"):
        reader.read(grid().mean(["lat", "lon"]), region="80:85,0:90")


def test_boxes_are_means_weighted_by_area(grid, one):
    data = grid()
    data["tas"][:, 0, 0] = np.nan
    found = one(data, boxes="all=30:50,0:270; seam=-90:90,270:0")
    assert [v.name for v in found.variables] == ["tas_all", "pr_all", "tas_seam", "pr_seam"]
    assert found.variables[0].unit == "K"
    assert found.cells == (1, 1)
    area = np.cos(np.deg2rad(data["lat"])).broadcast_like(data["tas"].isel(time=0)).to_numpy()
    cells = data["tas"].isel(time=2).to_numpy()
    known = np.isfinite(cells)
    assert found.values[2, 0, 0, 0] == pytest.approx((cells * area)[known].sum() / area[known].sum(), rel=1e-6)
    west = data["tas"].isel(time=2, lon=[0, 3]).to_numpy()
    known = np.isfinite(west)
    weight = area[:, [0, 3]]
    assert found.values[2, 0, 0, 2] == pytest.approx((west * weight)[known].sum() / weight[known].sum(), rel=1e-6)


def test_boxes_of_one_variable_have_their_own_names(grid, one):
    found = one(grid(), variables="tas", boxes={"nino": "30:40,0:90", "rest": "40:50,90:270"})
    assert [v.name for v in found.variables] == ["nino", "rest"]
    assert found.variables[0].long_name == "temperature, mean over 30 to 40 N, 0 to 90 E"


def test_a_box_that_cannot_be_averaged_is_refused(grid):
    with pytest.raises(ValueError, match="box 'pole' has nothing in the region 80:85,0:90"):
        reader.read(grid(), boxes="pole=80:85,0:90")
    with pytest.raises(ValueError, match="is no grid of latitudes and longitudes: boxes cannot be averaged"):
        reader.read(grid().mean(["lat", "lon"]), boxes="all=30:50,0:270")
    with pytest.raises(ValueError, match="boxes must be name=lat0:lat1,lon0:lon1, separated by semicolons, got '30:50"):
        reader.read(grid(), boxes="30:50,0:270")
    for boxes, told in (
        ("=30:50,0:90", "boxes must be .*, got '=30:50,0:90'"),
        ("a=30:50,0:90; a=30:40,0:90", "boxes must be .*, got 'a' twice"),
        ("a=30:50,0:90; b=30", r"the box 'b' must be lat0:lat1,lon0:lon1 .*, got '30'"),
        ({"b": "30:95,0:90"}, "the box 'b' must lie within 90 degrees"),
    ):
        with pytest.raises(ValueError, match=told):
            reader.read(grid(), boxes=boxes)


# --- variables -----------------------------------------------------------------------------------------------


def test_what_is_no_variable_is_left_out_and_told(grid, one):
    data = grid()
    data["mask"] = (("lat", "lon"), np.ones((3, 4)))
    data["flag"] = ("time", ["a"] * 6)
    data["ta"] = (("time", "level", "lat", "lon"), np.zeros((6, 2, 3, 4)))
    data["nino"] = ("time", np.arange(6.0))
    found = one(data)
    assert [v.name for v in found.variables] == ["tas", "pr"]
    (note,) = found.notes
    for told in (
        "mask (without the dimension time)",
        "flag (no numbers)",
        "ta (with the dimension level of 2: select one of it",
        "nino (not on the dimensions lat, lon, time of the others; read it apart)",
    ):
        assert told in note
    for name in ("mask", "flag", "ta"):
        with pytest.raises(ValueError, match=f"cannot use {name}"):
            reader.read(data, variables=name)
    assert one(data, variables="nino").cells == (1, 1)


def test_a_dimension_of_one_is_no_dimension(grid, one):
    alike(one(grid().expand_dims(height=[2.0])), one(grid()))


def test_a_table_of_cells_by_cells_is_no_variable(grid, one, save):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # xarray does not like a dimension twice
        path = save(grid().assign(covariance=(("lat", "lat"), np.eye(3))))
    assert one(path).notes == ("left out: covariance (a dimension twice)",)


def test_edges_of_cells_are_no_variables(grid, one, save):
    data = grid()
    data["time_bnds"] = (("time", "bnds"), np.zeros((6, 2)))
    data["time"].attrs["bounds"] = "time_bnds"
    data["time"].encoding["units"] = "days since 2020-01-01"
    assert one(save(data)).notes == ()


def test_named_variables_in_the_order_of_their_names(grid, one):
    assert [v.name for v in one(grid(), variables="pr, tas").variables] == ["pr", "tas"]
    assert [v.name for v in one(grid(), variables=["pr"]).variables] == ["pr"]


def test_a_named_variable_that_is_not_there(grid, save):
    for source, where in ((grid(), "the dataset"), (save(grid()), "data.nc")):
        with pytest.raises(
            ValueError, match=rf"{where} has no variable named 'taz'; did you mean 'tas'\? there are: tas, pr"
        ):
            reader.read(source, variables="taz")


def test_directions_go_round(one):
    data = xr.Dataset(
        {
            "wdir": ("time", [0.0, 90.0, 359.0], {"units": "degree", "standard_name": "wind_from_direction"}),
            "aspect": ("time", [0.0, 90.0, 180.0], {"units": "degree"}),
            "turn": ("time", [0.0, np.pi, np.nan], {"units": "radian"}),
        },
        coords={"time": pd.date_range("2020", periods=3)},
    )
    found = one(data)
    assert [v.name for v in found.variables] == ["wdir_sin", "wdir_cos", "aspect", "turn"]
    assert limits([found], {})[0]["wdir_sin"] == (-1.0, 1.0)
    assert "standard_name" not in found.labels["wdir_sin"].attrs
    assert [v.unit for v in found.variables] == ["1", "1", "degree", "radian"]
    np.testing.assert_allclose(found.values[:, 0, 0, :2], [[0, 1], [1, 0], [-0.01745, 0.99985]], atol=1e-5)
    more = one(data, circular="aspect,turn").values[:, 0, 0]
    np.testing.assert_allclose(more[:, 2:4], [[0, 1], [1, 0], [0, -1]], atol=1e-6)
    np.testing.assert_allclose(more[:2, 4:], [[0, 1], [0, -1]], atol=1e-6)
    assert np.isnan(more[2, 4:]).all()
    data["aspect"].attrs["units"] = "m"
    with pytest.raises(ValueError, match="'aspect' is in 'm' and not in degrees; it cannot be circular"):
        reader.read(data, circular="aspect")
    with pytest.raises(ValueError, match=r"no variable named 'wind'; there are: "):
        reader.read(data, circular="wind")


def test_units_as_the_caller_says(grid, one):
    data = grid()
    del data["pr"].attrs["units"]
    found = one(data, units={"pr": "mm d-1", "tas": "degC"})
    assert [v.unit for v in found.variables] == ["degC", "mm d-1"]
    assert "'tas' is in 'K' by the source, and taken to be in 'degC' as stated" in found.notes
    alike(one(data, units="pr=mm d-1"), one(grid()))


def test_values_that_mean_missing(grid, one):
    data = grid()
    data["tas"][2, 0, 0] = -999.9
    data["pr"][2, 0, 0] = -9999
    found = one(data, missing="-999.9,-9999")
    assert np.isnan(found.values[2, 0, 0]).all()
    assert np.isnan(found.values).sum() == 2
    assert np.isnan(one(data, missing=-9999).values).sum() == 1


# --- time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calendar", "expected"), [("noleap", 18250), ("360_day", 18000), ("julian", 18275), ("all_leap", 18300)]
)
def test_days_count_in_the_calendar_of_the_source(one, save, calendar, expected):
    """Fifty years after 1970: of 365 days, of 360, ..."""
    times = [cftime.datetime(2020, 1, day, calendar=calendar) for day in (1, 2, 3)]
    data = xr.Dataset({"a": ("time", [1.0, 2.0, 3.0])}, coords={"time": times})
    for source in (data, save(data)):
        found = one(source)
        assert found.calendar == calendar
        assert found.time[1] - found.time[0] == 1
        counted = cftime.num2date(found.time, "days since 1970-01-01", calendar=calendar)
        assert counted.tolist() == times
        if calendar != "julian":
            assert found.time[0] == expected


def test_the_last_of_february_is_a_day_in_a_year_of_360(one):
    times = [cftime.datetime(2001, 2, day, calendar="360_day") for day in (28, 29, 30)]
    times.append(cftime.datetime(2001, 3, 1, calendar="360_day"))
    found = one(xr.Dataset({"a": ("time", np.arange(4.0))}, coords={"time": times}))
    assert np.diff(found.time).tolist() == [1, 1, 1]
    assert found.notes == ()


@pytest.mark.parametrize(("year", "first"), [(1, -719164), (2500, 193579)])
def test_years_far_from_now(one, save, year, first):
    data = xr.Dataset(
        {"a": ("time", [1.0, 2.0, 3.0])},
        coords={"time": ("time", [0, 1, 2], {"units": f"days since {year:04d}-01-01", "calendar": "standard"})},
    )
    found = one(save(data))
    assert found.time.tolist() == [first, first + 1, first + 2]
    assert found.calendar == "standard"


def test_microseconds_are_kept(one):
    times = np.array(["2020-01-01T00:00:00.000001", "2020-01-01T00:00:00.000003"], dtype="datetime64[us]")
    found = one(xr.Dataset({"a": ("time", [1.0, 2.0])}, coords={"time": times}))
    assert (found.time[1] - found.time[0]) * 86_400e6 == pytest.approx(2, abs=0.5)


def test_nanoseconds_are_the_same_times(grid, one):
    data = grid()
    data["time"] = data["time"].astype("datetime64[ns]")
    alike(one(data), one(grid()))


def test_months_are_one_step_each(grid, one):
    found = one(grid(24, freq="MS"), step="1MS")
    assert found.step == 31
    assert found.notes == ()
    years = one(grid(10, freq="YS"), step="1YS")
    assert years.step == 365
    assert years.notes == ()


def test_the_stated_step_is_checked(grid, one):
    assert one(grid(), step="1D").step == 1
    assert one(grid(), step="24h").step == 1
    with pytest.raises(ValueError, match=r"step is given as 1h, but most steps are 1 d apart; correct step, or"):
        reader.read(grid(), step="1h")
    with pytest.raises(ValueError, match="step must be a duration such as 10min, 1h, 1D, 1MS"):
        reader.read(grid(), step="fortnight")


def test_a_time_of_another_name_and_dimension(one):
    data = xr.Dataset(
        {"a": ("obs", [1.0, 2.0, 3.0]), "when": ("obs", [0, 24, 48], {"units": "hours since 2020-01-01"})}
    )
    with pytest.raises(ValueError, match=r"the dataset has no time .*name it as time; there are: a .*when"):
        reader.read(data)
    assert one(data, time="when").time.tolist() == [18262, 18263, 18264]
    data["when"].attrs["standard_name"] = "time"
    assert one(data).time.tolist() == [18262, 18263, 18264]


def test_two_times_and_none_on_a_dimension_must_be_told_apart():
    times = pd.date_range("2020", periods=3)
    data = xr.Dataset({"a": ("obs", [1.0, 2.0, 3.0])}, coords={"start": ("obs", times), "end": ("obs", times)})
    with pytest.raises(ValueError, match=r"the dataset has several times \(start, end\); name one as time"):
        reader.read(data)


def test_units_of_time_in_capitals(one):
    data = xr.Dataset(
        {"a": ("time", [1.0, 2.0])}, coords={"time": ("time", [0, 1], {"units": "Days Since 2020-01-01"})}
    )
    assert one(data).time.tolist() == [18262, 18263]


def test_units_of_time_as_the_caller_says(one):
    data = xr.Dataset({"a": ("time", [1.0, 2.0])}, coords={"time": [0.0, 1.0]})
    assert one(data, units="time=days since 2020-01-01").time.tolist() == [18262, 18263]


def test_a_file_for_each_step(grid, one, save):
    data = grid(3)
    paths = [save(data.isel(time=i), f"{i}.nc") for i in range(3)]
    alike(one(paths), one(data))


# --- tables --------------------------------------------------------------------------------------------------


def test_a_table_has_one_cell(table, one):
    found = one(table())
    assert found.values.shape == (6, 1, 1, 2)
    assert found.values[:, 0, 0, 1].tolist() == [0, 1, 4, 9, 16, 25]
    assert found.step == pytest.approx(1 / 24)
    assert found.cells == (1, 1)
    assert np.isnan(found.lat).all()


@pytest.mark.parametrize("name", ["data.csv", "data.tsv", "data.csv.gz", "data.parquet", "semicolons.csv"])
def test_every_kind_of_table_file(table, one, tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        table().to_parquet(path)
    else:
        table().to_csv(path, index=False, sep={"data.tsv": "\t", "semicolons.csv": ";"}.get(name, ","))
    (record,) = reader.read(path)
    alike(record.data, one(table()))
    assert record.key == name.split(".")[0]


def test_times_in_the_index(table, one):
    frame = table()
    for index in (frame["time"], pd.DatetimeIndex(frame["time"], name=None), pd.PeriodIndex(frame["time"], freq="h")):
        alike(one(frame.drop(columns="time").set_index(index)), one(frame))
    series = frame.set_index("time")["a"]
    (record,) = reader.read(series)
    assert record.key == "a"
    alike(record.data, one(frame, variables="a"))


def test_the_only_column_of_dates_is_the_time(table, one, tmp_path):
    frame = table().rename(columns={"time": "when"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    alike(one(tmp_path / "a.csv"), one(table()))
    with pytest.raises(ValueError, match=r"several columns of dates \(when, then\); name one as time"):
        reader.read(frame.assign(then=frame["when"]))
    alike(one(frame.assign(then=frame["when"]), time="when"), one(table()))


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ({"y": [2020] * 2, "m": [1] * 2, "d": [1] * 2, "h": [0, 1]}, "y,m,d,h"),
        ({"date": ["2020-01-01"] * 2, "clock": ["00:00", "01:00"]}, "date,clock"),
    ],
)
def test_times_over_several_columns(one, parts, names):
    found = one(pd.DataFrame({**parts, "a": [1.0, 2.0]}), time=names)
    assert found.time.tolist() == [18262, 18262 + 1 / 24]
    assert [v.name for v in found.variables] == ["a"]


def test_times_in_a_form_of_their_own(one):
    frame = pd.DataFrame({"time": ["31.12.2019 23:00", "01.01.2020 00:00"], "a": [1.0, 2.0]})
    assert one(frame, time_format="%d.%m.%Y %H:%M").time.tolist() == [18261 + 23 / 24, 18262]
    with pytest.raises(ValueError, match=r"'31.12.2019 23:00' in 'time' is no date as .*; state time_format"):
        reader.read(frame)
    with pytest.raises(ValueError, match=r"the time '31.12.2019 23:00' in 'time' is not of the form '%Y-%m'"):
        reader.read(frame, time_format="%Y-%m")


def test_stations_of_a_table(tmp_path, one):
    """Each has the times of its own rows."""
    frame = pd.DataFrame(
        {
            "time": list(pd.date_range("2020", periods=3)) + list(pd.date_range("2021", periods=2)),
            "site": [7, 7, 7, 8, 8],
            "lat": [50.0] * 3 + [40.0] * 2,
            "lon": [5.0] * 5,
            "a": [1.0, 2.0, 3.0, 4.0, np.nan],
            "b": [np.nan] * 3 + [1.0, 2.0],
        }
    )
    records = list(reader.read(frame, station="site"))
    assert [record.key for record in records] == ["7", "8"]
    assert [len(record.data) for record in records] == [3, 2]
    assert [record.data.lat.tolist() for record in records] == [[50], [40]]
    assert [v.name for v in records[0].data.variables] == ["a", "b"]  # b is known elsewhere
    assert "'b' has no value here" in records[0].data.notes
    assert [r.key for r in reader.read(frame, station="site", region="45:55,0:10")] == ["7"]
    whole = reader.open_source(frame, station="site")
    assert whole["a"].dims == ("time", "station")
    assert whole.sizes["time"] == 5
    frame[frame["site"] == 7].to_csv(tmp_path / "seven.csv", index=False)
    frame[frame["site"] == 8].to_csv(tmp_path / "eight.csv", index=False)
    apart = list(reader.read(tmp_path, variables="a,b"))
    assert [record.key for record in apart] == ["eight", "seven"]
    alike(apart[0].data, one(frame[frame["site"] == 8], variables="a,b"))


def test_a_station_has_one_place(table):
    frame = table().assign(lat=[1.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    with pytest.raises(ValueError, match=r"'lat' of 'series' is 1 and 2; a station has one place: name what tells"):
        reader.read(frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "no option named 'colour'; options: variables, time, "),
        ({"region": "5:10"}, r"region must be lat0:lat1,lon0:lon1 \(such as 40:60,-10:10\), got '5:10'"),
        ({"region": "5:100,0:10"}, "region must lie within 90 degrees of latitude"),
        ({"missing": "none"}, "missing must be numbers, comma separated, got 'none'"),
        ({"units": "K"}, "units must be name=unit, comma separated, got 'K'"),
        ({"variables": "a,a"}, "names must be different, got a, a"),
        ({"lat": 5}, "lat must be text, got 5"),
        ({"lat": "latt"}, "the table has no column named 'latt'; there are: time, a, b"),
        ({"station": "site"}, "the table has no column named 'site'"),
        ({"time": "when"}, "the table has no column named 'when'"),
    ],
)
def test_impossible_options_are_refused(table, options, message):
    with pytest.raises(ValueError, match=message):
        reader.read(table(), **options)


def test_what_is_no_source_is_refused():
    with pytest.raises(ValueError, match=r"source must be a path, .*got dict"):
        reader.read({})
    with pytest.raises(ValueError, match="a list of sources must hold paths, and at least one"):
        reader.read([])


def test_the_header_of_a_file_of_records_is_understood(one, tmp_path):
    """An unlimited dimension interleaves variables; sizes are counted differently."""
    path = tmp_path / "records.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("time", None)
        file.createVariable("time", "f8", ("time",)).units = "days since 2020-01-01"
        file.createVariable("a", "i2", ("time",))
        file["time"][:] = [0, 1, 2]
        file["a"][:] = [5, 6, 7]
    assert one(path).values[:, 0, 0, 0].tolist() == [5, 6, 7]


def test_large_offsets_are_understood(grid, one, tmp_path):
    """The classic format of 64-bit sizes, which few libraries read."""
    path, data = tmp_path / "large.nc", grid()
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        for name, size in data.sizes.items():
            file.createDimension(name, size)
        for name in ("time", "lat", "lon", "tas"):
            file.createVariable(name, "f8", data[name].dims)
        file["time"].units = "days since 2020-01-01"
        file["time"][:] = np.arange(6)
        file["tas"].units = "K"
        for name in ("lat", "lon", "tas"):
            file[name][:] = data[name].values
    np.testing.assert_array_equal(one(path).values, one(data, variables="tas").values)
