"""Decay, schedule and settings of the optimiser."""

import itertools

import pytest
from torch import nn

from sciformer.optim import OptimConfig, parameter_groups, warmup_cosine


def test_only_matrices_decay_and_frozen_weights_take_no_part():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    module[2].weight.requires_grad_(False)
    decayed, free = parameter_groups(module, 0.1)
    assert decayed["weight_decay"] == 0.1
    assert free["weight_decay"] == 0.0
    assert [id(p) for p in decayed["params"]] == [id(module[0].weight)]
    assert {id(p) for p in free["params"]} == {id(p) for p in module.parameters() if p.ndim == 1}


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    factors = [warmup_cosine(step, 100, 0.1) for step in range(101)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(factors) == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.9])
def test_the_shortest_trainings_have_a_schedule(total, warmup):
    factors = [warmup_cosine(step, total, warmup) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"lr": 0.0}, {"warmup": 1.0}, {"ema": 1.0}, {"warmup": -0.1}])
def test_settings_that_cannot_train_are_refused(changes):
    with pytest.raises(ValueError, match="need epochs >= 1"):
        OptimConfig(**changes)


@pytest.mark.parametrize("changes", [{"weight_decay": -0.1}, {"clip": -1.0}, {"patience": -1}])
def test_negative_settings_are_refused(changes):
    with pytest.raises(ValueError, match="must not be negative"):
        OptimConfig(**changes)
