"""A convolutional backbone keeps the laws that do not ask for attention, and sees its neighbours alone."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sciformer.nn.convolution import ConvolutionBlock

N, D = 7, 12
KERNEL = ConvolutionBlock.KERNEL


def block(*, causal: bool = False) -> ConvolutionBlock:
    torch.manual_seed(0)
    return ConvolutionBlock(D, lambda: nn.LayerNorm(D), 0.0, causal=causal).eval()


def one(n: int) -> torch.Tensor:
    return torch.zeros(1, n, dtype=torch.long)


@pytest.mark.parametrize("causal", [False, True])
def test_packed_padded_and_alone_give_the_same(causal):
    layer, x = block(causal=causal), torch.randn(N, D)
    first, second = x[:3], x[3:]
    alone = [layer(part.unsqueeze(0), one(len(part)))[0] for part in (first, second)]
    packed = layer(x.unsqueeze(0), torch.tensor([[0] * 3 + [1] * 4]))[0]
    assert_close(packed, torch.cat(alone))
    padded = torch.randn(2, 5, D)  # padding may hold anything
    padded[0, :3], padded[1, :4] = first, second
    found = layer(padded, torch.tensor([[0, 0, 0, -1, -1], [0, 0, 0, 0, -1]]))
    assert_close(found[0, :3], alone[0])
    assert_close(found[1, :4], alone[1])


def test_tokens_of_a_sample_need_not_lie_side_by_side():
    layer, x = block(), torch.randn(1, 6, D)
    mixed = layer(x, torch.tensor([[0, 1, 0, 1, -1, 0]]))
    assert_close(mixed[:, [0, 2, 5]], layer(x[:, [0, 2, 5]], one(3)))


@pytest.mark.parametrize("depth", [1, 2])
def test_a_token_sees_half_a_kernel_on_both_sides_per_block(depth):
    layer, reach, n = block(), depth * (KERNEL // 2), 41
    x = torch.randn(1, n, D, requires_grad=True)
    y = x
    for _ in range(depth):
        y = layer(y, one(n))
    (gradient,) = torch.autograd.grad(y[0, n // 2].sum(), x)
    seen = gradient[0].any(-1).nonzero().flatten()
    assert seen.tolist() == list(range(n // 2 - reach, n // 2 + reach + 1))


def test_a_causal_network_sees_a_kernel_back_and_nothing_ahead():
    layer, x = block(causal=True), torch.randn(1, 20, D, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x, one(20))[0, 12].sum(), x)
    assert gradient[0].any(-1).nonzero().flatten().tolist() == list(range(12 - KERNEL + 1, 13))


def test_the_same_neighbours_give_the_same_wherever_they_stand():
    layer, x = block(), torch.randn(1, 30, D)
    moved = torch.cat([torch.randn(1, 5, D), x], dim=1)
    inner = slice(KERNEL // 2, 30 - KERNEL // 2)
    assert_close(layer(moved, one(35))[:, 5:][:, inner], layer(x, one(30))[:, inner])


def test_a_batch_without_tokens_stays_as_it_is():
    x = torch.randn(2, 3, D)
    assert torch.equal(block()(x, torch.full((2, 3), -1)), x)


def test_it_takes_the_place_of_attention_in_any_model():
    from sciformer.domains.molecule import adapter as Molecule
    from sciformer.model import Sciformer, SciformerConfig
    from sciformer.tasks.property import Property
    from sciformer.tokens import Example, Target, collate

    config = SciformerConfig(width=16, depth=2, heads=2, dropout=0.0, backbone="cnn")
    molecule = Molecule()
    records = list(molecule.read(["CCO", "c1ccccc1O", "CN"]))
    examples = [Example(key=r.key, tokens={"molecule": molecule.tokenize(r)}) for r in records]
    model, task = Sciformer(config, {"molecule": molecule}).eval(), Property(config, [Target("y")]).eval()
    task.scale.fitted.fill_(True)
    together = task.predict(model, collate(examples, row=16))["y"].mean
    alone = torch.cat([task.predict(model, collate([example]))["y"].mean for example in examples])
    assert_close(together, alone)
    assert {type(b).__name__ for b in model.blocks} == {"ConvolutionBlock"}
    with pytest.raises(ValueError, match=r"kind .cnn. has no attention among tokens"):
        model.attention(collate(examples).tokens)


def test_a_hybrid_attends_in_every_third_block_and_sees_neighbours_in_the_others():
    from sciformer.domains.protein.adapter import Protein
    from sciformer.model import Sciformer, SciformerConfig
    from sciformer.tokens import Example, collate

    config, protein = SciformerConfig(width=16, depth=7, heads=2, dropout=0.0, backbone="hybrid"), Protein()
    model = Sciformer(config, {"protein": protein}).eval()
    kinds = [type(b).__name__ for b in model.blocks]
    assert kinds == ["ConvolutionBlock", "ConvolutionBlock", "Block"] * 2 + ["ConvolutionBlock"]
    (record,) = protein.read(["MKTAYIAKQRQ"])
    weights = model.attention(collate([Example(key="x", tokens={"protein": protein.tokenize(record)})]).tokens)
    assert_close(weights.sum(-1), torch.ones(2, 1, 2, 13))
    assert not Sciformer(dataclasses.replace(config, depth=2), {"protein": protein}).attends
