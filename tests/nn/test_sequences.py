"""Long records are read in overlapping windows, and nothing else about them changes."""

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from sciformer.adapter import DomainAdapter, Record
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.sequences import Sequences, Windows, window_starts
from sciformer.tasks.property import Property
from sciformer.tokens import Axis, Category, Example, Schema, Target, Tokens, collate

CONTEXT = 8
CONFIG = SciformerConfig(width=16, depth=3, heads=2, expansion=2.0, dropout=0.0, context=CONTEXT)
WHOLE = dataclasses.replace(CONFIG, context=0)
LENGTHS = (3, 8, 9, 13, 21, 40)


class Letters(DomainAdapter):
    """A domain of letters in a row."""

    name: ClassVar[str] = "letters"

    def __init__(self, pairs: tuple[Category, ...] = ()):
        self._pairs = pairs

    @property
    def schema(self) -> Schema:
        axes = (Axis("order", "step", 6.0, 60.0),)
        return Schema(ids=(Category("letter", 9),), pairs=self._pairs, axes=axes)

    def read(self, source: Any, **columns: Any) -> Iterator[Record]:
        return iter(source)

    def tokenize(self, record: Record) -> Tokens:
        return record.data


def letters(n: int, seed: int = 0, pairs: bool = False) -> Tokens:
    rng = torch.Generator().manual_seed(1000 * n + seed)
    coords = torch.zeros(n, 5)
    coords[:, 0] = torch.arange(n)
    pair = torch.randint(1, 3, (n, n, 1), generator=rng) if pairs else None
    return Tokens.of("letters", ids=torch.randint(1, 9, (n, 1), generator=rng), coords=coords, pair=pair)


def batch(rows: Sequence[Tokens], row: int = 0):
    return collate([Example(key=str(i), tokens={"letters": x}) for i, x in enumerate(rows)], row=row)


def model(config: SciformerConfig = CONFIG, pairs: tuple[Category, ...] = ()) -> Sciformer:
    torch.manual_seed(0)
    return Sciformer(config, {"letters": Letters(pairs)}).eval()


def states(made: Sciformer, tokens: Tokens) -> Tensor:
    """Of one record alone."""
    with torch.no_grad():
        return made(batch([tokens]).tokens).states[0]


def changed(tokens: Tokens, place: int) -> Tokens:
    ids = tokens.ids.clone()
    ids[place] = ids[place] % 8 + 1
    return tokens.replace(ids=ids)


# --- where tokens go -------------------------------------------------------------------------------------

SAMPLES = st.lists(st.lists(st.integers(-1, 2), min_size=7, max_size=7), min_size=1, max_size=3).map(torch.tensor)


@settings(max_examples=60, deadline=None)
@given(sample=SAMPLES, context=st.integers(2, 5))
def test_every_token_comes_back_to_its_place(sample, context):
    x = torch.randn(*sample.shape, 2)
    there = torch.where((sample >= 0).unsqueeze(-1), x, 0.0)
    sequences = Sequences.of(sample)
    if len(sequences.place):
        rows = sequences.lay_out(x)
        assert torch.equal(sequences.put_back(rows, x), there)
        mine = [x[b][sample[b] == s] for b in range(len(sample)) for s in range(3) if (sample[b] == s).any()]
        for row, own in zip(rows, mine, strict=True):
            assert torch.equal(row[: len(own)], own)
            assert not row[len(own) :].any()
    windows = Windows.of(sample, context)
    counts = [int((row == s).sum()) for row in sample for s in range(3)]
    assert (windows is None) == (max(counts) <= context)
    if windows is not None:
        assert torch.equal(windows.stitch(windows.take(x), x), there)
        assert not windows.take(x)[windows.sample < 0].any()


