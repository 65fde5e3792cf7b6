"""Scores are what they claim: of known answers only, of the right part, with words where there are none."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from sciformer import assessment
from sciformer.evaluation import MODEL, Answers


@pytest.fixture(scope="module")
def records(predictor, molecules):
    rows = predictor.adapter.read(molecules, targets=predictor.targets, id="id")
    return [record for record in rows if record.ok and record.targets]


@pytest.fixture(scope="module")
def table(predictor, records):
    return assessment.predictions(predictor, records, "test")


def test_there_is_one_line_per_record_and_known_target(predictor, records, table):
    for target in predictor.targets:
        known = [record.key for record in records if target.name in record.targets]
        assert table.loc[table["target"] == target.name, "key"].tolist() == known
    assert 0 < (table["target"] == "colour").sum() < len(records)


def test_truths_are_in_the_words_of_the_table(molecules, table):
    named = molecules.set_index("id")
    for row in table.itertuples():
        truth = named.loc[row.key, row.target]
        assert row.truth == (
            truth
            if row.target == "colour"
            else pytest.approx(float(truth))
            if row.target[:4] == "logS"
            else str(int(truth))
        )


def test_calibration_uses_the_given_records_alone(predictor, records):
    few = assessment.calibrated(predictor, records[:20])
    assert few.calibrations["logS_mol_per_L"].n == 20
    assert few.calibrations["colour"].n == sum("colour" in record.targets for record in records[:20])
    assert assessment.calibrated(predictor, []).calibrations == {}
    assert predictor.calibrations["logS_mol_per_L"].n != 20  # the old one is as it was


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_calibrated_intervals_cover_at_least_the_level_of_their_own_records(predictor, records, level):
    """Split conformal: at least ceil((n + 1) level) of the n calibration scores lie within the quantile."""
    model = dataclasses.replace(assessment.calibrated(predictor, records), level=level)
    table = assessment.predictions(model, records, "test")
    found = assessment.coverages(model, table, "test")
    assert (found.loc[found["metric"] == "coverage", "value"] >= level).all()


def test_coverage_is_counted_from_the_table(predictor, table):
    found = assessment.coverages(predictor, table, "test").set_index(["target", "metric"])["value"]
    rows = table[table["target"] == "colour"]
    inside = [truth in some.split("|") for truth, some in zip(rows["truth"], rows["set"], strict=True)]
    assert found["colour", "coverage"] == pytest.approx(np.mean(inside))
    assert found["colour", "set size"] == pytest.approx(np.mean([len(some.split("|")) for some in rows["set"]]))


def test_a_perfect_baseline_is_said_to_be_better(predictor, table):
    ours = assessment.points(predictor, table, "test")[0]
    perfect = Answers(ours.target, ours.truth, ours.truth + 1e-3)
    scores, comparison = assessment.scored(predictor, table, {"oracle": [perfect]}, seed=0)
    assert comparison["verdict"].tolist() == ["worse"]
    assert comparison["difference"].iloc[0] > 0
    assert set(scores["model"]) == {MODEL, "oracle"}


def test_other_parts_are_not_scored(predictor, records):
    table = assessment.predictions(predictor, records, "validation")
    scores, comparison = assessment.scored(predictor, table, {}, seed=0)
    assert len(scores) == len(comparison) == 0
    assert list(scores.columns) == ["part", "model", "target", "metric", "value", "lower", "upper", "n"]
    assert assessment.worst(predictor, table, records) == []
    notes = assessment.unscored(predictor, table)
    assert [note.split(" ")[0] for note in notes] == [target.name for target in predictor.targets]


def test_no_records_give_an_empty_table_of_the_same_columns(predictor, table):
    empty = assessment.predictions(predictor, [], "test")
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
    pd.testing.assert_frame_equal(pd.concat([empty, table], ignore_index=True), table)


def test_the_worst_errors_are_drawn_once_per_record(predictor, records, table):
    worst = assessment.worst(predictor, table, records)
    assert len(worst) == assessment.WORST
    assert len({item["key"] for item in worst}) == len(worst)
    assert all("<svg" in item["svg"] for item in worst)
    json.dumps(worst, allow_nan=False)
    errors = [assessment._error(row, predictor) for _, row in table.iterrows()]
    first = table[(table["key"] == worst[0]["key"]) & (table["target"] == worst[0]["target"])].iloc[0]
    assert assessment._error(first, predictor) == max(errors)
