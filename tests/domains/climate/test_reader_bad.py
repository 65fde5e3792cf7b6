"""Bad input, and what becomes of it: the policy of docs/climate.md, line by line."""

import warnings

import cftime
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sciformer.domains.climate import reader


def line(xs: object, values: object = None, **attributes: str) -> xr.Dataset:
    """One variable at the given times."""
    times = pd.DatetimeIndex(xs) if isinstance(xs, list) and isinstance(xs[0], str) else xs
    n = len(times)  # type: ignore[arg-type]
    return xr.Dataset(
        {"a": ("time", np.arange(float(n)) if values is None else np.asarray(values), attributes)},
        coords={"time": ("time", np.asarray(times))},
    )


def refused(
    source: object, message: str, kind: type[Exception] | tuple[type[Exception], ...] = ValueError, **options: object
) -> None:
    """With one line that matches, before the first record; opening refuses likewise."""
    with pytest.raises(kind, match=message) as caught:
        reader.read(source, **options)
    assert "\n" not in str(caught.value)


# --- times ---------------------------------------------------------------------------------------------------


def test_times_that_are_not_in_order_are_sorted(one):
    found = one(line(["2020-01-01", "2020-01-03", "2020-01-02", "2020-01-04"]))
    assert found.values[:, 0, 0, 0].tolist() == [0, 2, 1, 3]
    assert found.notes == ("times are not in order (first at 2020-01-02 00:00): steps are sorted",)


def test_falling_times_are_sorted(grid, one):
    data = grid()
    np.testing.assert_array_equal(one(data.isel(time=slice(None, None, -1))).values, one(data).values)


def test_repeated_equal_rows_are_merged(one):
    times = ["2020-01-01", "2020-01-02", "2020-01-02", "2020-01-02", "2020-01-03"]
    found = one(line(times, [0.0, np.nan, np.nan, np.nan, 2.0]))
    assert len(found) == 3
    assert found.notes == ("steps that repeat an equal one (first at 2020-01-02 00:00) are merged: 2",)


def test_one_time_with_two_values_is_refused(table):
    refused(
        line(["2020-01-01", "2020-01-02", "2020-01-02"]),
        r"the dataset: two steps have the time 2020-01-02 00:00 and different values; delete one, or .* as station",
    )
    frame = pd.concat([table(), table().assign(a=0.0)])
    refused(frame, "the table: two steps have the time 2020-01-01 00:00 and different values")


def test_a_station_that_contradicts_itself_does_not_spoil_the_others(table):
    good, bad = table().assign(site="good"), pd.concat([table(), table().assign(a=0.0)]).assign(site="bad")
    records = list(reader.read(pd.concat([bad, good]), station="site"))
    assert [(record.key, record.ok) for record in records] == [("bad", False), ("good", True)]
    assert records[0].data is None
    assert records[0].problem.startswith("the table, station bad: two steps have the time 2020-01-01 00:00")
    with pytest.raises(ValueError, match="station bad: two steps"):
        reader.open_source(pd.concat([bad, good]), station="site")


def test_overlapping_files_agree_or_are_refused(grid, one, save):
    data = grid(8)
    first, second = data.isel(time=slice(0, 5)), data.isel(time=slice(3, 8))
    found = one([save(first, "a.nc"), save(second, "b.nc")])
    np.testing.assert_array_equal(found.values, one(data).values)
    assert "steps that repeat an equal one (first at 2020-01-04 00:00) are merged: 2" in found.notes
    refused([save(first, "a.nc"), save(second + 1, "b.nc")], r"a.nc, b.nc: two steps have the time 2020-01-04")


def test_a_silent_gap_stays_a_gap(one):
    times = pd.date_range("2020-01-01", periods=2000, freq="1h").delete(slice(1000, 1699))
    found = one(line(times))
    assert len(found) == 1301
    assert found.step == pytest.approx(1 / 24)
    assert found.notes == ("gaps: 700 h after 2020-02-11 15:00 (of steps of 1 h, 699 are not there; none is made up)",)
    assert one(line(times), step="1h").step == 1 / 24


