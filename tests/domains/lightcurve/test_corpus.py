"""Light curves without answers: several sources, read as one."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.lightcurve.baseline import described
from sciformer.domains.lightcurve.corpus import LightCurveCorpus, unnamed
from sciformer.domains.lightcurve.curve import RELATIVE
from sciformer.domains.lightcurve.data import LightCurveData


@pytest.fixture(scope="module")
def sky() -> list[Record]:
    return LightCurveData(rows=60).load().records


@pytest.fixture
def stars(tmp_path) -> str:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"star": np.repeat(["a", "b", "c"], 40), "jd": np.tile(np.arange(40.0), 3), "band": "V"})
    table["mag"], table["mag_err"] = 12 + rng.normal(size=120), 0.1
    table.to_csv(tmp_path / "stars.csv", index=False)
    return str(tmp_path / "stars.csv")


def test_fluxes_and_magnitudes_stand_side_by_side_and_no_answer_is_among_them(stars):
    corpus = LightCurveCorpus(sources=stars, simulated=20).load()
    assert len({record.key for record in corpus.records}) == 23
    assert not corpus.targets
    assert not any(record.targets for record in corpus.records)
    assert corpus.adapter.unit == RELATIVE
    assert {"V", "g", "r"} <= set(corpus.adapter.bands)
    assert corpus.source == f"{stars}, simulated"
    assert not corpus.simulated
    assert all(corpus.adapter.unlike(record) == "" for record in corpus.records if record.ok)


def test_one_source_keeps_its_unit_and_rows_are_the_first_of_each(stars):
    corpus = LightCurveCorpus(sources=stars, simulated=0, rows=2).load()
    assert [record.key for record in corpus.records] == [f"{stars}:a", f"{stars}:b"]
    assert corpus.adapter.unit == "mag"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"simulated": -1}, "must not be negative"),
        ({"unnamed": 1.5}, "lie in 0..1"),
        ({"sources": "", "simulated": 0}, "needs data.sources or data.simulated"),
    ],
)
def test_options_that_leave_nothing_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        LightCurveCorpus(**options)


def test_a_source_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="'nowhere'"):
        LightCurveCorpus(sources="nowhere").load()


def test_an_unnamed_object_is_the_same_light_in_magnitudes_of_one_band(sky):
    assert unnamed(sky, 0.0) == sky
    changed = 0
    for before, after in zip((r.data for r in sky), (r.data for r in unnamed(sky, 1.0)), strict=True):
        if after.quantity == "mag":
            changed += 1
            assert set(after.band) == {""}
            assert not after.meta
            flux = 10 ** (-0.4 * (after.value - 23.9))
            rows = np.searchsorted(before.time, after.time)
            assert len(set(before.band[rows])) == 1
            np.testing.assert_allclose(flux, before.value[rows], rtol=1e-9)
            np.testing.assert_allclose(after.error / 1.0857, before.error[rows] / flux, rtol=1e-4)
        else:
            assert after is before
    assert changed > 30


def test_descriptors_do_not_know_the_unit_nor_what_is_known_beside_the_light(sky):
    records = [record for record in sky if record.ok][:10]
    louder = [
        dataclasses.replace(r, data=dataclasses.replace(r.data, value=1e3 * r.data.value, error=1e3 * r.data.error))
        for r in records
    ]
    table = described(records)
    pd.testing.assert_frame_equal(table, described(louder), rtol=1e-3, atol=1e-3)
    assert {"log10_period", "skew_all", "g-r"} <= set(table)
    assert not any("redshift" in name or name.endswith("_g") for name in table)
    assert table["log10_period"].notna().any()
