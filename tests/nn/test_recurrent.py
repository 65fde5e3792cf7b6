"""A recurrent backbone keeps the laws that do not ask for attention."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from sciformer.nn.recurrent import RecurrentBlock

N, D = 7, 12


def block(*, causal: bool = False) -> RecurrentBlock:
    torch.manual_seed(0)
    return RecurrentBlock(D, lambda: nn.LayerNorm(D), 0.0, causal=causal).eval()


def test_packed_padded_and_alone_give_the_same():
    layer, x = block(), torch.randn(N, D)
    first, second = x[:3], x[3:]
    alone = [layer(part.unsqueeze(0), torch.zeros(1, len(part), dtype=torch.long))[0] for part in (first, second)]
    packed = layer(x.unsqueeze(0), torch.tensor([[0] * 3 + [1] * 4]))[0]
    assert_close(packed, torch.cat(alone))
    padded = torch.zeros(2, 5, D)
    padded[0, :3], padded[1, :4] = first, second
    sample = torch.tensor([[0, 0, 0, -1, -1], [0, 0, 0, 0, -1]])
    found = layer(padded, sample)
    assert_close(found[0, :3], alone[0])
    assert_close(found[1, :4], alone[1])


def test_tokens_of_a_sample_need_not_lie_side_by_side():
    layer, x = block(), torch.randn(1, 6, D)
    mixed = layer(x, torch.tensor([[0, 1, 0, 1, -1, 0]]))
    alone = layer(x[:, [0, 2, 5]], torch.zeros(1, 3, dtype=torch.long))
    assert_close(mixed[:, [0, 2, 5]], alone)


@pytest.mark.parametrize("causal", [False, True])
def test_only_a_causal_network_is_blind_to_the_future(causal):
    layer, x = block(causal=causal), torch.randn(1, N, D)
    other = x.clone()
    other[:, -1] += 1
    sample = torch.zeros(1, N, dtype=torch.long)
    same = torch.equal(layer(x, sample)[:, :-1], layer(other, sample)[:, :-1])
    assert same == causal


def test_a_batch_without_tokens_stays_as_it_is():
    x = torch.randn(2, 3, D)
    assert torch.equal(block()(x, torch.full((2, 3), -1)), x)


def test_it_takes_the_place_of_attention_in_any_model():
    from sciformer.adapter import Record
    from sciformer.domains.molecule import adapter as Molecule
    from sciformer.model import Sciformer, SciformerConfig
    from sciformer.tasks.property import Property
    from sciformer.tokens import Example, Target, collate

    config = SciformerConfig(width=16, depth=2, heads=2, dropout=0.0, backbone="gru")
    molecule = Molecule()
    records: list[Record] = list(molecule.read(["CCO", "c1ccccc1O", "CN"]))
    examples = [Example(key=r.key, tokens={"molecule": molecule.tokenize(r)}) for r in records]
    model, task = Sciformer(config, {"molecule": molecule}), Property(config, [Target("y")])
    task.scale.fitted.fill_(True)
    together = task.eval().predict(model.eval(), collate(examples, row=16))["y"].mean
    alone = torch.cat([task.predict(model, collate([example]))["y"].mean for example in examples])
    assert_close(together, alone)
    attention = dataclasses.replace(config, backbone="transformer")
    assert {type(b).__name__ for b in Sciformer(attention, {"molecule": molecule}).blocks} == {"Block"}
    with pytest.raises(ValueError, match="has no attention among tokens"):
        model.attention(collate(examples).tokens)
