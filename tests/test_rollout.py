"""Beyond the horizon doubt is carried on: bands hold what comes, and grow to what is usual."""

import itertools

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

from sciformer.domains.climate.adapter import Climate
from sciformer.ensemble import Member
from sciformer.forecaster import Forecaster
from sciformer.model import Sciformer, SciformerConfig
from sciformer.rollout import EVEN, SHARES, read
from sciformer.tasks.forecast import Forecast

CONFIG = SciformerConfig(width=8, depth=1, heads=2, dropout=0.0)
STATIONS, SEEN, HORIZON = 16, 300, 8
REMEMBERED = 0.9
"""From day to day."""


@pytest.fixture(scope="module")
def weather() -> xr.Dataset:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(SEEN + 3 * HORIZON, STATIONS))
    for i in range(1, len(values)):
        values[i] = REMEMBERED * values[i - 1] + np.sqrt(1 - REMEMBERED**2) * values[i]
    time = xr.date_range("2001-01-01", periods=len(values), freq="D")
    names = [f"s{j}" for j in range(STATIONS)]
    places = {"lat": ("station", np.full(STATIONS, 50.0)), "lon": ("station", np.arange(STATIONS, dtype=float))}
    units = {"lat": "degrees_north", "lon": "degrees_east"}
    coords = {"time": time, "station": names, **{k: (*x, {"units": units[k]}) for k, x in places.items()}}
    return xr.Dataset({"x": (("time", "station"), 3 * values.astype(np.float32), {"units": "K"})}, coords=coords)


@pytest.fixture(scope="module")
def model(weather) -> Forecaster:
    """Untrained, so that it answers what it starts from: kriging, which of this series is right."""
    adapter = Climate(variables=("x",), units=("K",), context=16, horizon=HORIZON, patch=4)
    adapter = adapter.fitted(list(adapter.read(weather.isel(time=slice(SEEN)))))
    torch.manual_seed(0)
    member = Member(Sciformer(CONFIG, {"climate": adapter}), Forecast(CONFIG, adapter))
    return Forecaster(adapter, [member.eval().requires_grad_(False)], {})


def test_bands_hold_what_comes_and_grow_to_what_is_usual(model, weather):
    stages = list(model.rollout(weather.isel(time=slice(SEEN)), steps=3, samples=10, level=0.9))
    later = xr.concat(stages, "time")["x"]
    assert (later["time"] == weather["time"][SEEN:]).all()
    lower, upper = later.sel(quantile=0.05), later.sel(quantile=0.95)
    kept = REMEMBERED ** np.arange(1, 3 * HORIZON + 1)[:, None]  # what is known of an AR(1) process after so many steps
    truth = stats.norm(kept * weather["x"].to_numpy()[SEEN - 1], 3 * np.sqrt(1 - kept**2))
    inside = (truth.cdf(upper) - truth.cdf(lower)).reshape(3, -1).mean(1)
    assert (inside > 0.84).all(), inside
    assert (inside < 0.96).all(), inside
    width = (upper - lower).mean("station")
    usual = 2 * 1.645 * np.mean(model.adapter.spreads)
    assert 0.9 * usual < float(width[-HORIZON:].mean()) < 1.2 * usual
    assert float(width[HORIZON]) > 0.9 * float(width[HORIZON - 1])  # nothing drawn is taken for observed
    xr.testing.assert_equal(stages[0]["x"], model.forecast(weather.isel(time=slice(SEEN)), level=0.9)["x"])


def test_a_seed_gives_the_same_paths_again(model, weather):
    one = weather.isel(time=slice(SEEN), station=[0])

    def second(seed: int) -> xr.DataArray:
        return list(itertools.islice(model.rollout(one, steps=5, samples=4, seed=seed), 2))[1]["x"]

    xr.testing.assert_equal(second(0), second(0))
    assert not second(0).equals(second(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "at least 1 step and 2 samples"),
        ({"steps": 2, "samples": 1}, "at least 1 step and 2 samples"),
        ({"steps": 2, "horizon": 4}, "leave out `horizon`"),
    ],
)
def test_a_rollout_that_cannot_be_is_refused(model, weather, options, message):
    with pytest.raises(ValueError, match=message):
        model.rollout(weather, **options)


def test_draws_hang_together_as_the_past_does(model, weather):
    record = next(model.adapter.read(weather))
    drawn = model.adapter.shares(record, model.adapter.questions(record), 400, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort((drawn * 400).astype(int), axis=0), np.arange(400)[:, None].repeat(8, 1))
    near, far = (np.corrcoef(drawn[:, 0], drawn[:, k])[0, 1] for k in (1, 7))
    assert near > 0.8
    assert far < near


def test_a_gaussian_is_read_exactly():
    curves = stats.norm(3, 2).ppf(SHARES)[None, None].repeat(2, 1)
    found = read(curves, EVEN[:, None].repeat(2, 1))
    np.testing.assert_allclose(found[1:-1, 0], stats.norm(3, 2).ppf(EVEN[1:-1]))
