import dataclasses

import numpy as np
import pytest

from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.gp import MAX_POINTS, constant, gaussian_process

FORECASTS = (constant, gaussian_process)


def slow(n: int = 80, noise: float = 0.1, seed: int = 0, bands: str = "gr") -> Curve:
    """A smooth curve seen in bands with levels of their own and unequal errors."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, 100, n))
    band = rng.choice(list(bands), n).astype(object)
    error = noise * rng.uniform(0.5, 1.5, n)
    return Curve(time=time, band=band, value=light(time, band) + error * rng.standard_normal(n), error=error)


def light(time: np.ndarray, band: np.ndarray) -> np.ndarray:
    return np.sin(time / 8) + np.where(np.asarray(band) == "g", 10.0, 12.0)


def still(n: int, error: float, seed: int = 0) -> Curve:
    rng = np.random.default_rng(seed)
    value = 5 + error * rng.standard_normal(n)
    return Curve(time=np.arange(n, dtype=float), band=np.full(n, "g", object), value=value, error=np.full(n, error))


def test_constant_is_the_weighted_mean_of_each_band():
    curve = slow()
    mean, std = constant(curve, [0.0, 1e6, 3.0], ["g", "g", "r"])
    for band, got in (("g", mean[0]), ("r", mean[2])):
        at = curve.band == band
        assert got == pytest.approx(np.average(curve.value[at], weights=curve.error[at] ** -2))
    assert mean[0] == mean[1]
    assert std[0] == pytest.approx(np.std(curve.value[curve.band == "g"]), rel=0.2)


def test_constant_knows_a_star_that_does_not_vary_to_its_errors():
    """Scatter that the errors explain is not the star's: what is left is the uncertainty of the mean."""
    z = []
    for seed in range(300):
        mean, std = constant(still(30, 0.3, seed), [0.0], ["g"])
        z.append((mean[0] - 5) / std[0])
        assert std[0] < 0.3
    assert 0.7 < np.std(z) < 1.1


def test_constant_of_a_varying_star_covers_future_measurements():
    curve = slow(600, noise=0.4)
    mean, std = constant(curve, curve.time, curve.band)
    z = (curve.value - mean) / np.hypot(std, curve.error)
    assert np.std(z) == pytest.approx(1.0, abs=0.1)


def test_gaussian_process_beats_the_constant_between_points_and_says_how_sure_it_is():
    curve = slow(200)
    time, band = np.linspace(2, 98, 150), np.resize(["g", "r"], 150)
    truth = light(time, band)
    mean, std = gaussian_process(curve, time, band)
    error = np.sqrt(np.mean((mean - truth) ** 2))
    assert error < 0.1 * np.sqrt(np.mean((constant(curve, time, band)[0] - truth) ** 2))
    assert 0.5 < np.sqrt(np.mean(((mean - truth) / std) ** 2)) < 2


def test_gaussian_process_returns_to_the_constant_far_away():
    curve = slow(200)
    mean, std = gaussian_process(curve, [50_000.0], ["g"])
    assert mean[0] == pytest.approx(constant(curve, [0.0], ["g"])[0][0], abs=0.05)
    assert std[0] > 0.4


def test_a_band_learns_from_its_neighbours():
    curve = slow(300, noise=0.02)
    late = (curve.band == "r") & (curve.time > 50)
    kept = Curve(**{k: getattr(curve, k)[~late] for k in ("time", "band", "value", "error")})
    time = np.linspace(60, 95, 40)
    mean, _ = gaussian_process(kept, time, np.full(40, "r"))
    assert np.corrcoef(mean, light(time, np.full(40, "r")))[0, 1] > 0.95


@pytest.mark.parametrize("forecast", FORECASTS)
def test_the_unit_and_the_epoch_do_not_matter(forecast):
    curve = slow()
    time, band = np.linspace(0, 120, 20), np.resize(["g", "r"], 20)
    mean, std = forecast(curve, time, band)
    other = dataclasses.replace(curve, time=curve.time + 55_000, value=1e4 * curve.value, error=1e4 * curve.error)
    mean2, std2 = forecast(other, time + 55_000, band)
    np.testing.assert_allclose(mean2, 1e4 * mean, rtol=1e-3)
    np.testing.assert_allclose(std2, 1e4 * std, rtol=1e-2)


@pytest.mark.parametrize("forecast", FORECASTS)
def test_answers_are_repeatable_and_do_not_depend_on_each_other(forecast):
    curve = slow(MAX_POINTS + 50)
    time, band = np.linspace(0, 120, 6), np.resize(["g", "r"], 6)
    mean, std = forecast(curve, time, band)
    again = forecast(curve, time, band)
    np.testing.assert_array_equal(mean, again[0])
    np.testing.assert_array_equal(std, again[1])
    one = forecast(curve, time[2:3], band[2:3])
    np.testing.assert_allclose([one[0][0], one[1][0]], [mean[2], std[2]], rtol=1e-6)


@pytest.mark.parametrize("forecast", FORECASTS)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("error", ["known", "unknown", "zero"])
def test_few_points_and_unknown_errors_are_answered(forecast, n, error):
    curve = slow(n)
    if error != "known":
        curve = dataclasses.replace(curve, error=np.full(n, np.nan if error == "unknown" else 0.0))
    mean, std = forecast(curve, [0.0, 50.0, 200.0], ["g", "r", "z"])
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert (std >= 0).all()


@pytest.mark.parametrize("forecast", FORECASTS)
def test_a_flat_curve_is_answered_flat(forecast):
    curve = dataclasses.replace(still(20, 0.1), value=np.full(20, 5.0))
    mean, std = forecast(curve, [3.0], ["g"])
    assert mean[0] == 5.0
    assert 0 < std[0] < 0.1


@pytest.mark.parametrize("forecast", FORECASTS)
def test_no_question_has_no_answer(forecast):
    mean, std = forecast(slow(), [], [])
    assert mean.shape == std.shape == (0,)


@pytest.mark.parametrize("forecast", FORECASTS)
def test_what_cannot_be_answered_is_refused(forecast):
    with pytest.raises(ValueError, match="at least 1 observation"):
        forecast(slow(0), [1.0], ["g"])
    with pytest.raises(ValueError, match="2 times and 1 bands"):
        forecast(slow(), [1.0, 2.0], ["g"])
