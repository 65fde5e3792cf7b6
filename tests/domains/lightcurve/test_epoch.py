"""No answer depends on the origin of time: it would betray the instrument, and with it often the class."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sciformer.adapter import Record
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.baseline import features
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.data import LightCurveData, scrambled
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.property import Property
from sciformer.tokens import Example, Target, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=2)


def stars() -> list[Record]:
    """Half of them in full Julian dates, half in MJD."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(8):
        n, origin = int(rng.integers(5, 80)), (2_455_000.0, 55_000.0)[i % 2]
        time = origin + np.sort(rng.uniform(0, 800, n))
        value = np.cos(2 * np.pi * time / rng.uniform(0.2, 5)) + 0.1 * rng.standard_normal(n)
        curve = Curve(time=time, band=rng.choice(["g", "r"], n), value=value, error=np.full(n, 0.1), quantity="mag")
        found.append(Record(key=str(i), data=curve))
    return found


def answers(records: list[Record], adapter: LightCurve) -> torch.Tensor:
    torch.manual_seed(0)
    model = Sciformer(CONFIG, {adapter.name: adapter}).eval()
    task = Property(CONFIG, [Target("class", "multiclass", classes=("a", "b", "c"))], extensive=False).eval()
    batch = collate([Example(key=r.key, tokens={adapter.name: adapter.tokenize(r)}) for r in records])
    with torch.no_grad():
        return task.predict(model, batch)["class"].probs


@pytest.mark.parametrize("fold", [False, True])
def test_answers_are_the_same_from_any_origin(fold):
    adapter = LightCurve(bands=("g", "r"), fold=fold)
    there = answers(scrambled(stars(), 1e5), adapter)
    assert_close(there, answers(stars(), adapter), rtol=0, atol=1e-4)


def test_real_stars_in_two_time_scales_are_the_same_from_any_origin(mirror):
    found = LightCurveData(source="debosscher", targets="label", fold=True).load()
    records = [record for record in found.records if record.ok][::100]
    times = [record.data.time[0] for record in scrambled(records, 1e5)]
    assert np.std([time - record.data.time[0] for time, record in zip(times, records, strict=True)]) > 1e4
    assert_close(answers(scrambled(records, 1e5), found.adapter), answers(records, found.adapter), rtol=0, atol=1e-3)
    np.testing.assert_allclose(features(scrambled(records, 1e5)), features(records), rtol=1e-3, atol=1e-3)


def test_scrambling_is_an_option_of_the_data():
    with pytest.raises(ValueError, match="must be 0"):
        LightCurveData(scramble=-1.0)
    plain, other = (LightCurveData(rows=20, scramble=days).load() for days in (0.0, 1e4))
    steps = [b.data.time - a.data.time for a, b in zip(plain.records, other.records, strict=True)]
    assert all(np.ptp(step) < 1e-6 for step in steps)
    assert len({round(float(step[0])) for step in steps}) > 15
    assert other.records[0].data.scale == ""
