"""Answers before a record is complete: asked of models that met such records, and right at the end."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sciformer
from sciformer import assessment, early, evaluation
from sciformer.adapter import Record
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.data import LightCurveData

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--model.width", "24", "--model.depth", "1", "--model.heads", "2", "--optim.epochs", "1"]


def supernova(snr: list[float], *, quantity="flux", error: float = 1.0) -> Record:
    n = len(snr)
    data = Curve(
        time=100.0 + 10 * np.arange(n),
        band=np.full(n, "r"),
        value=np.array(snr),
        error=np.full(n, error),
        quantity=quantity,
    )
    return Record(key="sn", data=data)


def test_age_counts_from_the_first_detection():
    adapter = LightCurve()
    assert adapter.ages(supernova([1, 2, 9, 20, 6])).tolist() == [-20, -10, 0, 10, 20]
    for record in (
        supernova([1, 2, 3]),
        supernova([19, 18, 17], quantity="mag", error=0.1),
        supernova([9, 9, 9], error=np.nan),
    ):
        assert adapter.ages(record)[0] == 0


def test_a_record_at_an_age_holds_what_was_observed_by_then():
    adapter, record = LightCurve(), supernova([1, 2, 9, 20, 6])
    sizes = {age: len(cut.data) if (cut := adapter.until(record, age)) else 0 for age in (-21, -20, -5, 0, 9.9, 10, 99)}
    assert sizes == {-21: 0, -20: 1, -5: 2, 0: 3, 9.9: 3, 10: 4, 99: 5}
    assert adapter.until(record, -21) is None


def test_ages_are_round_and_end_where_all_records_are_whole():
    adapter = LightCurve()
    found = early.ages(adapter, [supernova([9] * n) for n in (3, 8, 12)])
    assert found == [0.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 110.0]
    assert early.ages(adapter, [supernova([9])]) == [0.0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    from sciformer.cli import run_recipe

    out = {}
    for name, until in (("truncated", "[0.1,1.0]"), ("whole", "[1.0,1.0]")):
        out[name] = tmp_path_factory.mktemp(name) / "run"
        data = ["--data.rows", "120", "--data.targets", "class", "--data.augmentation.until", until]
        options = ["--baselines", "false", "--out", str(out[name])]
        run_recipe(str(ROOT / "recipes" / "lightcurve" / "property.py"), [*data, *SMALL, *options])
    return out


def test_only_a_run_that_met_truncated_records_is_asked_early(runs):
    assert (runs["truncated"] / "early.csv").exists()
    assert "Accuracy before all is seen" in (runs["truncated"] / "report.html").read_text("utf-8")
    assert not (runs["whole"] / "early.csv").exists()
    assert "before all is seen" not in (runs["whole"] / "report.html").read_text("utf-8")


def test_at_the_last_age_the_scores_are_those_of_whole_records(runs):
    table = pd.read_csv(runs["truncated"] / "early.csv")
    assert list(table.columns) == early.COLUMNS
    last = table[(table["days"] == table["days"].max()) & (table["model"] == evaluation.MODEL)]
    scores = pd.read_csv(runs["truncated"] / "scores.csv")
    scores = scores[scores["model"] == evaluation.MODEL].set_index("metric")
    for row in last.itertuples():
        assert row.value == pytest.approx(scores.loc[row.metric, "value"], abs=1e-12)
        assert row.n == scores.loc[row.metric, "n"]
    assert {"accuracy", "coverage"} <= set(last["metric"])


def test_the_future_of_a_record_cannot_change_its_early_answer(runs):
    model = sciformer.load(runs["truncated"] / "checkpoint")
    record = supernova([1, 2, 9, 20, 6, 5])
    changed = supernova([1, 2, 9, 20, 99, -99])
    cut = [model.adapter.until(x, 10.0) for x in (record, changed)]
    first, second = (model.predict([x.data]) for x in cut)
    pd.testing.assert_frame_equal(first, second)


def test_the_majority_is_that_of_the_training_part(predictor, molecules):
    records = [r for r in predictor.adapter.read(molecules, targets=predictor.targets, id="id") if r.ok and r.targets]
    target = next(t for t in predictor.targets if t.name == "colour")
    table = assessment.predictions(predictor, records, "test")
    answers = next(a for a in assessment.points(predictor, table, "test") if a.target == target)
    assert (early._majority(answers, np.array([2.0, 0.0, 2.0])).points.argmax(-1) == 2).all()


def test_periods_of_truncated_variants_are_those_of_what_is_left():
    """A curve that ends early must not know the period that only the whole curve shows."""
    from sciformer.domains.lightcurve.augment import Augmentation

    cut = Augmentation(probability=1.0, until=(0.3, 0.3), keep=(1.0, 1.0), noise=0.0)
    dataset = LightCurveData(rows=20, targets="class", fold=True, augmentation=cut).load()
    assert dataset.truncated
    assert dataset.augment is not None
    record = next(record for record in dataset.records if record.ok and len(record.data) > 40)
    tokens = dataset.adapter.tokenize(record)
    variant = dataset.augment(tokens, np.random.default_rng(0))
    again = dataset.adapter.derive(variant)
    assert variant.size < tokens.size
    np.testing.assert_array_equal(variant.values.numpy(), again.values.numpy())
