"""The period search: what is found agrees with a direct search, and knows neither epoch nor order."""

import numpy as np
import pytest

from sciformer.domains.lightcurve.period import Periodograms, Series, fold, lomb_scargle, peaks

TOOLS = Periodograms()


def star(n: int = 150, period: float = 0.7312, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Times in multiples of 1/1024 day, bands, values and errors of a skew pulsator, brightest at time 0."""
    rng = np.random.default_rng(seed)
    time = np.unique(np.round(rng.uniform(0, 400, n) * 1024)) / 1024
    band = rng.choice(["g", "r"], len(time))
    angle = 2 * np.pi * time / period
    error = rng.uniform(0.01, 0.05, len(time))
    value = np.where(band == "g", 5.0, 2.0) + np.cos(angle) + 0.4 * np.cos(2 * angle + 1)
    return time, band, value + error * rng.standard_normal(len(time)), error


def test_peaks_agree_with_a_direct_search():
    """The fast candidates lose nothing: astropy on the whole, fine grid finds no higher power."""
    from astropy.timeseries import LombScargle

    time, _, value, error = (x[star(80)[1] == "g"] for x in star(80))
    series = Series.of(time, value, error)
    frequency, power = lomb_scargle(series, TOOLS)
    assert (np.diff(power) <= 0).all()
    grid = np.arange(0.005, 20, 1e-4)
    direct = LombScargle(series.t, series.value, series.error).power(grid)
    assert power[0] == pytest.approx(direct.max(), rel=0.02)
    assert frequency[0] == pytest.approx(grid[direct.argmax()], rel=1e-3)


@pytest.mark.parametrize("period", [0.0713, 0.7312, 13.7])
def test_a_fold_has_the_period_and_begins_at_the_maximum(period):
    time, *rest = star(period=period)
    found = fold(time, *rest, TOOLS)
    assert found is not None
    assert found.period == pytest.approx(period, rel=2e-3)
    assert found.power > 0.6
    middle = np.round(time.mean() / period) * period  # where an error of the period does not count
    assert abs(np.angle(np.exp(1j * found.phase(np.array([middle]))))) < 0.2


def test_the_shape_of_the_cycle_is_that_of_the_star():
    """1 + 0.4 at twice the frequency, one radian ahead."""
    time, band, value, error = star()
    found = fold(time, band, value, error, TOOLS)
    assert found is not None
    assert np.linalg.norm(found.shape) == pytest.approx(1)
    assert found.shape[0].imag == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.shape[:2] / found.shape[0], [1, 0.4 * np.exp(1j)], atol=0.03)
    level = np.where(band == "g", 5.0, 2.0)
    assert np.corrcoef(found.at(time), value - level)[0, 1] > 0.99
    assert found.explained > 0.98
    assert found.odd < 0.1


def test_a_binary_is_known_by_cycles_that_differ():
    time, band, value, error = star()
    eclipses = -np.exp(-(((time / 1.4 % 1 - 0.5) / 0.05) ** 2)) - 0.5 * np.exp(-(((time / 1.4 % 1) / 0.05) ** 2))
    found = fold(time, band, 0.02 * value / value.std() + eclipses, error, TOOLS)
    assert found is not None
    assert found.odd > 0.3


def test_a_fold_knows_neither_the_epoch_nor_the_order():
    time, band, value, error = star()
    here = fold(time, band, value, error, TOOLS)
    there = fold(time + 54_321.0, band, value, error, TOOLS)
    assert here is not None
    assert there is not None
    np.testing.assert_allclose(np.cos(there.phase(time + 54_321.0)), np.cos(here.phase(time)), atol=1e-6)
    mixed = np.random.default_rng(1).permutation(len(time))
    again = fold(*(x[mixed] for x in (time, band, value, error)), TOOLS)
    assert again is not None
    np.testing.assert_allclose([again.period, again.power], [here.period, here.power], rtol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_few_points_have_no_period(n):
    assert fold(*(x[:n] for x in star()), TOOLS) is None


@pytest.mark.parametrize("which", [0, 2])
def test_what_does_not_vary_has_no_period(which):
    parts = list(star())
    parts[which] = np.full_like(parts[which], 3.0)
    assert fold(*parts, TOOLS) is None


def test_unknown_errors_are_no_obstacle():
    time, band, value, _ = star()
    found = fold(time, band, value, np.full(len(time), np.nan), TOOLS)
    assert found is not None
    assert found.period == pytest.approx(0.7312, rel=1e-3)


def test_the_first_peak_explains_most_and_the_others_fall_in_power():
    time, _, value, error = star()
    found = peaks(Series.of(time, value, error), TOOLS)
    assert found[0].explained == max(peak.explained for peak in found)
    assert sorted((peak.power for peak in found[1:]), reverse=True) == [peak.power for peak in found[1:]]
