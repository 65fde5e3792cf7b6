"""Laws of loading: items depend on (seed, epoch, index) alone; a foreign checkpoint is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule, ExamplesDataset, ResumeError
from sciformer.tokens import Example, Tokens


def examples(count, *, pair=False, shift=0.0):
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        n = int(rng.integers(1, 12))
        values = torch.from_numpy(rng.normal(size=(n, 2))).float() + shift
        bonds = torch.ones(n, n, 1, dtype=torch.long) if pair else None
        tokens = Tokens.of("toy", values=values, pair=bonds)
        made.append(Example(key=f"r{i}", tokens={"toy": tokens}, targets={"y": float(i)} if i % 3 else {}))
    return made


def jitter(tokens, rng):
    noise = torch.from_numpy(rng.normal(size=tokens.values.shape)).float()
    return tokens.replace(values=tokens.values + noise)


def module(**changes):
    given = {"targets": ["y"], "batches": BatchConfig(row=0, records=4), "seed": 5, "augment": jitter}
    return DataModule(examples(22), examples(7), **{**given, **changes})


def contents(batches):
    return [(batch.keys, batch.tokens["toy"].values, batch.known["y"]) for batch in batches]


def same(a, b):
    return len(a) == len(b) and all(
        x[0] == y[0] and torch.equal(x[1], y[1]) and torch.equal(x[2], y[2]) for x, y in zip(a, b, strict=True)
    )


def test_an_item_is_a_function_of_seed_epoch_and_index():
    data = ExamplesDataset(examples(5), seed=1, augment=jitter)

    def value(data, *place):
        return data[place].tokens["toy"].values

    assert torch.equal(value(data, 2, 3), value(data, 2, 3))
    assert not torch.equal(value(data, 2, 3), value(data, 1, 3))
    other = ExamplesDataset(examples(5), seed=2, augment=jitter)
    assert not torch.equal(value(data, 2, 3), value(other, 2, 3))


def test_loading_never_touches_the_global_generators():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    data = module()
    list(data.train_dataloader())
    list(data.val_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


def test_every_training_example_comes_once_and_only_training_is_augmented():
    data = module()
    keys = [key for batch in data.train_dataloader() for key in batch.keys]
    assert sorted(keys) == sorted(e.key for e in data.train)
    for batch in data.val_dataloader():
        for row, key in enumerate(batch.keys):
            original = data.validation[int(key[1:])].tokens["toy"].values
            assert torch.equal(batch.tokens["toy"].values[row, : len(original)], original)


def test_unknown_targets_are_marked():
    for batch in module().val_dataloader():
        assert batch.known["y"].tolist() == [int(key[1:]) % 3 != 0 for key in batch.keys]


@pytest.mark.slow
def test_workers_load_the_same_batches():
    alone = module()
    helped = module(batches=BatchConfig(row=0, records=4, workers=2))
    assert same(contents(alone.train_dataloader()), contents(helped.train_dataloader()))


def test_pair_columns_bring_in_the_quadratic_budget():
    tight = BatchConfig(row=0, records=16, pairs=1)
    plain = DataModule(examples(20), [], batches=tight)
    paired = DataModule(examples(20, pair=True), [], batches=tight)
    assert len(plain.sampler.batches(0)) == 2
    assert len(paired.sampler.batches(0)) > 10


def test_a_saved_position_continues_the_epoch():
    reference = contents(module().train_dataloader())
    first = module()
    for _ in range(3):
        first.advance()
    second = module()
    second.load_state_dict(first.state_dict())
    assert same(contents(second.train_dataloader()), reference[3:])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 6}, "seed was 5 and is now 6"),
        ({"batches": BatchConfig(row=0, records=5)}, "batches.records was 4 and is now 5"),
        ({"world_size": 2}, "processes was 1 and is now 2"),
        ({"augment": None}, "augmentation"),
        ({"targets": []}, "data"),
    ],
)
def test_resuming_with_other_settings_is_refused(change, named):
    with pytest.raises(ResumeError, match=named):
        module(**change).load_state_dict(module().state_dict())


def test_resuming_with_other_data_is_refused():
    state = DataModule(examples(9), examples(2)).state_dict()
    with pytest.raises(ResumeError, match="data was"):
        DataModule(examples(9, shift=1e-3), examples(2)).load_state_dict(state)
    changed = examples(9)
    changed[4] = dataclasses.replace(changed[4], targets={"y": -1.0})
    with pytest.raises(ResumeError, match="data was"):
        DataModule(changed, examples(2)).load_state_dict(state)


def test_the_number_of_workers_may_change_on_resume():
    module(batches=BatchConfig(row=0, records=4, workers=2)).load_state_dict(module().state_dict())


def test_no_training_example_is_an_error_and_no_validation_example_is_not():
    with pytest.raises(ValueError, match="at least one example"):
        DataModule([], examples(2))
    assert list(DataModule(examples(2), []).val_dataloader()) == []
