"""Examples need not be in memory: what is read of them is the same, and few are there at a time."""

import gc
import weakref

import pytest
import torch
from torch.testing import assert_close

from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule
from sciformer.data.examples import Examples, memory, shares
from sciformer.nn.scale import Standardizer
from sciformer.tokens import Example, Tokens, Value

COUNT = 40


class Source:
    """Makes examples, and knows how often, and how many of them are still there."""

    def __init__(self):
        self.made, self.there, self.most = [0] * COUNT, 0, 0

    def __call__(self, place: int) -> Example:
        values = torch.randn(5 + place % 7, 2, generator=torch.Generator().manual_seed(place))
        example = Example(key=f"r{place}", tokens={"toy": Tokens.of("toy", values=values)}, targets={"y": float(place)})
        weakref.finalize(example, self._gone)
        self.made[place] += 1
        self.there += 1
        self.most = max(self.most, self.there)
        return example

    def _gone(self) -> None:
        self.there -= 1

    def list(self) -> list[Example]:
        return [self(place) for place in range(COUNT)]


def module(examples) -> DataModule:
    return DataModule(examples, [], targets=["y"], batches=BatchConfig(records=4), seed=1)


def test_an_epoch_holds_one_batch_and_reads_what_it_would_read_of_a_list():
    source, scale = Source(), Standardizer([Value("a"), Value("b")])
    lazy = module(Examples(source, COUNT, room=0))
    scale.fit_to((example.tokens["toy"] for example in lazy.train), [0, 1])
    batches = list(lazy.train_dataloader())
    assert lazy.fingerprint == module(Source().list()).fingerprint
    gc.collect()
    assert source.most <= 4 + 2  # and the last of the batch before
    assert not source.there
    for batch, other in zip(batches, module(Source().list()).train_dataloader(), strict=True):
        assert batch.keys == other.keys
        assert torch.equal(batch.tokens["toy"].values, other.tokens["toy"].values)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_as_many_are_kept_as_there_is_room_for(share):
    source = Source()
    room = share * sum(memory(example) for example in Source().list())
    examples = Examples(source, COUNT, room=room)
    assert [trace.size for trace in examples.traces] == [5 + place % 7 for place in range(COUNT)]
    assert source.made == [1] * COUNT  # sizes, marks and hashes at once
    for _ in range(2):
        assert [example.key for example in examples] == [f"r{place}" for place in range(COUNT)]
    gc.collect()
    kept = source.made.count(1)
    assert kept == source.there
    assert kept == {0.0: 0, 1.0: COUNT}.get(share, kept)
    assert sum(memory(examples[place]) for place in range(COUNT) if source.made[place] == 1) <= room


def test_examples_can_be_asked_for_like_a_list():
    examples = Examples(Source(), COUNT)
    assert examples[-1].key == "r39"
    assert [example.key for example in examples[2:4]] == ["r2", "r3"]
    with pytest.raises(IndexError):
        examples[COUNT]


def test_shares_of_examples_fit_into_the_room_and_lose_none():
    whole = Source().list()
    room = 3 * max(memory(example) for example in whole)
    found = list(shares(iter(whole), room))
    assert [example.key for share in found for example in share] == [example.key for example in whole]
    assert all(sum(memory(example) for example in share) <= room for share in found)
    assert [len(share) for share in shares(whole, 1)] == [1] * COUNT


def test_a_scale_that_is_fitted_record_by_record_is_that_of_all_values():
    values = 1e5 + 300 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    observed = torch.rand(500, 2, generator=torch.Generator().manual_seed(1)) < 0.6
    observed[:100] = False  # records of which nothing is known
    whole = Tokens.of("toy", values=values, observed=observed)
    scale = Standardizer([Value("a"), Value("b")])
    rows = [Tokens.of("toy", values=v, observed=o) for v, o in zip(values.split(50), observed.split(50), strict=True)]
    scale.fit_to(iter(rows), [0, 1])
    for j in range(2):
        seen = whole.values[whole.observed[:, j], j].double()
        assert_close(scale.mean[j].double(), seen.mean(), rtol=1e-7, atol=0)
        assert_close(scale.std[j].double(), seen.std(), rtol=1e-6, atol=0)


def test_parts_that_are_joined_are_read_through_and_kept_once():
    def make(place):
        return Example(key=f"r{place}", tokens={"toy": Tokens.of("toy", values=torch.ones(1, 1))})

    first, second = Examples(make, 2), Examples(make, 1)
    whole = Examples.joined([first, second])
    assert [e.key for e in whole] == ["r0", "r1", "r0"] == [whole[i].key for i in range(3)]
    assert whole[1] is first[1]
    assert whole[2] is second[0]
