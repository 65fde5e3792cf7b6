"""Low-rank updates start at nothing, learn alone, merge without a trace and agree with the reference library."""

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sciformer.domains.molecule import adapter as Molecule
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.attention import SelfAttention, may_attend
from sciformer.nn.block import Block, FeedForward
from sciformer.nn.lora import LoraLinear, factors, inject, load_factors, merge
from sciformer.tokens import Example, collate

CONFIG = SciformerConfig(width=16, depth=2, heads=2, dropout=0.0)


def tokens():
    molecule = Molecule()
    records = molecule.read(["CCO", "CCC", "c1ccccc1", "CCN"])
    return collate([Example(key=r.key, tokens={"molecule": molecule.tokenize(r)}) for r in records]).tokens


def model(**changes) -> Sciformer:
    torch.manual_seed(0)
    return Sciformer(dataclasses.replace(CONFIG, **changes), {"molecule": Molecule()}).eval()


def adapted(rank: int = 4, alpha: float = 8, **changes) -> Sciformer:
    """With factors as if they had been trained."""
    made = model(**changes)
    inject(made, rank, alpha)
    torch.manual_seed(1)
    load_factors(made, {name: torch.randn_like(x) for name, x in factors(made).items()})
    return made


@torch.no_grad()  # with gradients, a frozen pair bias takes another attention kernel, which rounds otherwise
@pytest.mark.parametrize("bias", [True, False])
def test_untrained_the_answers_are_those_of_the_base(bias):
    made = model(bias=bias)
    before = made(tokens()).states
    inject(made, rank=4, alpha=8)
    assert torch.equal(made(tokens()).states, before)


@pytest.mark.parametrize("changes", [{}, {"bias": False}, {"activation": "swiglu"}, {"backbone": "hybrid", "depth": 3}])
def test_merged_the_answers_are_those_of_base_and_factors(changes):
    made = adapted(alpha=0.1, **changes)
    states = made(tokens()).states
    assert (states - model(**changes)(tokens()).states).abs().max() > 1e-3
    merge(made)
    assert_close(made(tokens()).states, states, atol=1e-6, rtol=0)
    assert made.state_dict().keys() == model(**changes).state_dict().keys()
    assert factors(made) == {}


def test_the_merged_weight_is_that_of_equation_3():
    torch.manual_seed(0)
    base = nn.Linear(5, 7, dtype=torch.float64)
    layer = LoraLinear(base, rank=2, alpha=3)
    nn.init.normal_(layer.up)
    merged = layer.merged()
    assert merged.weight.dtype == layer.down.dtype == layer.up.dtype == torch.float64
    assert torch.equal(merged.bias, base.bias)
    assert_close(merged.weight, base.weight + 3 / 2 * layer.up @ layer.down)
    x = torch.randn(4, 5, dtype=torch.float64)
    assert_close(merged(x), layer(x))


def test_merging_a_model_without_updates_changes_nothing():
    made = model()
    merge(made)
    assert_close(made.state_dict(), model().state_dict(), atol=0, rtol=0)


def test_the_factors_learn_and_nothing_else_does():
    made = adapted().train()
    made(tokens()).states.square().mean().backward()
    learning = {name for name, p in made.named_parameters() if p.requires_grad}
    assert learning == set(factors(made))
    assert len(learning) == 2 * 4 * CONFIG.depth
    for name, p in made.named_parameters():
        assert (p.grad is not None and bool(p.grad.any())) == (name in learning), name


def test_training_from_zero_moves_the_answers():
    made = model()
    inject(made, rank=2, alpha=2)
    before = made(tokens()).states.detach()
    optimizer = torch.optim.SGD((p for p in made.parameters() if p.requires_grad), lr=0.1)
    (made(tokens()).states * torch.linspace(0, 1, CONFIG.width)).mean().backward()
    optimizer.step()
    assert (made(tokens()).states - before).abs().max() > 1e-5


