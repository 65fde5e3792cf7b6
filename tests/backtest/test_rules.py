"""Scores are what their definitions say, and no family of answers looks better than another by how it is written."""

import itertools

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from sciformer.backtest.rules import crps
from sciformer.distributions import Gaussian, Quantiles


def gaussian(mean, std) -> Gaussian:
    return Gaussian(torch.as_tensor(mean, dtype=torch.float64), torch.as_tensor(std, dtype=torch.float64))


def quantiles(mean, std) -> Quantiles:
    """Those of Gaussians."""
    return Quantiles(torch.from_numpy(stats.norm.ppf(Quantiles.LEVELS, mean[:, None], std[:, None])))


def closed_form(mean, std, truth) -> np.ndarray:
    """Gneiting & Raftery 2007, section 4.2."""
    z = (truth - mean) / std
    return std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)


def test_of_a_gaussian_the_crps_is_its_closed_form():
    rng = np.random.default_rng(0)
    mean, std, truth = rng.normal(size=500), rng.uniform(0.01, 3, 500), rng.normal(size=500) * 5
    np.testing.assert_allclose(crps(gaussian(mean, std), truth), closed_form(mean, std, truth), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("truth", [-3.0, -0.4, 0.0, 0.9, 5.0])
def test_of_quantiles_the_crps_is_the_integral_that_defines_it(truth):
    answer = Quantiles.from_raw(torch.linspace(-1, 1, len(Quantiles.LEVELS), dtype=torch.float64)[None])
    levels, values = np.array(Quantiles.LEVELS), answer.values[0].numpy()

    def gap(x: float) -> float:
        """The levels rise in straight lines, with what is left at both ends."""
        return (np.interp(x, values, levels, left=0.0, right=1.0) - (x >= truth)) ** 2

    corners = sorted({*values.tolist(), truth})
    whole = sum(integrate.quad(gap, a, b)[0] for a, b in itertools.pairwise(corners))
    assert crps(answer, np.array([truth]))[0] == pytest.approx(whole, rel=2e-3)


def test_both_families_are_scored_on_one_scale():
    """The same answers as quantiles score like the Gaussians: never better, worse by what nine levels leave unsaid."""
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=20_000), rng.uniform(0.5, 2.0, 20_000)
    truth = mean + std * rng.normal(size=20_000)
    whole, few = crps(gaussian(mean, std), truth).mean(), crps(quantiles(mean, std), truth).mean()
    assert whole < few < 1.01 * whole


def test_errors_of_measurements_widen_both_families_alike():
    mean, std, error = np.zeros(3), np.ones(3), np.array([0.0, 0.5, 4.0])
    wide = gaussian(mean, std).widened(torch.tensor(error))
    np.testing.assert_allclose(wide.std.numpy(), np.hypot(1, error))
    np.testing.assert_allclose(
        quantiles(mean, std).widened(torch.tensor(error)).values.numpy(),
        quantiles(mean, wide.std.numpy()).values.numpy(),
        atol=1e-12,
    )
    skewed = Quantiles.from_raw(torch.randn(5, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    torch.testing.assert_close(skewed.widened(torch.tensor(np.zeros(5))).values, skewed.values)
    assert (skewed.widened(torch.tensor(np.full(5, 0.3))).values.diff(dim=-1) > 0).all()