def test_many_gaps_are_counted_and_the_longest_told(one):
    times = pd.date_range("2020-01-01", periods=60).delete([5, 6, 7, 20, 30, 40])
    (note,) = one(line(times)).notes
    assert note.startswith("gaps: 4 d after 2020-01-05 00:00; 2 d after 2020-01-20 00:00; 2 d after 2020-01-30 00:00;")
    assert "4 in all (of steps of 1 d, 6 are not there" in note


def test_a_missing_month_is_a_gap(one):
    (note,) = one(line(pd.date_range("2020-01-01", periods=24, freq="MS").delete(6))).notes
    assert note.startswith("gaps: 61 d after 2020-06-01 00:00 (of steps of 31 d, 1 are not there")


def test_irregular_steps_are_kept(one):
    found = one(line(["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:00", "2020-01-01 02:20"]))
    assert found.notes == ("steps are irregular: 1 of 3 differ from 1 h (first after 2020-01-01 02:00: 20 min)",)
    assert len(found) == 4


def test_steps_without_a_time_are_left_out(one):
    times = np.array(["2020-01-01", "NaT", "2020-01-02"], dtype="datetime64[us]")
    assert one(line(times)).notes == ("steps without a time are left out: 1",)
    frame = pd.DataFrame({"time": ["2020-01-01", "", "2020-01-02"], "a": [1.0, 2.0, 3.0]})
    assert one(frame).values[:, 0, 0, 0].tolist() == [1, 3]


@pytest.mark.parametrize("units", ["days since banana", "months since 1980-01-01", "days since 0000-01-01"])
def test_units_of_time_that_give_no_date(save, units):
    data = line(np.arange(3.0))
    data["time"].attrs = {"units": units, "calendar": "standard"}
    refused(
        save(data), rf"data.nc: the units '{units}' of the time 'time' \(calendar 'standard'\) give no dates; correct"
    )
    refused(data, rf"the dataset: the units '{units}'")


def test_an_unknown_calendar(save):
    data = line(np.arange(3.0))
    data["time"].attrs = {"units": "days since 1980-01-01", "calendar": "mayan"}
    refused(save(data), r"data.nc: .* \(calendar 'mayan'\) give no dates")


def test_calendars_do_not_mix(save):
    paths = []
    for name in ("standard", "noleap"):
        data = line(np.arange(3.0) + 3 * len(paths))
        data["time"].attrs = {"units": "days since 2020-02-27", "calendar": name}
        paths.append(save(data, f"{name}.nc"))
    message = r"the files have different calendars: standard \(standard.nc\), noleap \(noleap.nc\); .*convert_calendar"
    refused(paths, message)


@pytest.mark.parametrize("name", ["standard", "gregorian", "proleptic_gregorian"])
def test_names_of_one_calendar_mix(one, save, name):
    paths = []
    for calendar in ("standard", name):
        data = line(np.arange(3.0) + 3 * len(paths))
        data["time"].attrs = {"units": "days since 2020-02-27", "calendar": calendar}
        paths.append(save(data, f"{len(paths)}.nc"))
    assert np.diff(one(paths).time).tolist() == [1] * 5


def test_files_that_count_from_different_days(one, save):
    """Numbers that look alike are different times."""
    paths = []
    for day in (1, 4):
        data = line(np.arange(3.0))
        data["time"].attrs = {"units": f"days since 2020-01-0{day}"}
        paths.append(save(data, f"{day}.nc"))
    assert one(paths).time.tolist() == [18262.0 + i for i in range(6)]


@pytest.mark.parametrize("zone", ["Europe/Oslo", "UTC"])
def test_times_of_a_zone_become_utc(table, one, zone):
    frame = table()
    frame["time"] = frame["time"].dt.tz_localize(zone)
    found = one(frame)
    hours = 1 if zone == "Europe/Oslo" else 0
    assert found.time[0] * 24 == pytest.approx(18262 * 24 - hours)
    assert found.notes == (f"times in 'time' are of the zone {zone}: converted to UTC",) * (hours > 0)
    indexed = one(frame.set_index("time"))
    np.testing.assert_array_equal(indexed.time, found.time)


