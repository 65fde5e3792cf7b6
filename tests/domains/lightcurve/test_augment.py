import dataclasses

import numpy as np
import pytest
import torch

from sciformer.domains.lightcurve.augment import (
    TIME,
    Augmentation,
    dim,
    redraw_noise,
    shift,
    stretch,
    subsample,
    truncate,
)
from sciformer.tokens import Tokens, pad

META_BAND, META_REDSHIFT = 7, 0.4
COLUMNS = ("ids", "values", "observed", "coords", "sample")
ASKED = 55.0
"""Days after the first observation that ``curve`` is asked about."""
EVERYTHING = Augmentation(
    probability=1.0, dim=(0.3, 0.9), stretch=(0.8, 1.2), until=(0.5, 0.9), keep=(0.5, 0.9), noise=0.5, shift=30.0
)
STEPS = (subsample, truncate, redraw_noise, stretch, shift, dim, EVERYTHING)


def curve(n: int = 60, meta: bool = True, seed: int = 0) -> Tokens:
    """A metadata token with an own value column, ``n`` observations in three bands, and a question."""
    rng = np.random.default_rng(seed)
    first, last = (1, 1) if meta else (0, 0)
    seen = slice(first, first + n)
    values, observed = torch.zeros(first + n + last, 3), torch.zeros(first + n + last, 3, dtype=torch.bool)
    coords = torch.zeros(first + n + last, 5)
    values[seen, 0] = torch.from_numpy(rng.normal(100, 20, n)).float()
    values[seen, 1] = torch.from_numpy(rng.uniform(1, 5, n)).float()
    observed[seen, :2] = True
    coords[seen, TIME] = torch.from_numpy(np.append(0.0, np.sort(rng.uniform(0, 300, n)))[:n]).float()
    ids = torch.from_numpy(rng.integers(1, 4, (first + n + last, 1)))
    if meta:
        ids[0] = META_BAND
        values[0, 2], observed[0, 2] = META_REDSHIFT, True
        coords[-1, TIME] = ASKED  # a question: a place without content
    return Tokens.of("lightcurve", ids=ids, values=values, observed=observed, coords=coords)


def observed_part(tokens: Tokens) -> Tokens:
    where = tokens.observed[:, 0]
    return tokens.replace(**{name: getattr(tokens, name)[where] for name in COLUMNS})


def assert_same(one: Tokens, other: Tokens) -> None:
    for field in dataclasses.fields(Tokens):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, field.name


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("step", STEPS)
def test_seeds_reproduce_and_the_input_is_left_alone(step):
    tokens, copy = curve(), curve()
    assert_same(step(tokens, rng()), step(tokens, rng()))
    assert_same(tokens, copy)
    different = [step(tokens, rng(seed)) for seed in range(4)]
    assert any(
        different[0].size != other.size
        or not torch.equal(different[0].values, other.values)
        or not torch.equal(different[0].coords, other.coords)
        for other in different[1:]
    )


@pytest.mark.parametrize("step", STEPS)
def test_metadata_and_questions_are_left_and_not_looked_at(step):
    tokens = curve()
    out = step(tokens, rng())
    for name in COLUMNS:
        assert torch.equal(getattr(out, name)[0], getattr(tokens, name)[0]), name
        if name != "coords":
            assert torch.equal(getattr(out, name)[-1], getattr(tokens, name)[-1]), name
    # whatever the unobserved places hold, the observations come out the same
    ends = [0, -1]
    coords, values, ids = tokens.coords.clone(), tokens.values.clone(), tokens.ids.clone()
    coords[ends, TIME] = torch.tensor([-500.0, 900.0])
    values[ends, :2] = 1e6
    ids[ends] = 1
    other = step(tokens.replace(coords=coords, values=values, ids=ids), rng())
    assert_same(observed_part(out), observed_part(other))


@pytest.mark.parametrize("step", STEPS)
def test_a_question_keeps_its_place_among_the_observations(step):
    """An observation at the moment of the question is still at the moment of the question."""
    tokens = curve()
    coords = tokens.coords.clone()
    coords[20, TIME] = ASKED
    tokens = tokens.replace(coords=coords, values=tokens.values.clone())
    tokens.ids[20] = 5  # so that it is found again
    hits = 0
    for seed in range(20):
        out = step(tokens, rng(seed))
        same = out.coords[(out.ids[:, 0] == 5) & out.observed[:, 0], TIME]
        hits += len(same)
        torch.testing.assert_close(same, out.coords[-1, TIME].expand(len(same)))
    assert hits > 3


@pytest.mark.parametrize("step", [subsample, truncate, stretch, shift])
def test_what_is_chosen_does_not_depend_on_the_light(step):
    tokens = curve()
    values = tokens.values.clone()
    values[1:-1, 0] = torch.arange(60.0)
    out, other = step(tokens, rng()), step(tokens.replace(values=values), rng())
    assert torch.equal(out.coords, other.coords)
    assert torch.equal(out.ids, other.ids)


def test_truncation_does_not_depend_on_the_light_or_bands_of_the_future():
    tokens = curve()
    kept = observed_part(truncate(tokens, rng())).size
    values, ids = tokens.values.clone(), tokens.ids.clone()
    values[1 + kept : 61, :2], ids[1 + kept : 61] = 9.0, 2
    assert_same(truncate(tokens, rng()), truncate(tokens.replace(values=values, ids=ids), rng()))


def test_subsampling_keeps_a_share_of_the_points_unchanged():
    tokens = curve(400)
    rows = {tuple(row) for row in tokens.values.tolist()}
    for seed in range(20):
        out = observed_part(subsample(tokens, rng(seed), (0.3, 0.6)))
        assert 0.29 * 400 <= out.size <= 0.61 * 400
        assert {tuple(row) for row in out.values.tolist()} <= rows
        assert float(out.coords[:, TIME].min()) == 0.0
        assert (out.coords[:, TIME].diff() >= 0).all()


