"""Period and phases follow from what is visible, record by record, and from nothing else."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sciformer.adapter import Record
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.augment import PERIOD, observations, stretch, subsample
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.tokenizer import MEASURED
from sciformer.tokens import Tokens, pack, pad

ADAPTER = LightCurve(bands=("g", "r"), fold=True)
COSINE = [column.name for column in ADAPTER.schema.values].index("cos1")
COLUMNS = ("ids", "values", "observed", "coords", "sample")


def star(period: float = 0.7312, n: int = 60, seed: int = 0, **more) -> Curve:
    rng = np.random.default_rng(seed)
    time = 57_000 + np.sort(np.round(rng.uniform(0, 200, n) * 1024)) / 1024
    value = 3 + np.cos(2 * np.pi * (time - 57_000) / period) + 0.05 * rng.standard_normal(n)
    return Curve(time=time, band=rng.choice(["g", "r"], n), value=value, error=np.full(n, 0.05), **more)


def tokens_of(curve: Curve, asked: Curve | None = None) -> Tokens:
    return ADAPTER.ask(Record(key="a", data=curve), asked)


def test_every_observation_and_question_knows_the_period_and_its_phase():
    asked = star(seed=5)
    tokens = tokens_of(star(), asked)
    ADAPTER.schema.check(tokens)
    assert tokens.observed[:, MEASURED:].all()
    assert not tokens.observed[60:, :MEASURED].any()
    assert_close(tokens.values[:, PERIOD], torch.full((120,), np.log10(0.7312)).float(), rtol=0, atol=1e-3)
    phase = 2 * np.pi * (asked.time - 57_000) / 0.7312
    assert_close(tokens.values[60:, COSINE], torch.from_numpy(np.cos(phase)).float(), rtol=0, atol=0.15)
    assert np.corrcoef(tokens.values[:60, 0], tokens.values[:60, COSINE])[0, 1] > 0.95


def test_the_object_has_no_phase():
    tokens = tokens_of(star(meta={"redshift": 0.1}))
    assert not tokens.observed[0, MEASURED:].any()
    assert tokens.observed[1:, MEASURED:].all()


def test_without_the_switch_nothing_is_added():
    plain = dataclasses.replace(ADAPTER, fold=False)
    assert len(plain.schema.values) == MEASURED
    tokens = plain.tokenize(Record(key="a", data=star()))
    assert plain.derive(tokens) is tokens


def test_few_observations_have_no_period():
    assert not tokens_of(star(n=9)).observed[:, MEASURED:].any()


def test_what_is_hidden_does_not_count_and_what_was_derived_from_it_is_wiped():
    tokens = tokens_of(star())
    seen = torch.arange(60) < 40
    blank = tokens.replace(
        values=tokens.values.masked_fill(~seen[:, None], 0.0), observed=tokens.observed & seen[:, None]
    )
    found, alone = ADAPTER.derive(blank), tokens_of(_cut(star(), 40))
    assert torch.equal(found.values[:40], alone.values)
    few = torch.arange(60) < 9
    gone = ADAPTER.derive(tokens.replace(observed=tokens.observed & few[:, None]))
    assert not gone.observed[:, MEASURED:].any()
    assert not gone.values[:, MEASURED:].any()


def _cut(curve: Curve, n: int) -> Curve:
    return dataclasses.replace(curve, **{name: getattr(curve, name)[:n] for name in ("time", "band", "value", "error")})


def test_records_of_a_batch_have_their_own_periods_packed_or_padded():
    rows = [tokens_of(star(0.7312)), tokens_of(star(3.1, n=40, seed=1)), tokens_of(star(n=5))]
    for batch in (pad(rows), pack(rows), pad([pack(rows[:2]), rows[2]])):
        blank = batch.replace(observed=batch.observed & (torch.arange(batch.observed.shape[-1]) < MEASURED))
        again = ADAPTER.derive(blank)
        assert torch.equal(again.observed, batch.observed)
        assert torch.equal(again.values, batch.values)


def test_order_and_epoch_change_nothing():
    tokens = tokens_of(star(), star(seed=5))
    order = torch.randperm(tokens.size, generator=torch.Generator().manual_seed(0))
    mixed = ADAPTER.derive(tokens.replace(**{name: getattr(tokens, name)[order] for name in COLUMNS}))
    assert_close(mixed.values, tokens.values[order], rtol=0, atol=1e-4)
    later = ADAPTER.derive(tokens.replace(coords=tokens.coords + 512.0))
    assert_close(later.values, tokens.values, rtol=0, atol=1e-4)
    moved = dataclasses.replace(star(), time=star().time + 2_400_000.0)
    assert_close(tokens_of(moved).values, tokens_of(star()).values, rtol=0, atol=1e-4)


def test_what_does_not_exist_has_nothing():
    tokens = tokens_of(star())
    empty = ADAPTER.derive(tokens.keep(torch.zeros(tokens.size, dtype=torch.bool)))
    assert not empty.observed.any()


def test_an_object_seen_slower_has_a_longer_period_and_the_same_phases():
    tokens = tokens_of(star())
    slower = stretch(tokens, np.random.default_rng(0), (1.2, 1.2))
    assert_close(slower.values[:, PERIOD], tokens.values[:, PERIOD] + np.log10(1.2))
    assert_close(slower.values, ADAPTER.derive(slower).values, rtol=0, atol=2e-3)


def test_fewer_observations_keep_their_phases():
    fewer = subsample(tokens_of(star()), np.random.default_rng(0), (0.5, 0.5))
    assert observations(fewer).sum() == 30
    assert fewer.observed[:, MEASURED:].all()


@pytest.mark.parametrize("change", [lambda x: x * 1e30, lambda x: -x, lambda x: x * 0 + 1])
def test_odd_curves_are_no_error(change):
    curve = star()
    assert tokens_of(dataclasses.replace(curve, value=change(curve.value))).values[:, MEASURED:].isfinite().all()
