"""Laws of batching: every record once, budgets kept, and everything a function of (seed, epoch)."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciformer.data.batching import BatchConfig, length_pooled_batches
from sciformer.data.sampler import EpochBatchSampler, random_stream

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=80)


@settings(max_examples=60, deadline=None)
@given(lengths, st.integers(1, 200), st.integers(1, 9), st.integers(1, 30), st.none() | st.integers(1, 4000))
def test_every_index_once_and_every_budget_kept(sizes, tokens, records, pool, pairs):
    order = np.random.default_rng(0).permutation(len(sizes))
    batches = length_pooled_batches(
        sizes, order, tokens=tokens, records=records, pairs=pairs, pool=pool, rng=np.random.default_rng(1)
    )
    assert sorted(itertools.chain(*batches)) == list(range(len(sizes)))
    for batch in batches:
        longest = max(sizes[i] for i in batch)
        assert len(batch) <= records
        if len(batch) > 1:
            assert longest * len(batch) <= tokens
            assert pairs is None or longest**2 * len(batch) <= pairs


def test_a_record_over_the_budget_gets_a_batch_of_its_own():
    batches = length_pooled_batches([5, 100, 5, 5], range(4), tokens=20, records=8)
    assert [1] in batches
    assert sorted(map(len, batches)) == [1, 3]


def test_pooling_wastes_far_less_padding_than_the_plain_order():
    sizes = np.random.default_rng(0).lognormal(5, 0.7, 2000).astype(int) + 1
    order = np.random.default_rng(1).permutation(2000)

    def useful(batches):
        return sizes.sum() / sum(max(sizes[b]) * len(b) for b in map(np.array, batches))

    pooled = length_pooled_batches(sizes, order, tokens=10**9, records=8)
    plain = [order[i : i + 8].tolist() for i in range(0, 2000, 8)]
    assert useful(pooled) > 0.95
    assert useful(plain) < 0.6


def test_batches_are_shuffled_only_by_the_given_stream():
    sizes = list(range(1, 101))
    settings_ = {"tokens": 1000, "records": 4, "pool": 100}
    plain = length_pooled_batches(sizes, range(100), **settings_)
    one = length_pooled_batches(sizes, range(100), **settings_, rng=np.random.default_rng(3))
    two = length_pooled_batches(sizes, range(100), **settings_, rng=np.random.default_rng(3))
    assert plain == sorted(plain) != one == two
    assert sorted(one) == plain


@pytest.mark.parametrize("field", ["records", "tokens", "pairs", "pool"])
def test_settings_below_one_are_refused_by_name(field):
    with pytest.raises(ValueError, match=f"'{field}' must be at least 1, got 0"):
        BatchConfig(**{field: 0})


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="workers"):
        BatchConfig(workers=-1)


def sampler(seed=0, size=50, **changes):
    sizes = np.random.default_rng(9).integers(1, 40, size)
    return EpochBatchSampler(sizes, BatchConfig(records=9, tokens=100, pool=13), seed=seed, **changes)


def test_an_epoch_is_a_function_of_seed_and_epoch():
    assert sampler().batches(3) == sampler().batches(3)
    assert sampler().batches(3) != sampler().batches(4)
    assert sampler(seed=0).batches(3) != sampler(seed=1).batches(3)


def test_iterating_leaves_the_position_and_the_global_generators_alone():
    np.random.seed(0)  # noqa: NPY002 - the global generator is what must not move
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a = sampler()
    assert list(a) == list(a)
    assert (a.epoch, a.consumed) == (0, 0)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_every_position_continues_the_uninterrupted_order():
    reference = [(epoch, i) for epoch in range(3) for batch in sampler().batches(epoch) for i in batch]
    for stop in range(sampler().total_steps(2) + 1):
        a = sampler()
        seen = []
        while len(seen) < stop:
            for batch in itertools.islice(a, stop - len(seen)):
                seen.append(batch)
                a.advance()
        b = sampler()
        b.seek(a.epoch, a.consumed)
        while b.epoch < 3:
            for batch in b:
                seen.append(batch)
                b.advance()
        assert list(itertools.chain(*seen)) == reference


def test_totals_count_what_is_iterated():
    a = sampler()
    counts = []
    for _ in range(3):
        counts.append(len(list(a)))
        for _ in range(counts[-1]):
            a.advance()
    assert a.total_steps(3) == sum(counts)
    assert a.total_steps(3, accumulate=4) == sum(-(-count // 4) for count in counts)
    assert len(set(counts)) > 1, "the test should cover epochs of different length"


def test_the_last_batch_of_an_epoch_leads_to_the_next_epoch():
    a = sampler()
    a.seek(2, len(a.batches(2)))
    assert (a.epoch, a.consumed) == (3, 0)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_an_epoch_in_equal_numbers(world_size):
    whole = sampler().batches(1)
    parts = [sampler(rank=rank, world_size=world_size).batches(1) for rank in range(world_size)]
    assert len({len(part) for part in parts}) == 1
    assert {tuple(b) for part in parts for b in part} == {tuple(b) for b in whole}


@pytest.mark.parametrize("position", [(-1, 0), (0, -1), (0, 10_000)])
def test_impossible_positions_are_refused(position):
    with pytest.raises(ValueError, match=r"epoch"):
        sampler().seek(*position)


def test_an_empty_data_set_and_a_foreign_rank_are_refused():
    with pytest.raises(ValueError, match="at least one record"):
        EpochBatchSampler([], BatchConfig(), seed=0)
    with pytest.raises(ValueError, match=r"rank must lie in 0\.\.1, got 2"):
        sampler(rank=2, world_size=2)


def test_streams_of_different_places_differ_even_where_one_is_the_other_and_a_zero():
    draws = [random_stream(*place).integers(2**60) for place in [(0,), (0, 1), (0, 1, 0), (1, 0), (0, 0, 1)]]
    assert len(set(draws)) == len(draws)