def test_subsampling_chooses_all_points_equally_often():
    tokens = curve(20, meta=False)
    tokens.values[:, 0] = torch.arange(20.0)
    counts = np.zeros(20)
    for seed in range(2000):
        counts[subsample(tokens, rng(seed), (0.5, 0.5)).values[:, 0].int().numpy()] += 1
    assert counts.sum() == 2000 * 10
    assert np.abs(counts - 1000).max() < 6 * np.sqrt(2000 * 0.25)


def test_truncation_keeps_the_first_part():
    tokens = curve(400)
    first = observed_part(tokens)
    ends = []
    for seed in range(30):
        out = observed_part(truncate(tokens, rng(seed), (0.2, 0.8)))
        assert_same(out, first.replace(**{k: getattr(first, k)[: out.size] for k in COLUMNS}))
        ends.append(float(out.coords[-1, TIME]) / float(first.coords[-1, TIME]))
    assert 0.15 < min(ends) < 0.35
    assert 0.65 < max(ends) < 0.81


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_at_least_two_points_are_left(step, n):
    for seed in range(10):
        assert int(step(curve(n), rng(seed)).observed[:, 0].sum()) >= min(n, 2)


def test_two_points_are_left_of_an_extreme_request():
    tokens = curve(50)
    assert observed_part(subsample(tokens, rng(), (0.001, 0.001))).size == 2
    assert observed_part(truncate(tokens, rng(), (1e-9, 1e-9))).size == 2


def test_redrawn_noise_has_the_size_it_states():
    tokens = curve(20_000, meta=False)
    out = redraw_noise(tokens, rng(), (0.75, 0.75))
    z = (out.values - tokens.values)[:, 0] / tokens.values[:, 1]
    assert float(z.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(z.std()) == pytest.approx(0.75, rel=0.03)
    torch.testing.assert_close(out.values[:, 1], tokens.values[:, 1] * 1.25)


def test_errors_stay_calibrated():
    """Standardised residuals of a constant star keep unit variance."""
    tokens = curve(20_000, meta=False)
    truth = 100.0
    tokens.values[:, 0] = truth + tokens.values[:, 1] * torch.from_numpy(rng(9).standard_normal(20_000)).float()
    noisy = redraw_noise(tokens, rng(), (1.0, 1.0))
    assert float(((noisy.values[:, 0] - truth) / noisy.values[:, 1]).std()) == pytest.approx(1.0, rel=0.03)
    far = dim(tokens, rng(), (0.4, 0.4))
    assert float(((far.values[:, 0] - 0.4 * truth) / far.values[:, 1]).std()) == pytest.approx(1.0, rel=0.03)


def test_dimming_lowers_the_signal_to_noise_by_its_factor():
    tokens = curve(20_000, meta=False)
    out = dim(tokens, rng(), (0.3, 0.3))
    before, after = ((x.values[:, 0] / x.values[:, 1]).mean() for x in (tokens, out))
    assert float(after / before) == pytest.approx(0.3, rel=0.02)
    assert torch.equal(out.values[:, 1], tokens.values[:, 1])


def test_points_without_an_error_get_no_noise():
    tokens = curve(30, meta=False)
    observed = tokens.observed.clone()
    observed[::2, 1] = False
    tokens = tokens.replace(observed=observed)
    for step in (redraw_noise, dim):
        out = step(tokens, rng())
        assert torch.equal(out.values[::2], tokens.values[::2])
        assert not torch.equal(out.values[1::2, 0], tokens.values[1::2, 0])


def test_stretch_is_one_factor_and_shift_one_offset():
    tokens = curve()
    time = tokens.coords[2:, TIME]
    ratio = stretch(tokens, rng(), (1.5, 1.5)).coords[2:, TIME] / time
    torch.testing.assert_close(ratio, torch.full_like(ratio, 1.5))
    moved = shift(tokens, rng()).coords[1:, TIME]
    torch.testing.assert_close(moved.diff(), tokens.coords[1:, TIME].diff(), atol=1e-4, rtol=1e-4)
    assert torch.equal(shift(tokens, rng()).values, tokens.values)


def test_all_off_is_the_same_and_half_the_records_are_changed_at_one_half():
    tokens = curve()
    off = Augmentation(keep=(1.0, 1.0), noise=0.0)
    assert_same(off(tokens, rng()), tokens)
    assert_same(Augmentation(probability=0.0)(tokens, rng()), tokens)
    half = Augmentation(probability=0.5, keep=(0.5, 0.5), noise=0.0)
    changed = sum(half(tokens, rng(seed)).size < tokens.size for seed in range(200))
    assert 70 < changed < 130


def test_settings_are_plain_values():
    import json

    spec = json.loads(json.dumps(dataclasses.asdict(EVERYTHING)))
    assert_same(Augmentation(**spec)(curve(), rng()), EVERYTHING(curve(), rng()))
    assert_same(Augmentation(keep=[1.0, 1.0], noise=0.0)(curve(), rng()), curve())


@pytest.mark.parametrize(
    "wrong",
    [
        {"probability": 1.5},
        {"keep": (0.9, 0.2)},
        {"keep": (0.0, 1.0)},
        {"dim": (0.5, 1.5)},
        {"until": (0.5,)},
        {"stretch": (float("nan"), 1.0)},
        {"noise": -1.0},
        {"shift": float("inf")},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"`{next(iter(wrong))}`"):
        Augmentation(**wrong)


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match="one record"):
        subsample(pad([curve(), curve()]), rng())
