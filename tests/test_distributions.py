"""Answers are proper distributions, checked against torch and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from sciformer.distributions import FAMILIES, Categorical, Gaussian, Quantiles

LEVELS = [0.5, 0.68, 0.8, 0.9, 0.95]


def raw(columns: int, rows: int = 20) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(rows, columns) * 3


def normal_quantiles(mean: float, std: float) -> Quantiles:
    values = stats.norm(mean, std).ppf(Quantiles.LEVELS)
    return Quantiles(torch.tensor(values, dtype=torch.float32).unsqueeze(0))


@pytest.mark.parametrize("level", LEVELS)
def test_a_gaussian_interval_holds_its_probability(level):
    answer = Gaussian.from_raw(raw(2))
    expected = stats.norm(answer.mean.numpy(), answer.std.numpy()).interval(level)
    for found, bound in zip(answer.interval(level), expected, strict=True):
        assert_close(found.double(), torch.from_numpy(np.asarray(bound)).double(), rtol=1e-5, atol=1e-5)


def test_the_gaussian_loss_is_the_likelihood_weighted_by_the_spread():
    answer, truth = Gaussian.from_raw(raw(2)), torch.linspace(-2, 2, 20)
    likelihood = -torch.distributions.Normal(answer.mean, answer.std).log_prob(truth)
    assert_close(answer.loss(truth), likelihood * answer.std)  # beta 0.5: the variance to the power of one half


def test_the_gaussian_loss_is_least_at_the_truth_and_its_spread():
    torch.manual_seed(0)
    truth = 3 + 2 * torch.randn(4000)
    mean, log_std = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([mean, log_std], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        Gaussian(mean.expand(4000), log_std.exp().expand(4000)).loss(truth).mean().backward()
        optimizer.step()
    assert_close(mean.item(), truth.mean().item(), atol=0.02, rtol=0)
    assert_close(log_std.exp().item(), truth.std().item(), atol=0.02, rtol=0)


def test_quantiles_never_cross():
    assert (Quantiles.from_raw(raw(len(Quantiles.LEVELS))).values.diff(dim=-1) > 0).all()


def test_the_quantile_loss_is_the_mean_pinball_loss_twice():
    from sklearn.metrics import mean_pinball_loss

    answer, truth = Quantiles.from_raw(raw(len(Quantiles.LEVELS))), torch.linspace(-2, 2, 20)
    each = [
        mean_pinball_loss(truth.numpy(), answer.values[:, j].numpy(), alpha=level)
        for j, level in enumerate(Quantiles.LEVELS)
    ]
    assert answer.loss(truth).mean().item() == pytest.approx(2 * np.mean(each), rel=1e-5)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_an_interval_at_learned_levels_is_exact(level):
    lower, upper = normal_quantiles(3.0, 2.0).interval(level)
    assert (lower.item(), upper.item()) == pytest.approx(stats.norm(3, 2).interval(level), rel=1e-5)


def test_quantiles_know_their_middle_and_their_spread():
    answer = normal_quantiles(3.0, 2.0)
    assert answer.mean.item() == pytest.approx(3.0)
    assert answer.std.item() == pytest.approx(2.0, rel=0.05)  # linear between the levels


@pytest.mark.parametrize("answer", [Gaussian.from_raw(raw(2)), Quantiles.from_raw(raw(len(Quantiles.LEVELS)))])
def test_other_units_move_and_stretch_everything(answer):
    moved = answer.affine(torch.tensor(5.0), torch.tensor(1000.0))
    assert_close(moved.mean, 5 + 1000 * answer.mean)
    assert_close(moved.std, 1000 * answer.std, rtol=1e-3, atol=1e-2)
    for found, bound in zip(moved.interval(0.9), answer.interval(0.9), strict=True):
        assert_close(found, 5 + 1000 * bound)


@pytest.mark.parametrize("family", FAMILIES.values())
def test_training_starts_from_the_standard_normal(family):
    answer = family.from_raw(family.raw_normal().unsqueeze(0))
    for level in (0.5, 0.8, 0.9, 0.95):
        assert [x.item() for x in answer.interval(level)] == pytest.approx(stats.norm.interval(level), rel=1e-5)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_an_error_widens_quantiles_of_a_gaussian_as_it_widens_the_gaussian(level):
    lower, upper = normal_quantiles(1.0, 3.0).widened(torch.tensor([4.0])).interval(level)
    assert (lower.item(), upper.item()) == pytest.approx(stats.norm(1, 5).interval(level), rel=1e-5)
    exact = Quantiles(torch.zeros(1, 9, requires_grad=True))  # a point, measured without error
    exact.widened(torch.zeros(1)).loss(torch.ones(1)).sum().backward()
    assert exact.values.grad is not None
    assert exact.values.grad.isfinite().all()


def test_one_logit_is_the_log_odds_of_the_second_class():
    logit = raw(1)
    answer = Categorical.from_raw(logit)
    assert_close(answer.probs[:, 1], logit[:, 0].sigmoid())
    assert torch.equal(answer.mode, (logit[:, 0] > 0).long())


def test_the_class_loss_is_the_cross_entropy():
    logits, truth = raw(3), torch.arange(20) % 3
    found = Categorical.from_raw(logits).loss(truth.float())
    assert_close(found, torch.nn.functional.cross_entropy(logits, truth, reduction="none"))


def test_a_gaussian_mixture_has_the_moments_of_the_mixture():
    first, second = (
        Gaussian(torch.tensor([0.0]), torch.tensor([1.0])),
        Gaussian(torch.tensor([4.0]), torch.tensor([2.0])),
    )
    mixed = Gaussian.mixture([first, second])
    assert mixed.mean.item() == pytest.approx(2.0)
    assert mixed.std.item() ** 2 == pytest.approx((1 + 4) / 2 + 4)  # mean variance + variance of the means


def test_class_and_quantile_mixtures_average():
    one, two = Categorical.from_raw(raw(3)), Categorical.from_raw(-raw(3))
    assert_close(Categorical.mixture([one, two]).probs, (one.probs + two.probs) / 2)
    three, four = normal_quantiles(0, 1), normal_quantiles(2, 1)
    assert_close(Quantiles.mixture([three, four]).values, normal_quantiles(1, 1).values, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", [Gaussian, Quantiles, Categorical])
def test_an_ensemble_of_equals_is_its_member(family):
    answer = family.from_raw(raw({Gaussian: 2, Quantiles: len(Quantiles.LEVELS), Categorical: 3}[family]))
    for found, expected in zip(vars(family.mixture([answer] * 3)).values(), vars(answer).values(), strict=True):
        assert_close(found, expected, atol=1e-5, rtol=1e-5)
