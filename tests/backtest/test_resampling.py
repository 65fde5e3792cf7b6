"""Intervals of means over windows are as wide as what their neighbours share makes them."""

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.backtest import HeldOut
from sciformer.backtest.resampling import block_length, resampled, summary
from sciformer.domains.climate import Climate


def autocorrelated(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Losses of mean 1 with the memory of weather."""
    noise = rng.normal(size=n + 100)
    for i in range(1, len(noise)):
        noise[i] = rho * noise[i - 1] + np.sqrt(1 - rho**2) * noise[i]
    return 1 + noise[100:]


def held(rng: np.random.Generator, rho: float, block: int, tries: int = 120) -> float:
    """How often the interval of 95 % holds the true mean."""
    inside = []
    for _ in range(tries):
        _, lower, upper = summary(resampled(pd.Series(autocorrelated(rng, 240, rho)), 0, block))
        inside.append(lower <= 1 <= upper)
    return float(np.mean(inside))


def test_blocks_hold_the_true_mean_of_losses_that_remember_and_single_draws_do_not():
    single = held(np.random.default_rng(0), 0.8, 1)
    blocks = held(np.random.default_rng(0), 0.8, 24)
    assert single < 0.65
    assert blocks > 0.82
    assert held(np.random.default_rng(0), 0.0, 1) > 0.9  # of independent losses single draws are right


def test_a_block_of_one_is_the_plain_bootstrap():
    values = pd.Series(np.random.default_rng(0).normal(size=50))
    draw = resampled(values, 3)
    assert draw[0] == values.mean()
    assert draw[1:].std() == pytest.approx(values.std(ddof=0) / 50**0.5, rel=0.15)


def spans(moments: int, stride: float, horizon: float) -> np.ndarray:
    cut = stride * np.arange(float(moments))
    return np.column_stack([cut - 100, cut, cut + horizon - 1])


@pytest.mark.parametrize(
    ("moments", "stride", "horizon", "block"),
    [
        (100, 4, 24, 6),  # six windows ask about the same step
        (100, 24, 24, 5),  # questions do not overlap, weather does: the cube root
        (1000, 1, 24, 24),
        (10, 1, 24, 5),  # never less than two blocks
        (3, 1, 24, 1),
    ],
)
def test_a_block_holds_all_windows_whose_questions_overlap(moments, stride, horizon, block):
    found = spans(moments, stride, horizon)
    assert block_length(found) == block
    assert block_length(np.concatenate([found, found])[::-1]) == block  # two places, in any order


def test_windows_of_one_moment_are_one_and_follow_each_other_in_time():
    """Read station by station, and still drawn moment by moment."""
    cases = [
        (Record(key=f"{place} {i}", group=f"day {i}", span=(i - 5.0, float(i), i + 1.0)), None)
        for place in "ab"
        for i in (3, 1, 2)
    ]
    table = HeldOut(Climate(), cases, [])
    table.__dict__["asked"] = pd.DataFrame({"case": np.repeat(np.arange(6), 2)})
    assert table.groups.tolist() == [2, 2, 0, 0, 1, 1] * 2
    stars = HeldOut(Climate(), [(Record(key=x), None) for x in "bac"], [])
    stars.__dict__["asked"] = pd.DataFrame({"case": [0, 1, 1, 2]})
    assert stars.groups.tolist() == [0, 1, 1, 2]
    assert stars.block == 1
