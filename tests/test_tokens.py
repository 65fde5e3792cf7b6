"""The spine refuses what does not fit, and moves tokens without changing them."""

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciformer.tokens import PADDING, Category, Example, Schema, Target, Tokens, Value, collate, pack, pad, share_rows

SCHEMA = Schema(ids=(Category("a", 5),), values=(Value("v", "m"),), pairs=(Category("p", 3),))


def tokens(n: int, seed: int = 0, **changes) -> Tokens:
    rng = torch.Generator().manual_seed(seed)
    made = Tokens.of(
        "toy",
        ids=torch.randint(1, 5, (n, 1), generator=rng),
        values=torch.randn(n, 1, generator=rng),
        coords=torch.randn(n, 5, generator=rng),
        pair=torch.randint(1, 3, (n, n, 1), generator=rng),
    )
    return made.replace(**changes)


def example(key: str, n: int, **targets: float) -> Example:
    return Example(key=key, tokens={"toy": tokens(n, seed=n)}, targets=targets)


@pytest.fixture
def unchecked_shapes():
    """As users run it: the annotations that tests enforce are comments, and only our own checks speak."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.mark.usefixtures("unchecked_shapes")
def test_columns_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="`ids` must have shape"):
        tokens(3, ids=torch.ones(2, 1, dtype=torch.long))
    with pytest.raises(ValueError, match="`pair` must have shape"):
        tokens(3, pair=torch.ones(2, 2, 1, dtype=torch.long))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": torch.ones(3, 2, dtype=torch.long)}, r"must have 1 id columns \(a\), got 2"),
        ({"ids": torch.full((3, 1), 5)}, r"'a' must lie in 0..4, got 5..5"),
        ({"ids": torch.full((3, 1), -1)}, r"'a' must lie in 0..4, got -1..-1"),
        ({"pair": None}, r"must have 1 pair columns \(p\), got 0"),
        ({"pair": torch.full((3, 3, 1), 3)}, "'p' must lie in 0..2"),
    ],
)
def test_the_schema_tells_what_is_wrong(changes, message):
    SCHEMA.check(tokens(3))
    with pytest.raises(ValueError, match=message):
        SCHEMA.check(tokens(3, **changes))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Category("a", 1), "size >= 2"),
        (lambda: Category("a", 2, ("x", "y")), "2 labels for 1 free ids"),
        (lambda: Schema(ids=(Category("a", 2),), values=(Value("a"),)), "different names"),
        (lambda: Target("t", "binary"), "needs two classes"),
        (lambda: Target("t", "multiclass", classes=("one",)), "at least two classes"),
    ],
)
def test_columns_and_targets_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_values_that_were_not_observed_are_zero():
    made = Tokens.of("toy", values=torch.tensor([[1.0], [float("nan")]]), observed=torch.tensor([[True], [False]]))
    assert made.values.tolist() == [[1.0], [0.0]]


def test_hiding_wipes_the_content_and_keeps_the_place():
    before, where = tokens(4), torch.tensor([True, False, True, False])
    after = before.hide(where)
    assert not after.ids[where].any()
    assert not after.values[where].any()
    assert not after.observed[where].any()
    assert torch.equal(after.coords, before.coords)
    assert torch.equal(after.pair, before.pair)
    assert torch.equal(after.ids[~where], before.ids[~where])


def test_keeping_wipes_the_place_too():
    before, where = tokens(4), torch.tensor([True, False, True, False])
    after = before.keep(where)
    assert not after.coords[~where].any()
    assert not after.pair[~where].any()
    assert not after.pair[:, ~where].any()
    assert (after.sample[~where] == PADDING).all()
    assert torch.equal(after.pair[where][:, where], before.pair[where][:, where])


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_padding_and_packing_keep_every_token(sizes):
    rows = [tokens(n, seed=i) for i, n in enumerate(sizes)]
    padded, packed = pad(rows), pack(rows)
    assert padded.exists.sum(-1).tolist() == sizes
    assert packed.sample.bincount().tolist() == sizes
    for i, row in enumerate(rows):
        mine = packed.sample == i
        for name in ("ids", "values", "observed", "coords"):
            assert torch.equal(getattr(padded, name)[i, : row.size], getattr(row, name))
            assert torch.equal(getattr(packed, name)[mine], getattr(row, name))
        assert torch.equal(packed.pair[mine][:, mine], row.pair)
        assert not packed.pair[mine][:, ~mine].any()


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12), capacity=st.integers(0, 30))
def test_every_record_has_one_place_and_rows_stay_within_their_capacity(sizes, capacity):
    rows = share_rows(sizes, capacity)
    assert sorted(i for row in rows for i in row) == list(range(len(sizes)))
    assert all(len(row) == 1 or sum(sizes[i] for i in row) <= capacity for row in rows)
    assert capacity or rows == [[i] for i in range(len(sizes))]


@pytest.mark.parametrize("row", [0, 6])
def test_a_batch_says_where_each_record_is(row):
    examples = [example("a", 2), example("b", 5), example("c", 3)]
    batch = collate(examples, row=row)
    assert batch.keys == ("a", "b", "c")
    assert batch.tokens["toy"].sample.shape[0] == (2 if row else 3)
    for made, (r, slot) in zip(examples, batch.place.tolist(), strict=True):
        mine = batch.tokens["toy"].sample[r] == slot
        assert torch.equal(batch.tokens["toy"].ids[r, mine], made.tokens["toy"].ids)


def test_known_is_told_apart_from_zero():
    batch = collate([example("a", 2, y=0.0), example("b", 3)], targets=["y"])
    assert batch.targets["y"].tolist() == [0.0, 0.0]
    assert batch.known["y"].tolist() == [True, False]


def test_a_batch_of_nothing_or_of_different_modalities_is_refused():
    with pytest.raises(ValueError, match="at least one example"):
        collate([])
    other = Example(key="z", tokens={"other": tokens(2)})
    with pytest.raises(ValueError, match="'a' has \\['toy'\\], 'z' has \\['other'\\]"):
        collate([example("a", 2), other])


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_gathering_keeps_the_chosen_tokens_their_order_and_their_pairs(seed):
    batch = pad([tokens(n, seed=n) for n in (6, 3, 5)])
    where = (torch.rand(3, 6, generator=torch.Generator().manual_seed(seed)) < 0.5) & batch.exists
    gathered = batch.gather(where)
    assert gathered.size == max(int(where.sum(-1).max()), 1)
    for row in range(3):
        chosen, n = where[row].nonzero()[:, 0], int(where[row].sum())
        assert gathered.exists[row].sum() == n
        for name in ("ids", "values", "observed", "coords", "sample"):
            assert torch.equal(getattr(gathered, name)[row, :n], getattr(batch, name)[row, chosen])
        assert torch.equal(gathered.pair[row, :n, :n], batch.pair[row][chosen][:, chosen])
        assert not gathered.pair[row, n:].any()