def test_loaded_factors_give_the_same_answers():
    saved = {name: x.clone() for name, x in factors(adapted()).items()}
    torch.manual_seed(2)
    other = model()
    inject(other, rank=4, alpha=8)
    load_factors(other, saved)
    assert torch.equal(other(tokens()).states, adapted()(tokens()).states)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("blocks.0.attention.qkv.up"), r"blocks\.0\.attention\.qkv\.up is missing"),
        (lambda w: w.update(other=torch.zeros(1)), "other is unexpected"),
        (
            lambda w: w.update({"blocks.1.feed_forward.down.down": torch.zeros(8, 64)}),
            r"blocks\.1\.feed_forward\.down\.down has shape \(8, 64\), not \(4, 64\).*with the same rank",
        ),
    ],
)
def test_factors_of_another_model_are_refused_and_change_nothing(change, message):
    made = adapted()
    weights = {name: torch.zeros_like(x) for name, x in factors(made).items()}
    change(weights)
    with pytest.raises(ValueError, match=message):
        load_factors(made, weights)
    assert_close(factors(made), factors(adapted()), atol=0, rtol=0)


@pytest.mark.parametrize("changes", [{"backbone": "gru"}, {"backbone": "cnn"}, {"backbone": "hybrid", "depth": 2}])
def test_a_model_without_attention_blocks_has_nothing_to_adapt(changes):
    made = model(**changes)
    with pytest.raises(ValueError, match=r'has none .* mode "full" or "head"'):
        inject(made, rank=4, alpha=8)
    assert all(p.requires_grad for p in made.parameters())


def test_a_model_is_adapted_once_until_merged():
    made = adapted()
    with pytest.raises(ValueError, match="merge them before"):
        inject(made, rank=4, alpha=8)
    merge(made)
    inject(made, rank=2, alpha=8)
    assert len(factors(made)) == 16


@pytest.mark.parametrize("rank", [0, -1, 17])
def test_a_rank_that_cannot_be_is_refused(rank):
    made = model()
    with pytest.raises(ValueError, match=rf"must lie in 1\.\.16.*got {rank}"):
        inject(made, rank, alpha=8)
    assert all(p.requires_grad for p in made.parameters())


@pytest.mark.parametrize("alpha", [0, -1.0, float("inf"), float("nan")])
def test_an_alpha_that_cannot_be_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be positive and finite"):
        inject(model(), rank=4, alpha=alpha)


def test_answers_gradients_and_merged_weights_are_those_of_peft():
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    attention = SelfAttention(16, 2, bias=True, causal=False)
    block = Block(attention, FeedForward(16, 2.0, "gelu", bias=True), lambda: nn.LayerNorm(16), dropout=0.0)
    own = copy.deepcopy(block.double())
    inject(own, rank=4, alpha=6)
    load_factors(own, {name: torch.randn_like(x) for name, x in factors(own).items()})
    config = peft.LoraConfig(r=4, lora_alpha=6, target_modules=["qkv", "out", "up", "down"])
    theirs = peft.inject_adapter_in_model(config, block)
    places = [name.removesuffix(".up") for name in factors(own) if name.endswith(".up")]
    assert len(places) == 4
    pairs = [
        (getattr(own.get_submodule(place), factor), getattr(theirs.get_submodule(place), matrix).default.weight)
        for place in places
        for factor, matrix in (("down", "lora_A"), ("up", "lora_B"))
    ]
    for ours, other in pairs:
        assert other.dtype == ours.dtype == torch.float64
        other.data.copy_(ours.data)
    x, sample = torch.randn(2, 5, 16, dtype=torch.float64), torch.zeros(2, 5, dtype=torch.long)
    answers = [layer(x, may_attend(sample, sample)) for layer in (own, theirs)]
    assert_close(answers[0], answers[1], atol=1e-10, rtol=1e-10)
    for answer in answers:
        answer.square().mean().backward()
    for ours, other in pairs:
        assert_close(ours.grad, other.grad, atol=1e-10, rtol=1e-10)
    assert {p for p in theirs.parameters() if p.requires_grad} == {other for _, other in pairs}
    merge(own)
    for place in places:
        layer = theirs.get_submodule(place)
        layer.merge()
        assert_close(own.get_submodule(place).weight, layer.base_layer.weight, atol=1e-10, rtol=1e-10)