def test_texts_with_a_zone_become_utc(one):
    frame = pd.DataFrame({"time": ["2020-01-01T00:00+01:00", "2020-01-01T01:00+01:00"], "a": [1.0, 2.0]})
    found = one(frame)
    assert found.time[0] * 24 == pytest.approx(18262 * 24 - 1)
    assert found.notes == ("times in 'time' have a time zone: converted to UTC",)
    form = one(frame.assign(time=["1.1.2020 00:00 +0100", "1.1.2020 01:00 +0100"]), time_format="%d.%m.%Y %H:%M %z")
    np.testing.assert_array_equal(form.time, found.time)
    refused(frame.assign(time=["2020-01-01T00:00+01:00", "2020-01-01T01:00"]), "some times .* and some have none")


def test_an_empty_axis_and_one_step(grid, save, table):
    for n, told in ((0, "no steps"), (1, "1 step")):
        refused(grid().isel(time=slice(0, n)), f"the dataset has {told}; a series needs two")
        refused(save(grid().isel(time=slice(0, n)), f"{n}.nc"), rf"{n}.nc has {told}; a series needs two")
    refused(table().iloc[:0], "the table has no rows: a series needs at least two steps")
    refused(table().iloc[:1], "the table has 1 step; a series needs two")


def test_a_station_with_one_row_keeps_its_place(table):
    frame = pd.concat([table().assign(site="x"), table().iloc[:1].assign(site="y")])
    x, y = reader.read(frame, station="site")
    assert x.ok
    assert y.problem == "the table, station y has 1 step; a series needs two"


def test_no_time_at_all(grid, save, table):
    data = grid().isel(time=0, drop=True)
    refused(data, r"the dataset has no time \(no coordinate with dates, or units .*\); name it as time; there are: ")
    refused(save(data), "data.nc has no time")
    refused(table().drop(columns="time"), r"the table has no time .* name the column, .* as time; columns: a, b")
    refused(xr.Dataset(), "the dataset has no time .*: no variables")


@pytest.mark.parametrize(
    ("numbers", "form"),
    [
        ([202001, 202002, 202003], "%Y%m"),
        ([20200131, 20200201, 20200202], "%Y%m%d"),
        ([2020010100, 2020010101], "%Y%m%d%H"),
    ],
)
def test_dates_written_as_numbers(one, save, numbers, form):
    data = line(np.array(numbers))
    for source in (data, save(data), data.to_dataframe().reset_index()):
        refused(source, rf"'time' are numbers such as {numbers[0]}, which look like {form}; if they are, say time_form")
        assert one(source, time_format=form).time[0] in (18262, 18292)
    refused(data, "the time '20200' in 'time' is not of the form|the time '2", time_format="%Y-%m-%d")


def test_counts_are_no_times(save, table):
    data = line(np.arange(3))
    refused(save(data), r"data.nc: 'time' holds bare numbers \(such as 0\), which are no times; name another variable")
    refused(
        table().assign(time=range(6)), r"the table: 'time' holds bare numbers \(such as 0\), .* or give time_format"
    )
    refused(
        line(pd.date_range("2020", periods=3)), "'time' holds dates already; leave time_format out", time_format="%Y"
    )


def test_parts_that_are_no_date():
    frame = pd.DataFrame({"y": [2020, 2020], "m": [1, 13], "a": [1.0, 2.0]})
    refused(frame, "the table: y, m are no year, month: ", time="y,m")


def test_impossible_dates_are_named():
    frame = pd.DataFrame({"time": ["2020-02-29", "2020-02-30"], "a": [1.0, 2.0]})
    refused(frame, r"the table: '2020-02-30' in 'time' is no date as ")


