"""Laws of streams that take turns: shares are exact, every record has its turn, an interruption changes nothing."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule, ResumeError
from sciformer.data.mixture import Mixture, Share, Turns
from sciformer.tokens import Example, Tokens

STEPS = 7


def examples(stream, count, shift=0.0):
    rng = np.random.default_rng(count)
    made = []
    for i in range(count):
        values = torch.from_numpy(rng.normal(size=(int(rng.integers(1, 9)), 1))).float() + shift
        made.append(Example(key=f"{stream}{i}", tokens={stream: Tokens.of(stream, values=values)}, targets={"y": 1.0}))
    return made


def jitter(tokens, rng):
    return tokens.replace(values=tokens.values + torch.from_numpy(rng.normal(size=tokens.values.shape)).float())


def share(stream, count, weight, *, workers=0, records=3, shift=0.0, **changes):
    batches = BatchConfig(records=records, row=0, workers=workers)
    given = {"targets": ["y"] if stream == "a" else [], "batches": batches, "seed": 5, "augment": jitter, **changes}
    return Share(DataModule(examples(stream, count, shift), examples(stream, 4), **given), weight)


def mixture(*, steps=STEPS, seed=5, weight=3.0, order="ab", **changes):
    """11 records of one kind, on whose 4 batches every pass ends within an epoch, and 5 of another."""
    made = {"a": share("a", 11, weight, **changes), "b": share("b", 5, 1.0, **changes)}
    return Mixture({name: made[name] for name in order}, steps=steps, seed=seed)


def contents(batches):
    return [(b.task, b.keys, [x.values.tolist() for x in b.tokens.values()], sorted(b.targets)) for b in batches]


def trained(data, epochs):
    """What the batches of some epochs hold, from one loader, counted as a trainer counts them."""
    loader, seen = data.train_dataloader(), []
    for _ in range(epochs):
        for batch in loader:
            data.advance()
            seen += contents([batch])
    return seen


# --- whose turn it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "steps", "counts"),
    [
        ({"a": 3, "b": 1}, 500, [375, 125]),
        ({"a": 1, "b": 1, "c": 1}, 10, [4, 3, 3]),
        ({"a": 0.1, "b": 0.2, "c": 0.7}, 10, [1, 2, 7]),
        ({"a": 1e6, "b": 1.5e6}, 2, [1, 1]),
        ({"a": 0.3}, 1, [1]),
    ],
)
def test_every_epoch_has_the_same_share_of_each_stream(weights, steps, counts):
    turns = Turns(weights, steps, seed=1)
    for epoch in range(5):
        met = Counter(turns.order(epoch))
        assert [met[name] for name in weights] == counts == turns.counts.tolist()


def test_the_order_is_a_function_of_seed_and_epoch():
    orders = {(seed, epoch): Turns({"a": 1, "b": 1}, 40, seed).order(epoch) for seed in (0, 1) for epoch in (0, 1)}
    assert orders == {place: Turns({"a": 2, "b": 2}, 40, place[0]).order(place[1]) for place in orders}
    assert len(set(map(tuple, orders.values()))) == 4


@pytest.mark.parametrize("weight", [0, -1.0, float("nan"), float("inf")])
def test_a_weight_must_be_a_positive_number(weight):
    with pytest.raises(ValueError, match=f"the weight of stream 'b' must be a positive number, got {weight}"):
        Turns({"a": 1.0, "b": weight}, 10, 0)


@pytest.mark.parametrize(("weights", "steps"), [({"a": 1000, "b": 1}, 10), ({"a": 1, "b": 1}, 1)])
def test_a_stream_that_never_has_its_turn_is_refused(weights, steps):
    with pytest.raises(ValueError, match=f"'b' has less than one of the {steps} batches of an epoch: give it more"):
        Turns(weights, steps, 0)


# --- what the batches hold -------------------------------------------------------------------------------


def test_a_batch_is_of_one_stream_and_names_it():
    for batch in mixture().train_dataloader():
        assert list(batch.tokens) == [batch.task]
        assert all(key.startswith(batch.task) for key in batch.keys)
        assert list(batch.targets) == (["y"] if batch.task == "a" else [])


def test_turns_go_by_the_weights_epoch_after_epoch_of_one_loader():
    data = mixture()
    seen = trained(data, 3)
    order = [name for epoch in range(3) for name in data.turns.order(epoch)]
    assert [task for task, *_ in seen] == order
    assert data.position == (3, 0)
    assert data.total_steps(3) == len(seen) == 3 * STEPS


def test_every_pass_of_a_stream_shows_all_its_records_once():
    seen = trained(mixture(), 8)
    for stream, count in (("a", 11), ("b", 5)):
        keys = [key for task, batch, *_ in seen if task == stream for key in batch]
        passes = [keys[i : i + count] for i in range(0, len(keys) - count + 1, count)]
        assert len(passes) >= 3
        for one in passes:
            assert sorted(one) == sorted(f"{stream}{i}" for i in range(count))
        assert len(set(map(tuple, passes))) > 1


def test_a_stream_goes_its_own_way_whatever_the_others_do():
    def of_a(steps, weight, epochs):
        return [batch for batch in trained(mixture(steps=steps, weight=weight), epochs) if batch[0] == "a"]

    often, rarely = of_a(7, 3.0, 3), of_a(2, 1.0, 8)
    assert rarely == often[: len(rarely)]


def test_batches_are_a_function_of_the_seed():
    assert trained(mixture(), 2) == trained(mixture(), 2)
    assert trained(mixture(), 2) != trained(mixture(seed=6), 2)


def test_validation_is_fixed_whole_and_as_it_is():
    data = mixture()
    before = contents(data.val_dataloader())
    data.seek(3, 2)
    assert contents(data.val_dataloader()) == before
    keys = [key for _, batch, *_ in before for key in batch]
    assert sorted(keys) == sorted(f"{stream}{i}" for stream in "ab" for i in range(4))
    assert [task for task, _ in itertools.groupby(task for task, *_ in before)] == ["a", "b"]
    plain = {e.key: e.tokens["a"].values for e in examples("a", 4)}
    for _, batch, values, _ in before[:1]:
        for key, row in zip(batch, values[0], strict=True):
            assert row[: len(plain[key])] == plain[key].tolist()


@pytest.mark.slow
def test_loader_processes_load_the_same():
    assert trained(mixture(workers=2), 2) == trained(mixture(), 2)


def test_processes_meet_at_the_same_stream_and_share_its_records():
    alone = trained(mixture(), 4)
    ranks = [trained(mixture(rank=rank, world_size=2), 4) for rank in range(2)]
    for first, second in zip(*ranks, strict=True):
        assert first[0] == second[0]
    for stream, a_pass in (("a", 2), ("b", 1)):  # batches of a pass that each process has
        together = [[batch[1] for batch in seen if batch[0] == stream][:a_pass] for seen in ranks]
        whole = [batch[1] for batch in alone if batch[0] == stream][: 2 * a_pass]
        assert [x for both in zip(*together, strict=True) for x in both] == whole


# --- going on --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    """Four epochs without an interruption."""
    return trained(mixture(), 4)


@pytest.mark.parametrize("step", range(3 * STEPS + 1))
def test_interrupted_anywhere_is_uninterrupted(step, whole):
    first = mixture()
    for _ in range(step):
        first.advance()
    again = mixture()
    again.load_state_dict(first.state_dict())
    assert again.position == first.position == divmod(step, STEPS)
    assert contents(again.train_dataloader()) == whole[step : STEPS * (step // STEPS + 1)]
    assert trained(again, 4 - step // STEPS) == whole[step:]


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (0, STEPS + 1)])
def test_a_place_that_no_epoch_has_is_refused(place):
    with pytest.raises(ValueError, match=f"cannot go to batch {place[1]} of epoch {place[0]}: epochs have 7 batches"):
        mixture().seek(*place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "seed was 5 and is now 6"),
        ({"weight": 2.0}, "a.weight was 3.0 and is now 2.0"),
        ({"steps": 8}, "steps was 7 and is now 8"),
        ({"order": "ba"}, r"streams was \['a', 'b'\] and is now \['b', 'a'\]"),
        ({"order": "a"}, "b.weight was 1.0 and is now None"),
        ({"records": 2}, "a.batches.records was 3 and is now 2"),
        ({"shift": 1.0}, "a.data was "),
        ({"world_size": 2}, "a.processes was 1 and is now 2"),
    ],
)
def test_going_on_with_other_streams_is_refused(change, message):
    with pytest.raises(ResumeError, match=f"cannot resume: .*{message}"):
        mixture(**change).load_state_dict(mixture().state_dict())


def test_how_many_processes_load_may_change():
    data = mixture(workers=2)
    data.load_state_dict(mixture().state_dict())
    assert data.position == (0, 0)
