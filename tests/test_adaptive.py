"""Intervals that follow a series hold where static ones fail, and know nothing that was not yet known."""

import numpy as np
import pytest
import torch

from sciformer.adaptive import follow, intervals, track
from sciformer.calibration import LEVELS, LeadCalibration
from sciformer.distributions import Gaussian

LEADS = 4


def drifting(rng: np.random.Generator, moments: int, factor: float):
    """Forecasts of ``LEADS`` steps, one after the other; the noise of the truth is ``factor`` times what they say."""
    time = np.arange(1.0, moments * LEADS + 1)
    ahead = np.tile(np.arange(1.0, LEADS + 1), moments)
    answer = Gaussian(torch.zeros(len(time), dtype=torch.float64), torch.ones(len(time), dtype=torch.float64))
    return answer, factor * rng.normal(size=len(time)), time, ahead


@pytest.fixture(scope="module")
def static() -> LeadCalibration:
    answer, truth, _, ahead = drifting(np.random.default_rng(0), 1000, 1.0)
    return LeadCalibration.fit(answer, truth, np.repeat(np.arange(1000), LEADS), ahead)


def held(bounds: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> float:
    return float(((bounds[0] <= truth) & (truth <= bounds[1])).mean())


@pytest.mark.parametrize(("factor", "lowest", "highest"), [(2.0, 0.0, 0.7), (1.0, 0.87, 0.93), (0.4, 0.99, 1.0)])
def test_where_the_noise_changes_adaptive_intervals_come_back_to_their_level(static, factor, lowest, highest):
    answer, truth, time, ahead = drifting(np.random.default_rng(1), 300, factor)
    assert lowest <= held(static.interval(answer, 0.9, ahead), truth) <= highest
    lower, upper = intervals(static, answer, truth, time, ahead, 0.9)
    late = time > time.max() / 2
    assert 0.86 < held((lower[late], upper[late]), truth[late]) < 0.94


def test_what_is_learned_at_one_lead_leaves_the_others_alone(static):
    answer, truth, time, ahead = drifting(np.random.default_rng(1), 200, 1.0)
    truth[ahead == LEADS] *= 3
    _, known = follow(static, answer, truth, time, ahead)
    stretch = [group.stretch[0.9] for group in known[-1].groups]
    assert stretch[-1] > 0.6
    assert max(np.abs(stretch[:-1])) < 0.35


def test_no_interval_depends_on_a_truth_that_was_not_yet_known(static):
    """Forecasts of four steps made at every step: what happens after a forecast was made cannot move it."""
    moments = 40
    made = np.repeat(np.arange(float(moments)), LEADS)
    ahead = np.tile(np.arange(1.0, LEADS + 1), moments)
    time, rng = made + ahead, np.random.default_rng(0)
    series = rng.normal(size=moments + LEADS + 1)
    answer = Gaussian(torch.zeros(len(time), dtype=torch.float64), torch.ones(len(time), dtype=torch.float64))
    now = 25
    other = np.where(np.arange(len(series)) > now, 50.0, series)
    bounds = [np.array(intervals(static, answer, x[time.astype(int)], time, ahead, 0.9)) for x in (series, other)]
    before = made <= now
    np.testing.assert_array_equal(bounds[0][:, before], bounds[1][:, before])
    assert (bounds[0][:, made == now + LEADS] != bounds[1][:, made == now + LEADS]).all()


def test_the_share_outside_comes_to_its_level_whatever_the_series_does():
    """Proposition 1 of Angelopoulos et al. 2023: |share - (1 - level)| <= (range + rate) / (rate n)."""
    rng, n = np.random.default_rng(0), 2000
    scores = np.clip(np.cumsum(rng.choice([-0.05, 0.05], n)), -0.5, 3.0)
    made = np.arange(float(n))
    stretch = track(scores, np.arange(n), made + 1, made, 0.0, 0.8)
    assert abs((scores > stretch[:-1]).mean() - 0.2) <= (3.5 + 0.1) / (0.1 * n)


def test_a_level_that_was_not_calibrated_is_learned_from_the_series_alone():
    answer, truth, time, ahead = drifting(np.random.default_rng(0), 400, 2.0)
    _, known = follow(LeadCalibration.unknown(ahead), answer, truth, time, ahead)
    assert all(known[-1].promises(level) for level in LEVELS)
    fresh, truth, _, ahead = drifting(np.random.default_rng(1), 400, 2.0)
    assert 0.84 < held(known[-1].interval(fresh, 0.9, ahead), truth) < 0.95