def test_dates_of_cftime_out_of_order(one):
    times = [cftime.datetime(2020, 2, day, calendar="360_day") for day in (30, 28, 29)]
    found = one(xr.Dataset({"a": ("time", [2.0, 0.0, 1.0])}, coords={"time": times}))
    assert found.values[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert "first at 2020-02-28 00:00" in found.notes[0]


# --- values --------------------------------------------------------------------------------------------------


def test_a_variable_without_values_is_left_out_or_refused(grid, one, table):
    data = grid()
    data["pr"][:] = np.nan
    found = one(data)
    assert [v.name for v in found.variables] == ["tas"]
    assert found.notes == ("left out: pr (all values are missing)",)
    refused(data, r"the dataset: no value of pr is known \(all are missing\)", variables="tas,pr")
    refused(data[["pr"]], r"the dataset: no value of pr is known")
    assert [v.name for v in one(table().assign(a=[None] * 6)).variables] == ["b"]


def test_a_constant_variable_is_kept(grid, one):
    data = grid()
    data["pr"][:] = 2.5
    found = one(data)
    assert len(found.variables) == 2
    assert found.notes == ("'pr' is 2.5 at all times",)


def test_infinite_values_count_as_missing(grid, one):
    data = grid().astype("f8")
    data["tas"][0, 0, :3] = [np.inf, -np.inf, 1e39]  # the last is none in single precision
    found = one(data)
    assert np.isnan(found.values).sum() == 3
    assert found.notes == ("3 infinite values count as missing",)
    assert [v.unit for v in found.variables] == ["K", "mm d-1"]


def test_mixed_units_are_refused(grid, save):
    kelvin, celsius = grid(3), grid(3, start="2020-01-04", unit="degC")
    refused(
        [save(kelvin, "a.nc"), save(celsius, "b.nc")],
        "'tas' is in 'K' in a.nc and in 'degC' in b.nc; convert one of them",
    )
    bare = grid(3, start="2020-01-04", unit="")
    refused([save(kelvin, "a.nc"), save(bare, "b.nc")], "'tas' is in 'K' in a.nc and in 'no unit' in b.nc")


def test_units_that_differ_in_blanks_alone_are_one(grid, one, save):
    assert len(one([save(grid(3), "a.nc"), save(grid(3, start="2020-01-04", unit="k "), "b.nc")])) == 6


def test_grids_that_differ_are_refused(grid, save):
    other = grid(3, start="2020-01-04").assign_coords(lat=[51.0, 41.0, 31.0])
    other["lat"].attrs = grid()["lat"].attrs
    refused([save(grid(3), "a.nc"), save(other, "b.nc")], "a.nc, b.nc lie on different grids; regrid them, or read")
    refused(
        [save(grid(3)[["tas"]], "a.nc"), save(other[["pr"]].assign_coords(time=grid(3)["time"]), "b.nc")],
        r"a.nc, b.nc lie on different grids \(lat\)",
    )


def test_text_among_numbers_is_no_variable(one, tmp_path):
    path = tmp_path / "rain.csv"
    path.write_text("time,t,rain\n2020-01-01,1,0.5\n2020-01-02,2,Trace\n")
    assert one(path).notes == ("left out: rain (no numbers)",)
    refused(path, "rain.csv: variable 'rain' holds text, such as 'Trace'; make it numbers", variables="rain")
    refused(path, "rain.csv has no variable named 'snow'; there are: t, rain", variables="snow")


def test_decimal_commas_are_text(tmp_path):
    path = tmp_path / "comma.csv"
    path.write_text("time;t\n2020-01-01;1,5\n2020-01-02;2,5\n")
    refused(path, r"comma.csv: cannot use t \(no numbers\)")


def test_two_columns_of_one_name(table):
    frame = table()
    frame.columns = ["time", "a", "a"]
    refused(frame, "two columns of the table are called 'a'; rename one")


def test_a_row_without_station(table):
    refused(table().assign(site=["x", None, "x", "x", "x", "x"]), "row 2 has no station in 'site'", station="site")


def test_tables_of_one_name(table, tmp_path):
    for ending in (".csv", ".tsv"):
        table().to_csv(tmp_path / f"a{ending}", index=False)
    refused(tmp_path, "two stations of the source are called 'a'; make the names unique")
    with pytest.raises(ValueError, match="two stations"):
        reader.open_source(tmp_path)


def test_tables_of_different_variables(table, tmp_path):
    table().to_csv(tmp_path / "a.csv", index=False)
    table().rename(columns={"b": "c"}).to_csv(tmp_path / "b.csv", index=False)
    refused(tmp_path, r"b and a have not the same variables \(only one has b, c\); name those of both as variables")


# --- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
@pytest.mark.parametrize("share", [0.999, 0.5, 0.2])
def test_a_classic_file_that_is_cut_off_is_refused(grid, save, kind, share):
    """The library itself reads zeros where nothing is."""
    path = save(grid(200), format=kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    if share < 0.9:
        with netCDF4.Dataset(path) as file:
            assert not file["pr"][-1].any()
    refused(path, rf"data.nc is cut off: its header promises more values than its {path.stat().st_size} bytes hold")


def test_a_classic_file_without_its_last_byte_is_refused(grid, save):
    path = save(grid(3), format="NETCDF3_CLASSIC")
    path.write_bytes(path.read_bytes()[:-1])
    refused(path, "data.nc is cut off")


def test_a_file_of_large_offsets_that_is_cut_off(tmp_path):
    path = tmp_path / "large.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("time", 1000)
        file.createVariable("time", "f8", ("time",)).units = "days since 2020-01-01"
        file["time"][:] = np.arange(1000)
        file.createVariable("a", "f4", ("time",))[:] = np.arange(1000)
        file["time"].note = "days"
        file.title = "a title"
    content = path.read_bytes()
    assert reader.open_source(path, variables="a").sizes["time"] == 1000
    for length in (20, 300, 5000, len(content) - 100, len(content) - 1):
        path.write_bytes(content[:length])
        refused(path, "large.nc is cut off")


@pytest.mark.parametrize("share", [0.95, 0.5, 0.01])
def test_a_netcdf4_file_that_is_cut_off_is_refused(grid, save, share):
    path = save(grid(200))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, r"data.nc is damaged or cut off \(.*\); fetch it again", OSError)


def test_a_flipped_byte_under_a_checksum_is_refused(grid, save):
    path = save(grid(200), encoding={"tas": {"fletcher32": True}, "pr": {"fletcher32": True}})
    content = bytearray(path.read_bytes())
    place = content.find(grid(200)["tas"].values[100].tobytes())
    content[place + 2] ^= 0xFF
    path.write_bytes(bytes(content))
    refused(path, r"data.nc is damaged: its values cannot be read", OSError)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.nc",
            b"<!DOCTYPE html><html>Not found</html>",
            r"a.nc is a web page \(begins with b'<!DOCTYPE html>.*fetch",
        ),
        ("a.nc", b"\n <html>", "a.nc is a web page"),
        ("a.nc", b"", r"a.nc is empty \(0 bytes\); fetch it again"),
        ("a.nc", b"GRIB....", "a.nc is GRIB; convert it to netCDF"),
        ("a.nc", b"\x1f\x8b\x08", "a.nc is compressed by gzip; unpack it"),
        ("a.nc", b"version https://git-lfs.github.com/spec/v1\n", "a.nc is a pointer of Git LFS"),
        ("a.nc", b"time,a\n", "a.nc is no netCDF file"),
        ("a.csv", b"<!DOCTYPE html><html>Not found</html>", "a.csv is a web page"),
        ("a.csv", b"", r"a.csv is empty \(0 bytes\)"),
        ("a.csv", b"time,a\n", "a.csv has no rows"),
        ("a.csv", b"time,a\n2020-01-01,1\n2020-01-02,1,2,3\n", "a.csv is no table of text"),
        ("a.csv", b"time,a\n\xff\xfe\x00,1\n", "a.csv is no table of text"),
        ("a.csv.gz", b"time,a\n", "a.csv.gz is no table of text"),
        ("a.parquet", b"PAR1 and no more", "a.parquet is damaged or no Parquet file"),
    ],
)
def test_files_that_are_something_else(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message)


