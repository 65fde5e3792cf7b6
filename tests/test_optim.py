"""Decay, schedule and settings of the optimiser."""

import itertools

import pytest
import torch
from torch import nn

from sciformer.domains.molecule import adapter as Molecule
from sciformer.model import Sciformer, SciformerConfig
from sciformer.optim import OptimConfig, layer_of, layer_rates, parameter_groups, warmup_cosine
from sciformer.tasks.property import Property
from sciformer.tokens import Target
from sciformer.training import SciformerModule

DEPTH = 3


def module(rate=None) -> SciformerModule:
    torch.manual_seed(0)
    config = SciformerConfig(width=16, depth=DEPTH, heads=2)
    model, task = Sciformer(config, {"molecule": Molecule()}), Property(config, [Target("y")])
    return SciformerModule(model, task, OptimConfig(lr=0.1, weight_decay=0.5, warmup=0.0), 10, 0, rate)


def test_only_matrices_decay_and_frozen_weights_take_no_part():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    module[2].weight.requires_grad_(False)
    decayed, free = parameter_groups(module, 0.1)
    assert decayed["weight_decay"] == 0.1
    assert free["weight_decay"] == 0.0
    assert [id(p) for p in decayed["params"]] == [id(module[0].weight)]
    assert {id(p) for p in free["params"]} == {id(p) for p in module.parameters() if p.ndim == 1}


@pytest.mark.parametrize("decay", [None, 0.5, 1.0])
def test_groups_hold_every_trainable_parameter_once(decay):
    made = module()
    frozen = [*made.model.blocks[0].parameters(), made.model.norm.weight]
    for p in frozen:
        p.requires_grad_(False)
    groups = parameter_groups(made, 0.1, None if decay is None else layer_rates(DEPTH, decay))
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in made.parameters()} - {id(p) for p in frozen}
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] == 0.1) for p in group["params"])
    assert [group["lr_factor"] for group in groups] == sorted((g["lr_factor"] for g in groups), reverse=True)
    assert len(groups) == (7 if decay == 0.5 else 2)  # what reads the tokens has matrices only


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("task.head.amount.weight", 0),
        ("model.norm.weight", 1),
        ("model.blocks.2.norm_attention.weight", 1),
        ("model.blocks.1.attention.qkv.down", 2),
        ("model.blocks.0.feed_forward.up.base.bias", 3),
        ("model.embedders.molecule.ids.weight", 4),
        ("model.pair_biases.molecule.tables.0.weight", 4),
        ("model.pair_censuses.molecule.tables.0.weight", 4),
    ],
)
def test_rates_fall_from_the_task_to_the_tokens(name, power):
    assert layer_rates(DEPTH, 0.7)(name) == pytest.approx(0.7**power)


def test_the_backbone_as_a_whole_learns_at_its_own_rate():
    rates = layer_rates(DEPTH, 0.5, 0.1)
    assert rates("task.head.out.weight") == 1
    assert rates("model.norm.weight") == pytest.approx(0.1 * 0.5)
    assert rates("model.embedders.molecule.ids.weight") == pytest.approx(0.1 * 0.5 ** (DEPTH + 1))


def test_every_parameter_of_a_module_is_of_a_layer():
    assert {layer_of(name, DEPTH) for name, _ in module().named_parameters()} == set(range(DEPTH + 2))


@pytest.mark.parametrize("name", ["model.blocks.3.norm.weight", "blocks.0.norm.weight", "model.other.weight"])
def test_a_parameter_that_is_in_no_layer_is_refused(name):
    with pytest.raises(ValueError, match=rf"one of 3 blocks.*got '{name}'"):
        layer_of(name, DEPTH)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.1, float("nan")])
def test_a_decay_that_cannot_be_is_refused(decay):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\], got"):
        layer_rates(DEPTH, decay)
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\], got"):
        layer_rates(DEPTH, 1.0, decay)


def test_a_step_moves_each_layer_by_its_rate():
    """The first step of Adam is as long as the learning rate, whatever the gradient."""
    made = module(layer_rates(DEPTH, 0.5))
    made.optim = OptimConfig(lr=0.1, weight_decay=0.0, warmup=0.0)
    optimizer = made.configure_optimizers()["optimizer"]
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    for p in made.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    for name, p in made.named_parameters():
        expected = torch.full_like(p, 0.1 * 0.5 ** (DEPTH + 1 - layer_of(name, DEPTH)))
        torch.testing.assert_close(before[name] - p, expected, atol=1e-6, rtol=1e-3)


def test_the_schedule_keeps_the_ratio_of_the_rates():
    configured = module(layer_rates(DEPTH, 0.5)).configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for step in range(1, 4):
        optimizer.step()
        schedule.step()
        rates = [group["lr"] for group in optimizer.param_groups]
        powers = [0, 0, 1, 1, 2, 2, 3, 3, 4]
        assert rates == pytest.approx([0.1 * warmup_cosine(step, 10, 0.0) * 0.5**power for power in powers])


def test_without_rates_all_learn_alike():
    optimizer = module().configure_optimizers()["optimizer"]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]


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
