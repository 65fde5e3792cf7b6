"""The promise of conformal prediction: coverage holds whatever the model, on average and for every class."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from sciformer import calibration
from sciformer.calibration import (
    ClassCalibration,
    IntervalCalibration,
    LeadCalibration,
    calibrate,
    class_shares,
    conformal_quantile,
    records_needed,
)
from sciformer.distributions import Categorical, Gaussian, Quantiles, take

LEVELS = (0.5, 0.8, 0.9)


def _regression(n: int, rng: np.random.Generator) -> tuple[Gaussian, np.ndarray]:
    """A model that is three times too sure of itself."""
    mean, std = rng.normal(size=n), rng.uniform(0.5, 2.0, size=n)
    truth = mean + 3 * std * rng.normal(size=n)
    return Gaussian(torch.from_numpy(mean), torch.from_numpy(std)), truth


def _classes(n: int, rng: np.random.Generator, share: float = 0.1) -> tuple[Categorical, np.ndarray]:
    """``share`` is of the second class, and the model, which expects one in ten, hardly tells it from the other."""
    truth = (rng.random(n) < share).astype(np.int64)
    logit = -2.2 + 0.5 * truth + rng.normal(size=n)
    return Categorical.from_raw(torch.from_numpy(logit).unsqueeze(-1)), truth


@pytest.mark.parametrize("n", [1, 9, 20, 99])
def test_the_quantile_is_the_smallest_that_keeps_the_promise(n):
    scores = np.arange(1.0, n + 1)
    found = conformal_quantile(scores, 0.9)
    if n < records_needed(0.9):
        assert found == math.inf
    else:
        assert found == min(k for k in scores if k / (n + 1) >= 0.9)


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_of_an_overconfident_model_hold_what_they_promise(level):
    rng = np.random.default_rng(0)
    known = calibrate(*_regression(2000, rng))
    assert isinstance(known, IntervalCalibration)
    answer, truth = _regression(4000, rng)
    lower, upper = known.interval(answer, level)
    assert ((lower <= truth) & (truth <= upper)).mean() == pytest.approx(level, abs=0.03)


def test_quantile_answers_are_widened_alike():
    rng = np.random.default_rng(0)
    raw = torch.from_numpy(rng.normal(size=(1500, len(Quantiles.LEVELS))))
    truth = rng.normal(size=1500) * 5
    answer = Quantiles.from_raw(raw)
    known = IntervalCalibration.fit(answer, truth)
    lower, upper = known.interval(answer, 0.9)
    assert ((lower <= truth) & (truth <= upper)).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("level", LEVELS)
def test_sets_hold_the_truth_of_every_class_and_not_only_on_average(level):
    rng = np.random.default_rng(0)
    known = ClassCalibration.fit(*_classes(4000, rng))
    answer, truth = _classes(8000, rng)
    inside = known.sets(known.probs(answer), level)[np.arange(8000), truth]
    for label in (0, 1):
        # The likeliest class is always in the set, so the common one may be covered more often.
        assert inside[truth == label].mean() > level - 0.05
    assert inside[truth == 1].mean() < level + 0.05


def test_a_class_of_too_few_records_has_the_threshold_of_all():
    rng = np.random.default_rng(0)
    answer, truth = _classes(300, rng)
    truth[:] = 0
    truth[:5] = 1
    known = ClassCalibration.fit(answer, truth)
    assert known.counts == (295, 5)
    probs = known.probs(answer)
    together = conformal_quantile(1 - probs[np.arange(300), truth], 0.9)
    assert known.thresholds[1][0.9] == together
    assert known.thresholds[0][0.9] != together
    assert known.promises(0.9)


@pytest.mark.parametrize("make", [_regression, _classes])
def test_a_calibration_comes_back_from_json(make):
    answer, truth = make(50, np.random.default_rng(0))
    known = calibrate(answer, truth.astype(np.float64))
    assert calibration.from_json(known.to_json()) == known


def test_probabilities_of_an_overconfident_model_are_tamed():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 3000)
    truth = (rng.random(3000) < p).astype(np.int64)
    sure = Categorical.from_raw(torch.from_numpy(4 * np.log(p / (1 - p))).unsqueeze(-1))
    known = ClassCalibration.fit(sure, truth)
    assert known.temperature == pytest.approx(4, rel=0.2)
    assert np.abs(known.probs(sure)[:, 1] - p).mean() < 0.03


@pytest.mark.parametrize("level", LEVELS)
def test_variants_of_a_record_promise_no_more_than_the_record(level):
    scores = np.arange(1.0, 11)
    assert conformal_quantile(np.repeat(scores, 4), level, np.repeat(np.arange(10), 4)) == conformal_quantile(
        scores, level
    )
    answer, truth = _classes(20, np.random.default_rng(0))
    groups = np.repeat(np.arange(20), 20)
    known = ClassCalibration.fit(take(answer, groups), truth[groups], groups)
    assert known.n == 20
    assert sum(known.counts) <= 20
    assert not known.promises(0.99)
    assert known.thresholds[1][0.95] == known.thresholds[0][0.95]  # so few records of a class promise nothing


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_class_shares_are_found_without_labels(share):
    rng = np.random.default_rng(1)
    truth = (rng.random(50_000) < share).astype(int)
    # one measurement of two normal classes: the exact probability for equal shares is a logistic function of it
    x = rng.normal(2 * truth - 1.0)
    p = 1 / (1 + np.exp(-2 * x))
    found = class_shares(np.column_stack([1 - p, p]), np.array([0.5, 0.5]))
    assert found[1] == pytest.approx(share, abs=0.01)
    assert found.sum() == pytest.approx(1.0)


def test_a_class_that_seems_to_be_absent_is_rare_and_not_impossible():
    found = class_shares(np.tile([0.999, 0.001], (99, 1)), np.array([0.5, 0.5]))
    assert found[1] == pytest.approx(0.01, rel=0.01)


def test_probabilities_are_honest_where_a_class_is_more_common_than_in_calibration():
    rng = np.random.default_rng(2)
    answer, truth = _classes(20_000, rng, share=0.6)
    plain = ClassCalibration.fit(*_classes(5000, rng))
    tilted = ClassCalibration.fit(*_classes(5000, rng), unlabelled=answer)
    assert plain.probs(answer)[:, 1].mean() < 0.3
    assert tilted.probs(answer)[:, 1].mean() == pytest.approx(0.6, abs=0.1)
    # calibrated: of those answered with about p, about p are of the class
    p = tilted.probs(answer)[:, 1]
    for low in (0.2, 0.5, 0.7):
        some = (p > low) & (p < low + 0.1)
        assert truth[some].mean() == pytest.approx(p[some].mean(), abs=0.1)


def test_sets_of_every_class_hold_whatever_its_share():
    rng = np.random.default_rng(2)
    answer, truth = _classes(20_000, rng, share=0.6)
    known = ClassCalibration.fit(*_classes(5000, rng), unlabelled=answer)
    inside = known.sets(known.probs(answer), 0.9)[np.arange(len(truth)), truth]
    assert min(inside[truth == label].mean() for label in (0, 1)) > 0.87


def test_a_tilt_survives_json_and_its_absence_is_none():
    rng = np.random.default_rng(0)
    known = ClassCalibration.fit(*_classes(200, rng), unlabelled=_classes(300, rng, share=0.5)[0])
    assert len(known.tilt) == 2
    assert calibration.from_json(known.to_json()) == known
    old = {name: x for name, x in known.to_json().items() if name != "tilt"}
    assert calibration.from_json(old) == dataclasses.replace(known, tilt=())


@pytest.mark.parametrize("n", [3, 12, 60])
def test_intervals_of_a_higher_level_hold_those_of_a_lower_one(n):
    rng = np.random.default_rng(n)
    answer, truth = _regression(n, rng)
    known = IntervalCalibration.fit(Gaussian(answer.mean, answer.std / 10), truth)  # much too sure of itself
    assert not known.promises(0.99)
    spread = torch.from_numpy(np.sort(rng.normal(size=(50, len(Quantiles.LEVELS))), axis=1))
    for told in (Gaussian(torch.zeros(50), torch.ones(50)), Quantiles(spread)):
        bounds = [known.interval(told, level) for level in calibration.LEVELS]
        for (low, high), (lower, higher) in itertools.pairwise(bounds):
            assert (lower <= low).all()
            assert (higher >= high).all()
    finite = max(x for x in known.stretch.values() if math.isfinite(x))
    lower, upper = known.interval(Gaussian(torch.zeros(1), torch.ones(1)), 0.99)
    own = float(Gaussian(torch.zeros(1), torch.ones(1)).interval(0.99)[1])
    assert float(upper[0]) >= own * (1 + 2 * max(finite, 0)) - 1e-6


@pytest.mark.parametrize("n", [3, 12, 60])
def test_sets_of_a_higher_level_hold_those_of_a_lower_one(n):
    rng = np.random.default_rng(n)
    known = ClassCalibration.fit(*_classes(n, rng))
    probs = known.probs(_classes(200, rng)[0])
    sets = [known.sets(probs, level) for level in calibration.LEVELS]
    for small, large in itertools.pairwise(sets):
        assert (large | ~small).all()


@pytest.mark.parametrize(("all_windows", "edges", "n"), [(20, [1, 2, 5], 14), (8, [5], 8)])
def test_leads_that_few_windows_have_share_the_calibration_of_their_neighbours(all_windows, edges, n):
    """Every group can promise 90 % if all windows together can."""
    windows = {1: range(20), 2: range(20), 3: range(8), 4: range(8, 12), 5: range(12, 14)}
    pairs = [(lead, i) for lead, some in windows.items() for i in some if i < all_windows]
    ahead, window = np.array([*pairs, (5, 0)]).T
    answer, truth = _regression(len(ahead), np.random.default_rng(0))
    known = LeadCalibration.fit(answer, truth, window, ahead.astype(float))
    assert list(known.edges) == edges
    assert known.n == n
    assert known.promises(0.9) == (n >= records_needed(0.9))