def test_files_that_are_not_there(tmp_path):
    for source in (tmp_path / "none.nc", str(tmp_path / "none.csv"), [tmp_path / "none.nc"], [tmp_path / "none.csv"]):
        refused(source, r"none.\w+ does not exist; check the path \(working directory", FileNotFoundError)
    refused(str(tmp_path / "*.nc"), r"no file is like .*\*.nc", FileNotFoundError)
    refused(tmp_path, "holds no files that end in .nc, ")


def test_one_bad_file_among_good_ones_is_named(grid, save, tmp_path):
    paths = [save(grid(3), "a.nc"), tmp_path / "b.nc"]
    paths[1].write_bytes(paths[0].read_bytes()[:1000])
    refused(paths, "b.nc is damaged or cut off", OSError)


def test_zarr_needs_its_package(grid, save, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the writer, about its formats
        path = save(grid(), "data.zarr")
    for about in path.glob("*z*"):
        if about.is_file():
            about.write_text("{")
    refused(path, r"data.zarr cannot be read \(.*\); fetch it again|data.zarr is damaged", (ValueError, OSError))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(path, r"data.zarr is zarr, which needs a package: pip install sciformer\[climate\]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lat": "latt"}, r"the dataset has no lat named 'latt'; did you mean 'lat'\? there are: "),
        ({"station": "site"}, "the dataset has no station named 'site'; there are: "),
        ({"time": "when"}, "the dataset has no variable named 'when'; there are: "),
        ({"station": "tas"}, "the dataset: 'tas' has 3 dimensions; stations lie along one"),
    ],
)
def test_names_that_are_not_there(grid, options, message):
    refused(grid(), message, **options)


