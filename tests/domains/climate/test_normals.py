"""What is normal follows the year and the day, as far as the record can show."""

import numpy as np
from numpy.testing import assert_allclose

from sciformer.domains.climate.normals import Cycles, fit


def test_a_year_and_a_day_are_found_through_gaps():
    time = np.arange(0, 3 * 365.2425, 0.25)
    rng = np.random.default_rng(0)
    truth = 5 + 8 * np.cos(2 * np.pi * time / 365.2425) + 2 * np.sin(2 * np.pi * time)
    seen = np.where(rng.random(len(time)) < 0.4, np.nan, truth + 0.5 * rng.normal(size=len(time)))
    cycles = Cycles.of(time, 0.25, "standard")
    assert cycles.annual == 3
    assert cycles.diurnal == 1  # four steps a day show no more
    coefficients, spread = fit(cycles, time, np.stack([seen, np.full(len(time), np.nan)], 1))
    assert_allclose(cycles.design(time) @ coefficients[0], truth, atol=0.15)
    assert_allclose(spread[0], 0.5, rtol=0.05)
    assert np.isnan(spread[1])


def test_what_is_too_short_to_show_a_cycle_has_none():
    assert Cycles.of(np.arange(400.0), 1.0, "standard") == Cycles(0, 0, 365.2425)
    assert Cycles.of(np.arange(800.0), 1.0, "360_day") == Cycles(3, 0, 360.0)
    assert Cycles.of(np.arange(0, 3, 1 / 24), 1 / 24, "noleap") == Cycles(0, 0, 365.0)
    assert Cycles.of(30.44 * np.arange(240), 30.44, "standard").annual == 3
