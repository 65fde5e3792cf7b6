"""Drawings of light curves say which observations a model read."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from sciformer.adapter import Record
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.curve import Curve

pytestmark = pytest.mark.usefixtures("painted")


def curve(n: int, seed: int, **known) -> Curve:
    rng = np.random.default_rng(seed)
    band = np.array(["g", "r"])[rng.integers(0, 2, n)]
    return Curve(
        time=np.sort(rng.uniform(0, 9, n)), band=band, value=rng.normal(size=n), error=np.full(n, 0.1), **known
    )


def drawn(weights=None, **known):
    return LightCurve().depict(Record(key="star <1>", data=curve(8, 0, **known)), weights)


def test_a_drawing_is_one_element_whose_ids_are_its_own():
    svg = drawn()
    assert svg is not None
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert all(name.startswith("star--1--") for name in re.findall(r'id="([^"]+)"', svg))
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)


def test_what_was_read_most_is_drawn_strongest():
    weights = np.linspace(0.01, 0.2, 8).tolist()
    svg = drawn(weights)
    assert svg is not None
    assert svg != drawn(weights[::-1])
    with pytest.raises(ValueError, match="a weight is needed for each of 8 observations, got 3"):
        drawn([0.1, 0.2, 0.3])


def test_the_token_of_the_object_is_not_drawn():
    meta = {"redshift": 0.1}
    assert drawn([0.9, *np.full(8, 0.1)], meta=meta) == drawn([0.1, *np.full(8, 0.1)], meta=meta)


def test_an_unreadable_record_has_no_drawing():
    assert LightCurve().depict(Record(key="x", problem="no observations")) is None


def pulsator(n: int = 40) -> Curve:
    time = np.sort(np.random.default_rng(1).uniform(0, 30, n))
    value = 15 + np.sin(2 * np.pi * time / 0.7)
    return Curve(time=time, band=np.full(n, "g"), value=value, error=np.full(n, 0.02), quantity="mag")


def test_a_star_that_repeats_itself_is_drawn_by_phase():
    record = Record(key="star", data=pulsator())
    folded = LightCurve(fold=True).depict(record)
    assert folded is not None
    found = re.search(r"phase \(period ([\d.]+) d, found from what was seen\)", folded)
    assert found
    assert float(found[1]) == pytest.approx(0.7, rel=0.01)
    assert "days since the first observation" in folded
    assert "phase" not in (LightCurve().depict(record) or "")
    few = Record(key="star", data=pulsator().take(np.arange(4)))  # too few for a period
    assert "phase" not in (LightCurve(fold=True).depict(few) or "")


@pytest.mark.parametrize("fold", [False, True])
def test_a_forecast_is_drawn_from_what_was_seen_alone(fold):
    adapter = LightCurve(bands=("g",), fold=fold)
    divided = adapter.divide(Record(key="star", data=pulsator()), 0.3)
    assert divided is not None
    asked = []

    def ask(case):
        asked.append(case)
        return adapter.observations(case[1]).assign(mean=15.0, lower=14.5, upper=15.5)

    record, later = divided
    svg = adapter.depict_forecast(record, later, ask)
    assert svg is not None
    for word in ("seen", "later", "forecast"):
        assert f">{word}</text>" in svg
    assert ("phase (period" in svg) == fold
    [(seen, grid)] = asked
    assert len(seen.data) == len(record.data)
    assert (grid.time >= record.data.time[-1]).all()
    if fold:
        assert np.ptp(grid.time) == pytest.approx(0.7, rel=0.01)
