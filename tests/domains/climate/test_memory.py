"""Kriging is the conditional mean of a Gaussian whose covariance was measured."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from sciformer.domains.climate import memory
from sciformer.domains.climate.memory import Memory, variogram


def walk(n: int, seed: int, decay: float = 0.9) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    for i in range(1, n):
        x[i] = decay * x[i - 1] + np.sqrt(1 - decay**2) * x[i]
    return x


def test_kriging_is_a_gaussian_process_with_that_covariance():
    kernel = Matern(length_scale=8.0, nu=0.5)
    known = Memory(np.exp(-np.arange(60) / 8.0), 0.1, 60)
    seen, asked = np.array([0.0, 1, 2, 5, 9, 14, 15]), np.array([3.0, 7, 20, 40])
    values = np.random.default_rng(0).normal(size=(7, 2))
    mean, std = known.krige(seen, values, asked)
    process = GaussianProcessRegressor(kernel, alpha=0.1 + 1e-8, optimizer=None)
    expected, spread = process.fit(seen[:, None], values).predict(asked[:, None], return_std=True)
    assert_allclose(mean, expected, atol=1e-6)
    assert_allclose(std**2, spread[:, 0] ** 2 + 0.1, atol=1e-6)


def test_a_variogram_of_gappy_series_counts_the_pairs_that_are_there():
    rng = np.random.default_rng(1)
    lines = [np.where(rng.random(50) < 0.3, np.nan, rng.normal(size=50)) for _ in range(3)]
    gamma, pairs = variogram(lines, 6)
    for lag in range(7):
        squares = np.concatenate([(x[lag:] - x[: len(x) - lag]) ** 2 for x in lines])
        assert pairs[lag] == np.isfinite(squares).sum()
        assert_allclose(gamma[lag], np.nanmean(squares) / 2, atol=1e-12)


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_a_memory_that_was_measured_forecasts_as_well_as_the_true_one(gaps):
    rng = np.random.default_rng(2)
    lines = [walk(600, i) for i in range(4)]
    known = memory.fit([np.where(rng.random(600) < gaps, np.nan, x) for x in lines], 20, 5)
    fresh = walk(4000, 9)
    errors, best = [], []
    for start in range(0, 3900, 25):
        window, ahead = fresh[start : start + 20], fresh[start + 20 : start + 25]
        mean, _ = known.krige(np.arange(20.0), window[:, None], np.arange(20.0, 25.0))
        errors.append((mean[:, 0] - ahead) ** 2)
        best.append((window[-1] * 0.9 ** np.arange(1, 6) - ahead) ** 2)
    assert np.mean(errors) < 1.1 * np.mean(best)


def test_of_nothing_seen_nothing_but_the_normal_is_expected():
    known = Memory(np.array([1.0, 0.5, 0.2]), 0.0, 3)
    mean, std = known.krige(np.zeros(0), np.zeros((0, 1)), np.array([1.0, 2.0]))
    assert not mean.any()
    assert_allclose(std, 1.0)


def test_only_what_is_near_a_question_is_asked():
    near, far = np.array([10.0, 11, 12, 13]), np.array([0.0, 1.0])
    known = Memory(np.exp(-np.arange(30) / 5.0), 0.01, 4)
    values = np.random.default_rng(0).normal(size=(6, 1))
    whole = known.krige(np.concatenate([far, near]), values, np.array([14.0]))
    alone = known.krige(near, values[2:], np.array([14.0]))
    assert_allclose(whole[0], alone[0])
