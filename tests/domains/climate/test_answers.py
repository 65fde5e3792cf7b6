"""Datasets in, datasets out: names, units, coordinates and calendars of the source."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sciformer
from sciformer import cli
from sciformer.domains.climate import answers, reader

CALENDARS = ("standard", "noleap", "360_day")


def weather(calendar: str = "standard", cells: tuple[int, int] | None = None, n: int = 300) -> xr.Dataset:
    rng = np.random.default_rng(0)
    shape = (n, *(cells or ()))
    values = 280 + rng.normal(size=shape).cumsum(0) * 0.3
    values[rng.random(shape) < 0.1] = np.nan
    time = xr.date_range("2001-01-01", periods=n, freq="D", calendar=calendar, use_cftime=calendar != "standard")
    coords = {"time": ("time", time, {"axis": "T"})}
    dims = ("time",)
    if cells:
        coords |= {
            "lat": ("lat", np.linspace(60.0, 50.0, cells[0]), {"units": "degrees_north"}),
            "lon": ("lon", np.linspace(350.0, 358.0, cells[1]), {"units": "degrees_east"}),
        }
        dims = ("time", "lat", "lon")
        values[:, 0, 0] = np.nan  # the sea
    attrs = {"units": "K", "standard_name": "air_temperature"}
    return xr.Dataset({"tas": (dims, values.astype(np.float32), attrs)}, coords=coords, attrs={"title": "toy"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint, by what it was trained on."""
    folder, made = tmp_path_factory.mktemp("climate"), {}

    def train(name: str, data: xr.Dataset) -> Path:
        if name not in made:
            data.to_netcdf(folder / f"{name}.nc")
            options = ["--data.source", str(folder / f"{name}.nc"), "--optim.epochs", "1", "--data.context", "16"]
            options += ["--data.horizon", "8", "--data.stride", "8", "--data.block", "2", "--data.bounds.tas", "0.."]
            options += ["--model.width", "16"]
            options += ["--model.heads", "2", "--model.depth", "1", "--out", str(folder / name)]
            recipe = Path(cli.__file__).parent.parent / "recipes" / "climate" / "forecast.py"
            cli.run_recipe(str(recipe), options)
            made[name] = folder / name / "checkpoint"
        return made[name]

    return train


