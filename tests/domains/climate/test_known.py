"""What is known beforehand is read in the future; what is asked about never is."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import sciformer
from sciformer import cli
from sciformer.adapter import Record
from sciformer.domains.climate.adapter import Climate
from sciformer.domains.climate.series import Series

SHAPE = Climate(variables=("load",), units=("",), known=("heat",), known_units=("",), context=16, horizon=8, patch=4)


def town(n: int = 420) -> xr.Dataset:
    """A load that follows a heat which nobody could foresee from it."""
    rng = np.random.default_rng(0)
    heat = rng.normal(size=n)
    load = 50 + 4 * heat + rng.normal(size=n)
    time = xr.date_range("2001-01-01", periods=n, freq="D")
    columns = {"load": load, "heat": heat}
    return xr.Dataset({k: ("time", x.astype(np.float32)) for k, x in columns.items()}, coords={"time": time})


@pytest.fixture(scope="module")
def adapter() -> Climate:
    return SHAPE.fitted(list(SHAPE.read(town())))


def window(adapter: Climate, **changed: float) -> Record:
    """The last steps, of which the horizon is changed."""
    record = next(iter(adapter.read(town())))
    series: Series = record.data.between(len(record.data) - 24, len(record.data))
    values = np.array(series.values)
    for name, value in changed.items():
        values[16:, ..., [variable.name for variable in series.variables].index(name)] = value
    return dataclasses.replace(record, data=series.replaced(values=values))


def test_the_future_of_what_is_known_is_read_and_of_nothing_else(adapter):
    def asked(record: Record) -> torch.Tensor:
        before, later = adapter.divide(record, 0.3)
        tokens = adapter.ask(before, later)
        assert set(adapter.observations(later)["variable"]) == {"load"}
        return tokens.values

    plain, poisoned, warmer = (asked(window(adapter, **x)) for x in ({}, {"load": 1e6}, {"heat": 3.0}))
    assert torch.equal(plain, poisoned)
    told = adapter.layout.told
    assert not torch.equal(plain[-2:, told], warmer[-2:, told])  # two patches of questions
    assert torch.equal(plain[:-2], warmer[:-2])
    assert plain[-2:, told].abs().sum() > 0


def test_what_is_known_must_go_on_through_the_questions(adapter):
    data = town(100)
    ends = data.assign(load=data["load"].where(data["time"] < data["time"][92]))
    record = next(iter(adapter.read(ends)))
    assert len(adapter.questions(record).time) == 8
    assert adapter.questions(record).time[0] == record.data.time[92]
    for lost in (ends.isel(time=slice(97)), ends.assign(heat=ends["heat"].where(ends["time"] != ends["time"][97]))):
        with pytest.raises(ValueError, match="has no heat on 2001-04-08, which the model takes as known beforehand"):
            adapter.questions(next(iter(adapter.read(lost))))
    alone = next(iter(adapter.read(town().drop_vars("heat"))))
    assert "has no variable 'heat'" in adapter.unlike(alone)


def test_a_model_learns_from_what_is_known_beforehand(tmp_path):
    town().to_netcdf(tmp_path / "town.nc")
    options = ["--data.source", str(tmp_path / "town.nc"), "--data.known", "heat", "--optim.epochs", "4"]
    options += ["--data.context", "16", "--data.horizon", "8", "--data.patch", "4", "--data.stride", "4"]
    options += ["--model.width", "32", "--model.heads", "2", "--model.depth", "1", "--optim.lr", "1e-2"]
    recipe = Path(cli.__file__).parent.parent / "recipes" / "climate" / "forecast.py"
    options += ["--baselines", "false", "--forecast.most", "10"]
    cli.run_recipe(str(recipe), [*options, "--out", str(tmp_path / "run")])
    scores = pd.read_csv(tmp_path / "run" / "scores.csv").set_index("metric")["value"]
    assert scores["CRPS"] < 1.3  # 0.56 is the least, and 2.3 that of who knows nothing beforehand
    model = sciformer.load(tmp_path / "run" / "checkpoint")
    later = model.forecast(town().assign(load=town()["load"][:-8]))
    assert list(later.data_vars) == ["load"]
    assert (later["time"].values == town()["time"].values[-8:]).all()
    stages = list(model.rollout(town().assign(load=town()["load"][:-16]), steps=2, samples=2))
    assert (stages[1]["time"].values == town()["time"].values[-8:]).all()
    with pytest.raises(ValueError, match="has no heat on"):
        model.forecast(town())
