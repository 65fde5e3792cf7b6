"""The backbone reads several modalities side by side, and every switch of its config works."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from sciformer.adapter import DomainAdapter, Record
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tokens import Axis, Category, Example, Schema, Tokens, Value, collate

CONFIG = SciformerConfig(width=24, depth=2, heads=2, expansion=2.0, dropout=0.0)
LETTERS = Schema(ids=(Category("letter", 5),), pairs=(Category("bond", 3),), axes=(Axis("order", "step", 6.0, 60.0),))
READINGS = Schema(values=(Value("flux", "Jy", scale="none"),), axes=(Axis("time", "day", 1.0, 30.0),))


class Toy(DomainAdapter):
    """A domain that is its schema."""

    def __init__(self, schema: Schema):
        self._schema = schema

    @property
    def schema(self) -> Schema:
        return self._schema

    def read(self, source: Any, **columns: Any) -> Iterator[Record]:
        return iter(source)

    def tokenize(self, record: Record) -> Tokens:
        return record.data


def example(n: int, m: int, seed: int = 0) -> Example:
    """``n`` letters with bonds and ``m`` readings."""
    rng = torch.Generator().manual_seed(seed)
    coords = torch.zeros(n, 5)
    coords[:, 0] = torch.arange(n)
    letters = Tokens.of(
        "letters",
        ids=torch.randint(1, 5, (n, 1), generator=rng),
        pair=torch.randint(1, 3, (n, n, 1), generator=rng),
        coords=coords,
    )
    readings = Tokens.of("readings", values=torch.randn(m, 1, generator=rng), coords=torch.randn(m, 5, generator=rng))
    return Example(key=str(seed), tokens={"letters": letters, "readings": readings})


def model(config: SciformerConfig = CONFIG) -> Sciformer:
    torch.manual_seed(0)
    made = Sciformer(config, {"letters": Toy(LETTERS), "readings": Toy(READINGS)})
    torch.nn.init.normal_(made.pair_biases["letters"].tables[0].weight)
    return made.eval()


@pytest.mark.parametrize(
    ("norm", "activation", "bias", "causal"),
    list(itertools.product(["layer", "rms"], ["gelu", "swiglu"], [True, False], [True, False])),
)
def test_every_switch_builds_and_learns(norm, activation, bias, causal):
    config = dataclasses.replace(CONFIG, norm=norm, activation=activation, bias=bias, causal=causal)
    made = model(config).train()
    states = made(collate([example(4, 3), example(2, 5, 1)]).tokens).states
    (states * torch.randn_like(states)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters() if p.numel())
    names = [name for name, _ in made.blocks.named_parameters()]
    assert any(name.endswith("bias") for name in names) == bias


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 25}, "multiple of heads"),
        ({"width": 24, "heads": 8}, "even head width"),
        ({"depth": 0}, "depth 0"),
        ({"heads": 0}, "heads 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
        ({"expansion": -4.0}, "hidden width of at least 2"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)


def test_modalities_read_each_other():
    made, tokens = model(), collate([example(4, 3)]).tokens
    other = {**tokens, "readings": tokens["readings"].replace(values=tokens["readings"].values + 1)}
    letters = slice(0, 4)
    assert (made(other).states - made(tokens).states)[0, letters].abs().max() > 1e-3


def test_the_order_of_the_modalities_does_not_matter():
    made, tokens = model(), collate([example(4, 3)]).tokens
    swapped = {name: tokens[name] for name in ("readings", "letters")}
    assert_close(made(swapped).states.roll(-3, 1), made(tokens).states, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("row", [0, 100])
def test_two_modalities_in_a_batch_equal_each_record_alone(row):
    examples = [example(4, 3), example(2, 6, 1), example(1, 1, 2)]
    batch, made = collate(examples, row=row), model()
    encoded = made(batch.tokens)
    for alone, (r, slot) in zip(examples, batch.place.tolist(), strict=True):
        mine = encoded.states[r, encoded.sample[r] == slot]
        assert_close(mine, made(collate([alone]).tokens).states[0], atol=1e-5, rtol=1e-5)


def test_pairs_across_modalities_have_no_bias():
    made = model()
    bias = made.pair_bias(collate([example(4, 3)]).tokens)
    assert bias[..., :4, :4].all()
    assert not bias[..., 4:, :].any()
    assert not bias[..., :, 4:].any()
    assert made.pair_bias({"readings": collate([example(4, 3)]).tokens["readings"]}) is None


def test_a_causal_model_does_not_see_the_future():
    made = model(dataclasses.replace(CONFIG, causal=True))
    tokens = {"letters": collate([example(5, 1)]).tokens["letters"]}
    last = torch.tensor([[False] * 4 + [True]])
    states, without = made(tokens).states, made({"letters": tokens["letters"].hide(last)}).states
    assert torch.equal(states[:, :4], without[:, :4])
    assert not torch.equal(states[:, 4], without[:, 4])


def test_attention_weights_come_from_every_block():
    made, tokens = model(), collate([example(4, 3)]).tokens
    weights = made.attention(tokens)
    assert weights.shape == (2, 1, 2, 7, 7)
    assert_close(weights.sum(-1), torch.ones(2, 1, 2, 7))
