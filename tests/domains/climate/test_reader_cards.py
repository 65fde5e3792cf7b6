"""The climate data cards, and the reader on their real files."""

import os

import numpy as np
import pytest

import sciformer.data as data
from sciformer.domains.climate import reader
from sciformer.domains.climate.series import Series

REAL = pytest.mark.skipif(not os.environ.get("SCIFORMER_MIRROR"), reason="SCIFORMER_MIRROR is not set: no real data")
SHAPES = {
    "etth1": (17420, 1, 1, 7),
    "ersst": (128, 89, 180, 1),
    "era5_cities": (1461, 1, 1, 25),
    "wfde5_uk": (744, 20, 28, 3),
    "beijing_pm25": (43824, 1, 1, 7),
    "cru_temperature": (1776, 1, 1, 6),
    "darwin_soi": (1392, 1, 1, 1),
}


def series(name: str, **more: object) -> dict[str, Series]:
    records = list(reader.read(data.fetch(name), **{**data.card(name).read, **more}))
    assert all(record.ok and record.group == record.key for record in records)
    return {record.key: record.data for record in records}


@REAL
@pytest.mark.parametrize("name", SHAPES)
def test_a_card_is_true_of_its_files(name):
    card, paths = data.card(name), data.fetch(name)
    assert [path.stat().st_size for path in paths] == [file.bytes for file in card.files]
    found = series(name)
    assert {one.values.shape for one in found.values()} == {SHAPES[name]}
    assert card.rows in (len(found), SHAPES[name][0])
    units = {column.name: column.unit for column in card.roles("input")}
    for one in found.values():
        names = {variable.name.removesuffix("_sin").removesuffix("_cos") for variable in one.variables}
        assert names == set(units)
        assert all(units[v.name] == v.unit for v in one.variables if v.name in units)
        assert (np.diff(one.time) > 0).all()
        assert one.calendar == "standard"


@REAL
@pytest.mark.parametrize("name", ["etth1", "beijing_pm25"])
def test_a_table_in_memory_is_its_file(name):
    (record,) = reader.read(data.load(name), **data.card(name).read)
    (file,) = series(name).values()
    assert record.key == "series"
    np.testing.assert_array_equal(record.data.values, file.values)
    np.testing.assert_array_equal(record.data.time, file.time)


@REAL
def test_hours_of_a_transformer():
    (one,) = series("etth1").values()
    assert one.notes == ()
    assert one.step == 1 / 24
    assert one.time[0] == 16983
    assert one.values[0, 0, 0, 6] == np.float32(30.5310001373291)
    assert np.isnan(one.lat).all()


@REAL
def test_seas_keep_their_latitudes_and_their_land():
    (one,) = series("ersst").values()
    assert (one.lat[0], one.lat[-1], one.lon[0], one.lon[-1]) == (88, -88, 0, 358)
    assert np.isnan(one.values).mean() == pytest.approx(0.314, abs=1e-3)
    assert one.step == 31
    assert one.notes == ()
    assert one.labels is not None
    assert one.labels["sst"].attrs["units"] == "degC"
    assert (one.labels["lat"].values == one.lat).all()


@REAL
@pytest.mark.parametrize(
    ("region", "lats", "lons"),
    [
        ("-5:5,190:240", [4, 2, 0, -2, -4], list(range(190, 242, 2))),
        ("5:-5,-170:-120", [4, 2, 0, -2, -4], list(range(190, 242, 2))),  # the same in the other count
        ("50:52,-4:4", [52, 50], [356, 358, 0, 2, 4]),  # across the seam
        ("50:52,356:4", [52, 50], [356, 358, 0, 2, 4]),
        ("0:0,-180:180", [0], list(range(0, 360, 2))),
    ],
)
def test_a_region_in_either_count_of_longitudes(region, lats, lons):
    (whole,), (one,) = series("ersst").values(), series("ersst", region=region).values()
    assert one.lat.tolist() == lats
    assert one.lon.tolist() == lons
    rows, columns = ([list(axis).index(x) for x in wanted] for axis, wanted in ((whole.lat, lats), (whole.lon, lons)))
    np.testing.assert_array_equal(one.values, whole.values[:, rows][:, :, columns])


@REAL
def test_cities_are_stations():
    cities = series("era5_cities")
    assert list(cities) == ["Halifax", "Montréal", "Iqaluit", "Saskatoon", "Victoria"]
    halifax = cities["Halifax"]
    assert halifax.lat.tolist() == [44.5]
    assert halifax.lon[0] == pytest.approx(-63.4)
    assert any("sfcWindfromdir_sin and sfcWindfromdir_cos" in note for note in halifax.notes)
    wind = halifax.take(["sfcWindfromdir_sin", "sfcWindfromdir_cos", "uas", "vas"]).values[:, 0, 0]
    told = np.hypot(wind[:, 2], wind[:, 3]) > 1  # where the wind blows, its vector says whence
    whence = np.arctan2(-wind[told, 2], -wind[told, 3])
    np.testing.assert_allclose(np.arctan2(wind[told, 0], wind[told, 1]), whence, atol=1e-3)
    west = series("era5_cities", region="40:60,-130:-100")
    assert list(west) == ["Saskatoon", "Victoria"]


@REAL
def test_three_files_are_one_grid():
    (key,) = found = series("wfde5_uk")
    assert key == "air_temperature+specific_humidity+wind_speed"
    one = found[key]
    assert [(v.name, v.unit) for v in one.variables] == [("Tair", "K"), ("Qair", "kg kg-1"), ("Wind", "m s-1")]
    assert np.isnan(one.values).mean() == pytest.approx(0.55, abs=0.01)
    assert np.nanmax(one.values) < 400
    assert one.lat[0] == 50.25


@REAL
def test_hours_of_dust_over_four_columns():
    (one,) = series("beijing_pm25").values()
    dust = one.values[:, 0, 0, 0]
    assert np.isnan(dust).sum() == 2067
    assert np.isnan(dust[:24]).all()
    assert one.time[0] == 14610
    assert (np.diff(one.time) * 24).round(9).tolist() == [1.0] * 43823
    with pytest.raises(ValueError, match=r"variable 'cbwd' holds text, such as 'NW'"):
        series("beijing_pm25", variables="cbwd")
    everything = series("beijing_pm25", variables=None)["pollution"]
    assert "left out: cbwd (no numbers)" in everything.notes


@REAL
def test_months_as_numbers_only_if_the_caller_says_so():
    (one,) = series("cru_temperature").values()
    assert one.time[0] == -41638  # 1856-01-01
    assert any("TAveGlAn, TAveNhAn, TAveShAn (without the dimension time)" in note for note in one.notes)
    with pytest.raises(ValueError, match=r"Tave_18562003.nc: the times in 'time' are numbers such as 185601, .*=%Y%m"):
        series("cru_temperature", time_format=None)
    (soi,) = series("darwin_soi").values()
    assert soi.time[0] == -32872  # 1880-01-01
    assert np.isnan(soi.values).sum() == 44
    with pytest.raises(ValueError, match=r"soi.nc: 'time' holds bare numbers .* which are no times; name another"):
        series("darwin_soi", time=None, time_format=None)
