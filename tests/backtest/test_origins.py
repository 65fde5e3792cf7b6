"""Rolling origins: each forecast from what came before it, scored beside references, in tables and on the terminal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import sciformer
from sciformer import cli

CONTEXT, HORIZON = 12, 4


def series(n: int, last: float = 1.0, places: int = 2) -> xr.Dataset:
    """White noise of two stations, ``last`` times as large in its second half."""
    values = np.random.default_rng(0).normal(size=(n, places))
    values[n // 2 :] *= last
    time = pd.date_range("2001-01-01", periods=n)
    data = xr.Dataset({"tas": (("time", "station"), 280 + values, {"units": "K"})}, {"time": time})
    place = {"lat": ("station", [50.0, 60.0][:places], {"units": "degrees_north"})}
    place |= {"lon": ("station", [0.0, 9.0][:places], {"units": "degrees_east"})}
    return data.assign_coords(station=["a", "b"][:places], **place)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("origins")
    series(600).to_netcdf(folder / "series.nc")
    options = ["--data.source", str(folder / "series.nc"), "--optim.epochs", "1", "--data.patch", "4"]
    options += ["--data.context", str(CONTEXT), "--data.horizon", str(HORIZON), "--data.stride", "4"]
    options += ["--model.width", "16", "--model.heads", "2", "--model.depth", "1", "--baselines", "false"]
    recipe = Path(cli.__file__).parent.parent / "recipes" / "climate" / "forecast.py"
    cli.run_recipe(str(recipe), [*options, "--out", str(folder / "run")])
    return folder


@pytest.fixture(scope="module")
def model(run):
    return sciformer.load(run / "run" / "checkpoint")


def value(scores: pd.DataFrame, metric: str, model: str = "sciformer") -> float:
    return scores[(scores["metric"] == metric) & (scores["model"] == model)]["value"].iloc[0]


def test_the_last_moments_of_every_series_are_forecast_from_what_came_before_alone(model):
    data = series(200)
    scores, table = model.backtest(data, origins=5)
    assert table["key"].nunique() == 2 * 5
    assert table["origin"].nunique() == 5
    assert table["time"].max() == data["time"].values[-1]
    assert ((table["time"] - table["origin"]) / pd.Timedelta(days=1) == table["ahead"]).all()
    np.testing.assert_allclose(table.groupby("key")["ahead"].max(), HORIZON)
    assert set(scores["model"]) == {"sciformer", "climatology", "persistence"}
    # what comes after an origin cannot move its forecast
    other = data.copy(deep=True)
    cut = table["origin"].sort_values().unique()[2]
    other["tas"].loc[{"time": data["time"] > cut}] += 50
    _, moved = model.backtest(other, origins=5)
    early = table["origin"] <= cut
    columns = ["prediction", "lower", "upper", "lower_adaptive", "upper_adaptive"]
    pd.testing.assert_frame_equal(moved.loc[early, columns], table.loc[early, columns])


def test_a_forecast_of_a_backtest_is_the_one_that_would_have_been_made(model):
    data = series(200)
    _, table = model.backtest(data, origins=3, every=2)
    first = table[table["origin"] == table["origin"].min()]
    then = model.forecast(data.sel(time=slice(None, first["origin"].iloc[0])))
    for name, rows in first.groupby(first["key"].str[0]):
        expected = then["tas"].sel(station=name)
        np.testing.assert_allclose(rows["prediction"], expected.sel(quantile=0.5), rtol=1e-5)
        np.testing.assert_allclose(rows["upper"], expected.sel(quantile=0.95), rtol=1e-5)


def test_where_the_noise_doubles_adaptive_intervals_come_back_and_go_on_from_there(model):
    data = series(2000, last=2.0)
    scores, table = model.backtest(data, origins=160)  # all of them after the change
    assert value(scores, "coverage") < 0.75
    late = table[table["origin"] > table["origin"].quantile(0.4)]
    assert 0.86 < late["truth"].between(late["lower_adaptive"], late["upper_adaptive"]).mean() < 0.94
    followed = model.adapted(data, windows=80)
    assert value(followed.backtest(series(2000, last=2.0), origins=80)[0], "coverage") == pytest.approx(0.9, abs=0.04)
    wide, narrow = (m.forecast(data)["tas"].sel(quantile=[0.05, 0.95]).diff("quantile") for m in (followed, model))
    assert (wide > 1.3 * narrow).all()


def test_the_command_line_writes_predictions_and_says_how_they_were_scored(run, tmp_path, capsys):
    checkpoint, out = run / "run" / "checkpoint", tmp_path / "back.csv"
    command = ["evaluate", str(checkpoint), str(run / "series.nc"), "-o", str(out), "--backtest"]
    cli.main([*command, "100"])
    said = capsys.readouterr().out
    assert "200 windows of 2 series forecast and scored, 0 unreadable" in said
    for words in ("skill over climatology", "adaptive coverage", "5 moments in a row", "20 independent blocks"):
        assert words in said
    assert "windows begin within the time that training or calibration asked about: too good" in said
    assert {"key", "origin", "time", "truth", "lower_adaptive"} <= set(pd.read_csv(out))
    assert set(pd.read_csv(out)["unit"]) == {"K"}
    cli.main([*command, "5"])
    assert "LEAK" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main([*command, "0"])
    assert "origins must be 1 or more" in capsys.readouterr().err


def test_moments_at_which_nothing_was_observed_are_passed_over_and_told(model):
    data = series(200)
    data["tas"][-40:] = np.nan  # a source that goes on, as it must with what is known beforehand
    scores, table = model.backtest(data, origins=3)
    assert table["origin"].nunique() == 3
    assert table["time"].max() == data["time"].values[-41]
    assert not any("moments asked for" in note for note in scores.attrs["notes"])
    data["tas"][100:, 1] = np.nan
    notes = model.backtest(data, origins=3).scores.attrs["notes"]
    assert "Forecast are 3 of 3 moments asked for" in notes[0]
    assert notes[0].endswith("; none of b.")
    assert "Forecast are 37 of 5000 moments" in model.backtest(data, origins=5000).scores.attrs["notes"][0]
    short = series(CONTEXT + HORIZON)
    short["tas"][:CONTEXT] = np.nan
    with pytest.raises(ValueError, match="none of 2 series, first 'a', was observed both before and after an origin"):
        model.backtest(short, origins=1)


def test_what_is_no_series_and_what_is_too_short_is_refused(model, finished_run, table_file, capsys):
    with pytest.raises(ValueError, match="none of 2 series, first 'a', is as long as one window up to its"):
        model.backtest(series(10), origins=3)
    with pytest.raises(ValueError, match="origins must be 1 or more"):
        model.backtest(series(100), origins=0)
    from sciformer.domains.lightcurve import LightCurve

    with pytest.raises(ValueError, match=r"'lightcurve' are forecast once each .*\(sciformer evaluate without --back"):
        LightCurve().origins([], 3, None)
    with pytest.raises(SystemExit):
        cli.main(["evaluate", str(finished_run / "checkpoint"), str(table_file), "-o", "x.csv", "--backtest", "3"])
    assert "--backtest forecasts series, and this checkpoint predicts properties" in capsys.readouterr().err