def test_windows_begin_and_end_with_the_record_and_are_the_fewest_that_overlap_by_half():
    for context in range(2, 12):
        for length in range(1, 80):
            starts = window_starts(length, context)
            steps = [b - a for a, b in itertools.pairwise(starts)]
            if length <= context:
                assert starts == [0]
                continue
            assert (starts[0], starts[-1]) == (0, length - context)
            assert all(2 * (context - step) >= context for step in steps)
            assert max(steps) - min(steps) <= 1
            assert (len(starts) - 2) * (context // 2) + context < length  # one window less would not do


@pytest.mark.parametrize("context", [2, 5, 8])
def test_every_token_is_read_where_it_lies_deepest(context):
    for length in range(context + 1, 4 * context + 2):
        windows = Windows.of(torch.zeros(1, length, dtype=torch.long), context)
        assert windows is not None
        starts = window_starts(length, context)
        assert windows.taken[:, 0, 1].tolist() == starts
        for (_, place), (window, inside) in zip(windows.place.tolist(), windows.back.tolist(), strict=True):
            depths = {}
            for i, start in enumerate(starts):
                if start <= place < start + context:
                    left = place - start if start > 0 else length
                    right = start + context - 1 - place if start + context < length else length
                    depths[i] = min(left, right)
            assert starts[window] + inside == place
            assert window == max(depths, key=lambda i: (depths[i], -i))


# --- what a model makes of them --------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["transformer", "gru", "cnn", "hybrid"])
def test_long_records_are_the_same_padded_packed_and_alone(backbone):
    made = model(dataclasses.replace(CONFIG, backbone=backbone))
    rows = [letters(n) for n in LENGTHS]
    alone = [states(made, row) for row in rows]
    for capacity in (0, 50, 200):
        together = batch(rows, capacity)
        with torch.no_grad():
            encoded = made(together.tokens)
        for (r, slot), own in zip(together.place.tolist(), alone, strict=True):
            assert_close(encoded.states[r, encoded.sample[r] == slot], own, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("backbone", ["transformer", "gru", "cnn", "hybrid"])
def test_a_record_that_fits_is_read_as_without_windows(backbone):
    made, whole = (model(dataclasses.replace(config, backbone=backbone)) for config in (CONFIG, WHOLE))
    for n in range(1, CONTEXT + 1):
        assert torch.equal(states(made, letters(n)), states(whole, letters(n)))
    assert (states(made, letters(9)) - states(whole, letters(9))).abs().max() > 1e-3
    beside = made(batch([letters(CONTEXT), letters(30)]).tokens).states[0, :CONTEXT]
    assert_close(beside, states(whole, letters(CONTEXT)), atol=1e-5, rtol=1e-5)


def test_a_token_of_a_long_record_is_read_as_its_window_alone():
    made, row = model(), letters(29)
    found, starts = states(made, row), window_starts(29, CONTEXT)
    windows = Windows.of(row.sample.unsqueeze(0), CONTEXT)
    assert windows is not None
    for (_, place), (window, inside) in zip(windows.place.tolist(), windows.back.tolist(), strict=True):
        cut = slice(starts[window], starts[window] + CONTEXT)
        piece = Tokens.of("letters", ids=row.ids[cut], coords=row.coords[cut])
        assert_close(found[place], states(made, piece)[inside], atol=1e-5, rtol=1e-5)


def test_a_token_sees_its_window_and_nothing_beyond():
    made, row = model(), letters(40)
    before = states(made, row)
    windows = Windows.of(row.sample.unsqueeze(0), CONTEXT)
    assert windows is not None
    starts = window_starts(40, CONTEXT)
    for place in (0, 5, 17, 39):
        moved = (states(made, changed(row, place)) - before).abs().amax(-1) > 1e-6
        sees = [starts[window] <= place < starts[window] + CONTEXT for window, _ in windows.back.tolist()]
        assert moved.tolist() == sees


def test_no_gradient_crosses_records_that_share_a_row():
    made = model()
    first, second = letters(19), letters(23, seed=1)
    tokens = batch([second, first], row=64).tokens  # the longest stands first
    embedded: list[Tensor] = []

    def leaf(module, args, output):
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    with made.embedders["letters"].register_forward_hook(leaf):
        encoded = made(tokens)
    weights = torch.randn(19, CONFIG.width)
    (gradient,) = torch.autograd.grad((encoded.states[0, 23:42] * weights).sum(), embedded)
    assert gradient[0, 23:42].any(-1).all()
    assert not gradient[0, :23].any()


def test_a_question_about_a_record_is_answered_from_all_of_its_tokens():
    made, task, row = model(), Property(CONFIG, [Target("y")], extensive=False).eval(), letters(40)
    task.scale.fitted.fill_(True)
    with torch.no_grad():
        answers = [float(task.predict(made, batch([x]))["y"].mean) for x in (row, *(changed(row, i) for i in (0, 39)))]
    assert len({round(x, 7) for x in answers}) == 3


def test_a_record_of_35000_tokens_is_read_in_seconds():
    config = SciformerConfig(width=8, depth=1, heads=1, context=256)
    made, row, start = model(config), letters(35_000), time.process_time()
    found = states(made, row)
    assert found.isfinite().all()
    assert time.process_time() - start < 10


def test_a_causal_model_sees_nothing_later():
    made, row = model(dataclasses.replace(CONFIG, causal=True)), letters(21)
    assert torch.equal(states(made, changed(row, 20))[:20], states(made, row)[:20])


# --- where there are none --------------------------------------------------------------------------------


def test_records_with_pairs_are_read_as_a_whole():
    bonds = (Category("bond", 3),)
    row = letters(20, pairs=True)
    assert torch.equal(states(model(CONFIG, bonds), row), states(model(WHOLE, bonds), row))
    assert model(CONFIG, bonds).attention(batch([row]).tokens).shape[-1] == 20


def test_attention_among_tokens_of_different_windows_is_refused():
    made = model()
    assert made.attention(batch([letters(CONTEXT)]).tokens).shape == (3, 1, 2, CONTEXT, CONTEXT)
    with pytest.raises(ValueError, match="more than 8 tokens is read in windows"):
        made.attention(batch([letters(CONTEXT), letters(CONTEXT + 1)]).tokens)


@pytest.mark.parametrize("context", [-1, 1])
def test_a_context_without_neighbours_is_refused(context):
    with pytest.raises(ValueError, match=f"at least 2 tokens, or 0 for whole records, got {context}"):
        dataclasses.replace(CONFIG, context=context)
