"""Forecasts: the future never leaks, errors count, and a regular series is continued."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sciformer.adapter import Record
from sciformer.distributions import Quantiles
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.curve import Curve
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.forecast import Forecast, blank
from sciformer.tokens import Batch, Example, Tokens, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=4, dropout=0.0)
ADAPTER = LightCurve(bands=("g", "r"), shortest=1.0, longest=100.0)


def curve(seed: int, n: int = 24) -> Curve:
    """A sine wave of period 10 days whose red half is twice as bright."""
    rng = np.random.default_rng(seed)
    time = 57_000 + np.sort(rng.uniform(0, 40, n))
    band = np.array(["g", "r"])[rng.integers(0, 2, n)]
    value = (1 + (band == "r")) * np.sin(2 * np.pi * (time - 57_000 + seed) / 10)
    return Curve(time=time, band=band, value=value, error=np.full(n, 0.05))


def questions(times: np.ndarray, band: str = "g") -> Curve:
    n = len(times)
    return Curve(time=times, band=np.full(n, band), value=np.zeros(n), error=np.zeros(n))


def batch_of(curves: list[Curve], asked: Curve | None = None) -> Batch:
    records = [Record(key=str(i), data=c) for i, c in enumerate(curves)]
    return collate([Example(key=r.key, tokens={"lightcurve": ADAPTER.ask(r, asked)}) for r in records])


@pytest.fixture
def untrained() -> tuple[Sciformer, Forecast]:
    torch.manual_seed(0)
    model = Sciformer(CONFIG, {"lightcurve": ADAPTER}).eval()
    return model, Forecast(CONFIG, ADAPTER).eval()


@pytest.fixture(params=["gaussian", "quantile"])
def of_either_family(request, untrained) -> tuple[Sciformer, Forecast]:
    return untrained[0], Forecast(CONFIG, ADAPTER, family=request.param).eval()


def tokens_of(batch: Batch) -> Tokens:
    return batch.tokens["lightcurve"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_asked_cannot_be_seen(untrained, seed):
    model, task = untrained
    batch = batch_of([curve(0), curve(1)])
    chosen = task.chosen(tokens_of(batch), rng(seed))
    problem = task.pose(batch, rng(seed))
    changed = tokens_of(batch).replace(
        values=tokens_of(batch).values + 100.0 * chosen.unsqueeze(-1) * tokens_of(batch).observed
    )
    other = task.pose(dataclasses.replace(batch, tokens={"lightcurve": changed}), rng(seed))
    assert chosen.any()
    assert torch.equal(task(model, problem).mean, task(model, other).mean)
    assert torch.equal(problem.truth["std"], other.truth["std"])
    assert not torch.equal(problem.truth["value"], other.truth["value"])


@pytest.mark.parametrize("seed", range(5))
def test_the_future_does_not_leak_through_period_and_phases(seed):
    """Records of another future, tokenised with all that can be derived from it, are given as the same problem."""
    adapter = dataclasses.replace(ADAPTER, fold=True)
    task = Forecast(CONFIG, adapter, future=0.5)
    stars = [curve(0, 40), curve(1, 60)]

    def batch(curves: list[Curve]) -> Batch:
        tokens = [adapter.tokenize(Record(key=str(i), data=c)) for i, c in enumerate(curves)]
        return collate([Example(key=str(i), tokens={"lightcurve": x}) for i, x in enumerate(tokens)])

    chosen = task.chosen(tokens_of(batch(stars)), rng(seed))
    noise = np.random.default_rng(seed)
    others = [
        dataclasses.replace(c, value=np.where(row[: len(c)].numpy(), noise.normal(0, 9, len(c)), c.value))
        for c, row in zip(stars, chosen, strict=True)
    ]
    left, right = (task.pose(batch(x), rng(seed)) for x in (stars, others))
    assert not torch.equal(tokens_of(batch(stars)).values[~chosen], tokens_of(batch(others)).values[~chosen])
    for one, other in ((left.given["lightcurve"], right.given["lightcurve"]), (left.asked, right.asked)):
        assert one is not None
        assert other is not None
        assert torch.equal(one.values, other.values)
        assert torch.equal(one.observed, other.observed)
        assert torch.equal(one.coords, other.coords)
    assert left.asked is not None
    assert torch.equal(left.asked.exists.sum(-1), chosen.sum(-1))
    enough = left.given["lightcurve"].exists.sum(-1) >= 10
    assert left.asked.observed[left.asked.exists & enough[:, None]].any(-1).all()  # questions know their phase


def test_questions_that_know_their_phase_are_still_questions():
    adapter = dataclasses.replace(ADAPTER, fold=True)
    tokens = adapter.ask(Record(key="a", data=curve(0, 40)), questions(np.array([57_050.0, 57_060.0])))
    problem = Forecast(CONFIG, adapter).pose(collate([Example(key="a", tokens={"lightcurve": tokens})]))
    assert problem.asked is not None
    assert problem.asked.exists.sum() == 2


def test_kinds_that_are_kept_apart_do_not_read_each_other():
    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"lightcurve": ADAPTER}).eval(), Forecast(CONFIG, ADAPTER, apart=True).eval()
    torch.nn.init.normal_(task.readout.weight)
    seen, asked = curve(0), questions(np.array([57_050.0]))

    def answer(data: Curve) -> torch.Tensor:
        return task(model, task.pose(batch_of([data, curve(1)], asked))).mean[0]

    other = {band: dataclasses.replace(seen, value=seen.value + 5.0 * (seen.band == band)) for band in ("g", "r")}
    assert_close(answer(other["r"]), answer(seen))
    shaped = dataclasses.replace(seen, value=np.where(seen.band == "g", seen.value**2, seen.value))
    assert not torch.allclose(answer(shaped), answer(seen), atol=1e-3)
    assert torch.isfinite(answer(dataclasses.replace(seen, band=np.full(len(seen), "r")))).all()  # nothing to read


def test_what_is_read_of_each_token_adds_up_to_one(untrained):
    model, task = untrained
    batch = batch_of([curve(0), curve(1, 12)], questions(np.array([57_050.0, 57_055.0])))
    weights = task.weights(model, batch)
    assert_close(weights.sum(-1), torch.ones(2))
    assert (weights[0, :24] > 0).all()
    assert (weights[1, 12:] == 0).all()  # of another record, or of none


def test_a_forecast_asks_only_for_what_is_later(untrained):
    batch = batch_of([curve(i) for i in range(6)])
    task = Forecast(CONFIG, ADAPTER, future=1.0)
    tokens, asked = tokens_of(batch), task.end_or_gaps(tokens_of(batch), rng())
    for time, late in zip(tokens.coords[..., 1], asked, strict=True):
        assert late.any()
        assert time[~late].max() < time[late].min()


def test_an_answer_does_not_depend_on_what_else_is_asked(untrained):
    model, task = untrained
    times = np.array([57_041.0, 57_045.0, 57_060.0])
    together = task.predict(model, batch_of([curve(0)], questions(times)))
    alone = [task.predict(model, batch_of([curve(0)], questions(times[i : i + 1]))).mean for i in range(3)]
    assert_close(together.mean, torch.cat(alone))


def test_a_forecast_does_not_know_the_epoch(untrained):
    model, task = untrained
    star, asked = curve(0), questions(np.array([57_050.0]))
    later = dataclasses.replace(star, time=star.time + 12_345.0)
    moved = dataclasses.replace(asked, time=asked.time + 12_345.0)
    left, right = (task.predict(model, batch_of([a], b)) for a, b in ((star, asked), (later, moved)))
    assert_close(left.mean, right.mean, rtol=1e-3, atol=1e-4)


def test_a_forecast_is_in_the_unit_of_the_values(of_either_family):
    model, task = of_either_family
    star, asked = curve(0), questions(np.array([57_050.0]))
    brighter = dataclasses.replace(star, value=star.value + 20)
    left, right = (task.predict(model, batch_of([c], asked)) for c in (star, brighter))
    assert_close(right.mean, left.mean + 20, rtol=1e-4, atol=1e-3)
    assert_close(right.std, left.std, rtol=1e-3, atol=1e-4)


def test_a_noisy_measurement_pulls_less(untrained):
    model, task = untrained
    batch = batch_of([curve(0)])
    problem = task.pose(batch, rng())
    noisy = dataclasses.replace(problem, truth={**problem.truth, "error": problem.truth["error"] * 100})

    def pull(p) -> float:
        answer = task(model, p)
        mean = answer.mean.detach().requires_grad_()
        loss = task.score(dataclasses.replace(answer, mean=mean), p)["loss"]
        return float(torch.autograd.grad(loss, mean)[0].abs().sum())

    assert pull(noisy) < 0.5 * pull(problem)


def test_a_record_of_which_nothing_is_known_gets_an_answer(of_either_family):
    model, task = of_either_family
    batch = batch_of([curve(0)])
    empty = blank(tokens_of(batch), tokens_of(batch).exists, [])
    answer = task.predict(model, dataclasses.replace(batch, tokens={"lightcurve": empty}))
    assert len(answer.mean) == empty.size
    assert answer.mean.isfinite().all()


def test_regular_series_are_continued_beyond_their_end():
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, width=64)
    model, task = Sciformer(config, {"lightcurve": ADAPTER}), Forecast(config, ADAPTER)
    optimizer = torch.optim.AdamW([*model.parameters(), *task.parameters()], lr=2e-3)
    batch = batch_of([curve(i) for i in range(8)])
    generator = rng()
    for _ in range(300):
        problem = task.pose(batch, generator)
        loss = task.score(task(model, problem), problem)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        problem = task.pose(batch, rng(10_000))
        answer = task(model.eval(), problem)
    truth = (problem.truth["value"] - problem.truth["mean"]) / problem.truth["std"]
    error, constant = (answer.mean - truth).square().mean().sqrt(), truth.square().mean().sqrt()
    assert error < 0.5 * constant  # a band that was hidden whole among them


def test_quantiles_learn_what_no_gaussian_is():
    """Nothing on most days, much on some: the lower half of the answer is where nothing is."""
    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"lightcurve": ADAPTER}), Forecast(CONFIG, ADAPTER, family="quantile")
    rain = np.random.default_rng(0).gamma(2, 1, (8, 60)) * (np.random.default_rng(1).random((8, 60)) < 0.3)
    batch = batch_of([dataclasses.replace(curve(i, 60), value=x, error=np.zeros(60)) for i, x in enumerate(rain)])
    optimizer, generator = torch.optim.AdamW([*model.parameters(), *task.parameters()], lr=3e-3), rng()
    for _ in range(60):
        problem = task.pose(batch, generator)
        loss = task.score(task(model, problem), problem)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean, std = (problem.truth[name] for name in ("mean", "std"))
    values = task(model, problem).affine(mean, std).values.mean(0)
    below, above = values[4] - values[2], values[6] - values[4]
    assert above > 2 * below


def test_a_task_comes_back_from_its_description(untrained):
    task = untrained[1]
    again = Forecast.from_json(CONFIG, task.to_json(), ADAPTER)
    assert again.state_dict().keys() == task.state_dict().keys()
    told = Forecast(CONFIG, ADAPTER, family="quantile").to_json()
    assert Forecast.from_json(CONFIG, told, ADAPTER).kind is Quantiles
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        Forecast(CONFIG, ADAPTER, future=2.0)


def test_before_training_a_model_answers_what_answers_start_from(of_either_family):
    model, task = of_either_family
    problem = task.pose(batch_of([curve(0), curve(1)]), rng())
    answer = task(model, problem)
    assert not answer.mean.any()
    for bound, z in zip(answer.interval(0.9), (-1.6448536, 1.6448536), strict=True):
        torch.testing.assert_close(bound, torch.full_like(bound, z))


def test_in_some_rows_a_band_is_hidden_but_for_a_few_observations(untrained):
    task = untrained[1]
    tokens = tokens_of(batch_of([curve(i, 60) for i in range(8)]))
    nothing = torch.zeros_like(tokens.exists)
    found = [task.unseen(tokens, nothing, rng(seed)) for seed in range(20)]
    rows = [(row, i) for hidden in found for i, row in enumerate(hidden) if row.any()]
    assert 0.15 < len(rows) / 160 < 0.45
    for hidden, i in rows:
        band = tokens.ids[i, :, 0]
        assert len(set(band[hidden].tolist())) == 1
        left = (band == band[hidden][0]) & tokens.observed[i, :, 0] & ~hidden
        assert int(left.sum()) <= task.FEW
        assert (tokens.observed[i, :, 0] & ~hidden).any()