def test_kinds_of_files_do_not_mix(grid, save, table, tmp_path):
    save(grid())
    table().to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path, r"a.csv is a table and .*data.nc is not; read files of one kind")


def test_files_with_different_dimensions_of_time(grid, save):
    paths = [save(grid(3), "a.nc"), save(grid(3).rename(time="t"), "b.nc")]
    refused(paths, "the dimension of time must have one name in all files, got 'time' in a.nc, 't' in b.nc")


def test_a_group_without_variables(tmp_path):
    path = tmp_path / "groups.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createGroup("forecast").createDimension("time", 3)
    refused(path, "groups.nc has no time")


def test_places_that_are_no_degrees(grid):
    data = grid().assign_coords(lat=("lat", [500.0, 400.0, 300.0], grid()["lat"].attrs))
    refused(data, r"the dataset: 'lat' goes to 500; 'lat' must be degrees, at most 90")


def test_two_latitudes_must_be_told_apart(grid):
    data = grid()
    data["lat2"] = ("lat", [1.0, 2.0, 3.0], data["lat"].attrs)
    data = data.drop_vars("lat")
    data["lat3"] = ("lat", [1.0, 2.0, 3.0], data["lat2"].attrs)
    refused(data, "the dataset: lat2, lat3 all say that they are lat; name one as lat")


def test_a_moving_place_is_no_station():
    data = line(pd.date_range("2020", periods=3))
    data["lat"] = ("time", [1.0, 2.0, 3.0], {"units": "degrees_north"})
    refused(data, "'lat' changes with time; a moving place is no station")


def test_files_are_closed(grid, save):
    """A folder of a thousand files must not leave a thousand open."""
    path = save(grid())
    (record,) = reader.read(path)
    save(grid(8))  # an open file could not be written
    assert len(record.data) == 6
    with pytest.raises(ValueError, match="no variable named"):
        reader.read(path, variables="none")
    save(grid())