@pytest.mark.parametrize("calendar", CALENDARS)
def test_a_series_is_answered_in_its_own_calendar_units_and_attributes(trained, calendar, tmp_path):
    data = weather(calendar)
    model = sciformer.load(trained(calendar, data))
    later = model.forecast(data, horizon=5, level=0.8)
    assert later["tas"].dims == ("time", "quantile")
    assert later["tas"].attrs == data["tas"].attrs
    assert later.attrs["title"] == "toy"
    assert "forecast by sciformer" in later.attrs["history"]
    step = data["time"].values[1] - data["time"].values[0]
    assert (later["time"].values == data["time"].values[-1] + step * np.arange(1, 6)).all()
    assert later["quantile"].values.tolist() == [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
    assert (later["tas"].diff("quantile") >= 0).all()
    later.to_netcdf(tmp_path / "later.nc")
    with xr.open_dataset(tmp_path / "later.nc") as again:
        assert again.load().identical(later)


def test_answers_stay_within_what_is_possible(trained):
    model, data = sciformer.load(trained("standard", weather())), weather()
    assert [target.lower for target in model.answers] == [0.0]
    middle = float(data["tas"][-1])
    above = dataclasses.replace(model, adapter=dataclasses.replace(model.adapter, lower=(middle,)))
    free, held = (x.forecast(data)["tas"] for x in (model, above))
    assert (free < middle).any()
    np.testing.assert_array_equal(held, np.maximum(free, np.float32(middle)))


def test_a_grid_is_answered_cell_by_cell_and_the_sea_stays_empty(trained):
    data = weather(cells=(3, 4))
    model = sciformer.load(trained("grid", data))
    later = model.forecast(data, horizon=3)
    assert later["tas"].dims == ("time", "lat", "lon", "quantile")
    assert later["lat"].equals(data["lat"])
    assert later["lon"].equals(data["lon"])
    assert later["tas"].isel(lat=0, lon=0).isnull().all()
    assert later["tas"].isnull().sum() == later["tas"].isel(lat=0, lon=0).size
    turned = model.forecast(data.transpose("lon", "time", "lat"), horizon=3)
    xr.testing.assert_allclose(turned["tas"], later["tas"], rtol=1e-4)


def echo(cases) -> pd.DataFrame:
    """What is asked, as the answer to it."""
    values = [np.asarray(asked.values)[np.isfinite(np.asarray(asked.values))] for _, asked in cases]
    names = ("q0.05", "q0.25", "q0.75", "q0.95", "lower", "mean", "upper")
    table = pd.DataFrame(dict.fromkeys(names, np.concatenate([*values, np.zeros(0)])))
    table.attrs["level"] = 0.8
    return table


def test_answers_lie_where_the_cells_of_the_source_do():
    """Whatever the order of coordinates and dimensions, and along one of them alone."""
    data = weather(cells=(4, 4), n=5)
    swapped = xr.Dataset({"tas": data["tas"].variable}, coords={name: data[name] for name in ("lon", "lat", "time")})
    zonal, other = data.isel(lon=1, drop=True), data.rename(lat="y", lon="x").transpose("x", "y", "time")
    for source in (data, swapped, zonal, data.isel(lat=2, drop=True), data.isel(lat=[2]), other):
        (record,) = reader.read(source)
        told = answers.dataset([(record, record.data)], echo, {})["tas"].sel(quantile=0.5, drop=True)
        xr.testing.assert_equal(
            told.drop_attrs(), source["tas"].transpose("time", ...).drop_attrs().transpose(*told.dims)
        )


def counted(data: xr.Dataset, steps: int, read: list) -> xr.Dataset:
    """The same in pieces of so many steps on disk; the first step of each piece that is read is noted."""

    def note(block, block_info=None):
        read.append(block_info[0]["array-location"][0][0])
        return block

    def lazy(x: xr.DataArray) -> xr.DataArray:
        meta = np.zeros((0,) * x.ndim, x.dtype)
        return x.copy(data=x.data.map_blocks(note, dtype=x.dtype, meta=meta))

    return data.chunk(time=steps).map(lazy, keep_attrs=True)


def test_a_grid_on_disk_is_answered_when_asked_for_from_its_last_steps(trained):
    data, read = weather(cells=(3, 4)), []
    model = sciformer.load(trained("grid", data))
    later = model.forecast(counted(data, 50, read), horizon=3)
    assert later["tas"].chunks
    assert not read
    now = model.forecast(data, horizon=3)
    xr.testing.assert_equal(later.compute().drop_attrs(), now.drop_attrs())
    assert read == [250]
    assert later["tas"].attrs == now["tas"].attrs


def test_stations_on_disk_are_answered_a_piece_for_each_and_read_together(trained, tmp_path):
    model = sciformer.load(trained("standard", weather()))
    values = weather()["tas"] + xr.DataArray(np.arange(4.0), dims="station", coords={"station": list("abcd")})
    values[-10:, 2] = np.nan  # a station that has fallen silent
    places = {"lat": ("station", [50.0, 51, 52, 53]), "lon": ("station", [0.0, 1, 2, 3])}
    data = values.assign_attrs(units="K", coordinates="lat lon").to_dataset(name="tas").assign_coords(places)
    read: list[int] = []
    later = model.forecast(counted(data, 50, read), horizon=3, station="station", lat="lat", lon="lon")
    assert later["tas"].chunks[1] == (1, 1, 1, 1)
    assert not read
    later.to_netcdf(tmp_path / "later.nc")
    assert read == [250]
    now = model.forecast(data, horizon=3, station="station", lat="lat", lon="lon")
    with xr.open_dataset(tmp_path / "later.nc") as written:
        xr.testing.assert_allclose(written.drop_attrs(), now.drop_attrs(), rtol=1e-5)


def test_a_table_is_answered_by_a_table(trained):
    data = weather()
    model = sciformer.load(trained("standard", data))
    table = data.to_dataframe()
    later = model.forecast(table, horizon=2, units="tas=K")
    assert later["time"].tolist() == [pd.Timestamp("2001-10-28"), pd.Timestamp("2001-10-29")]
    assert (later["status"] == "ok").all()


def test_the_command_line_writes_netcdf_and_tables(trained, tmp_path, capsys):
    folder = trained("standard", weather()).parent
    source = folder.parent / "standard.nc"
    for name in ("later.nc", "later.csv"):
        cli.main(["forecast", str(folder / "checkpoint"), str(source), "-o", str(tmp_path / name), "--horizon", "3"])
    with xr.open_dataset(tmp_path / "later.nc") as later:
        assert later.sizes["time"] == 3
    assert len(pd.read_csv(tmp_path / "later.csv")) == 3 * 5
    assert "tas forecast (time 3, quantile 5)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.assign(tas=data["tas"].assign_attrs(units="degC")), "gives tas in degC"),
        (lambda data: data.rename(tas="t2m"), "has no variable 'tas'"),
        (lambda data: data.isel(time=slice(None, None, 2)), "has steps of 2 days"),
    ],
)
def test_another_kind_of_series_is_refused_by_name(trained, change, told):
    model = sciformer.load(trained("standard", weather()))
    with pytest.raises(ValueError, match=told):
        model.forecast(change(weather()), horizon=2)
