"""Answers never leave what is possible."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import integrate, stats

from sciformer.backtest.rules import crps
from sciformer.distributions import Gaussian, Quantiles
from sciformer.domains.climate.limits import limits
from sciformer.domains.climate.series import Series, Variable


def series(values: np.ndarray, **attributes: object) -> Series:
    empty = xr.Dataset({"x": ((), np.float32(np.nan), attributes)})
    laid = np.asarray(values, dtype=np.float32).reshape(-1, 1, 1, 1)
    place, time = np.array([np.nan]), np.arange(float(len(laid)))
    return Series(time=time, values=laid, variables=(Variable("x"),), lat=place, lon=place, labels=empty)


@pytest.mark.parametrize(
    ("attributes", "told", "expected"),
    [
        ({}, {}, (None, None)),
        ({"standard_name": "precipitation_flux"}, {}, (0.0, None)),
        ({"standard_name": "relative_humidity", "units": "%"}, {}, (0.0, 100.0)),
        ({"standard_name": "relative_humidity", "units": ""}, {}, (0.0, None)),  # nobody knows what all of it is
        ({"standard_name": "wind_speed", "valid_max": 75.0}, {}, (0.0, 75.0)),
        ({"valid_range": np.array([0.0, 20.0])}, {}, (0.0, 20.0)),
        ({"standard_name": "wind_speed"}, {"x": "..60"}, (None, 60.0)),
        ({"standard_name": "wind_speed"}, {"x": ".."}, (None, None)),
    ],
)
def test_limits_are_told_by_options_and_attributes(attributes, told, expected):
    found, notes = limits([series(np.arange(10.0), **attributes)], told)
    assert found == {"x": expected}
    assert not notes


def test_a_limit_that_values_pass_moves_or_goes():
    rain = np.arange(10.0)
    rain[3] = -1e-6
    assert limits([series(rain, standard_name="rainfall_flux")], {})[0]["x"] == (pytest.approx(-1e-6), None)
    rain[3] = -2
    found, notes = limits([series(rain, standard_name="rainfall_flux")], {})
    assert found["x"] == (None, None)
    assert notes == ["x reaches -2, beyond its limit 0, which is not kept to"]
    for told, message in (
        ({"x": "0.."}, r"data\.bounds\.x 0\.\.: but values reach -2"),
        ({"x": "9..3"}, r"must be like 0\.\. or 0\.\.100"),
        ({"x": "12"}, r"must be like 0\.\. or 0\.\.100"),
        ({"y": "0:"}, "there is no such variable, but x"),
    ):
        with pytest.raises(ValueError, match=message):
            limits([series(rain)], told)


@pytest.mark.parametrize("truth", [0.0, 0.4, 1.0])
def test_crps_within_limits_is_that_of_what_is_cut_off(truth):
    def function(x: float) -> float:
        return 0.0 if x < 0 else 1.0 if x >= 1 else float(stats.norm.cdf(x, 0.2, 0.5))

    ends = [(-3.0, 0.0), (0.0, truth), (truth, 1.0), (1.0, 3.0)]
    expected = sum(integrate.quad(lambda x: (function(x) - (x >= truth)) ** 2, *pair)[0] for pair in ends)
    at = np.array([truth])
    mean, std = (torch.tensor([x], dtype=torch.float64) for x in (0.2, 0.5))
    assert crps(Gaussian(mean, std), at, 0.0, 1.0)[0] == pytest.approx(expected, abs=1e-4)
    values = torch.tensor(stats.norm(0.2, 0.5).ppf(Quantiles.LEVELS))[None]
    assert crps(Quantiles(values), at, 0.0, 1.0)[0] == pytest.approx(expected, rel=0.03)
