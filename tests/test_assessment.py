"""Scores are what they claim: of known answers only, of the right part, with words where there are none."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciformer import assessment, summary
from sciformer.calibration import ClassCalibration
from sciformer.data.examples import example_of
from sciformer.evaluation import MODEL, Answers, overshoot


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


def test_variants_are_those_of_training_and_counted_by_record(predictor, records):
    examples = [example_of(predictor.adapter, record) for record in records[:30]]
    assert assessment.variants(examples, None, 0, seed=1) == examples

    def noisy(tokens, rng):
        return tokens.replace(coords=tokens.coords + rng.normal())

    made, again = (assessment.variants(examples, noisy, 3, seed=1) for _ in range(2))
    assert [x.key for x in made] == [x.key for x in examples for _ in range(3)]
    name = predictor.adapter.name
    assert len({float(x.tokens[name].coords.sum()) for x in made}) == 90
    assert all((x.tokens[name].coords == y.tokens[name].coords).all() for x, y in zip(made, again, strict=True))
    assert assessment.calibrated(predictor, made).calibrations["logS_mol_per_L"].n == 30


def test_labels_of_the_records_that_shares_are_taken_from_are_not_looked_at(predictor, records):
    blind = [dataclasses.replace(record, targets={}) for record in records[50:]]
    told, untold = (assessment.calibrated(predictor, records[:50], there) for there in (records[50:], blind))
    assert told.calibrations == untold.calibrations
    plain = assessment.calibrated(predictor, records[:50])
    assert told.calibrations["logS_mol_per_L"] == plain.calibrations["logS_mol_per_L"]
    assert told.calibrations["colour"] != plain.calibrations["colour"]
    assert assessment.adapted(plain) == []
    assert any(note.startswith("colour: the test records, without their labels") for note in assessment.adapted(told))


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


def test_coverage_is_told_of_each_true_class(predictor, table):
    found = assessment.coverages(predictor, table, "test").set_index(["target", "metric"])
    rows = table[table["target"] == "colour"]
    for label in ("red", "green", "blue"):
        mine = rows[rows["truth"] == label]
        inside = [label in some.split("|") for some in mine["set"]]
        assert found.loc[("colour", f"coverage of {label}"), "value"] == pytest.approx(np.mean(inside))
        assert found.loc[("colour", f"coverage of {label}"), "n"] == len(mine)
    only = assessment.coverages(predictor, table[table["truth"] == "red"], "test")
    assert [name for name in only["metric"] if name.startswith("coverage of")] == ["coverage of red"]


def test_classes_with_too_few_calibration_records_are_named(predictor, records):
    model = assessment.calibrated(predictor, records)
    sizes = assessment.calibration_sizes(model)["colour"]
    assert sizes["n"] == sum(sizes["classes"].values())
    assert not [note for note in assessment.uncalibrated(model) if note.startswith("colour")]
    known = model.calibrations["colour"]
    assert isinstance(known, ClassCalibration)
    rare = dataclasses.replace(known, counts=(40, 8, 0))
    model = dataclasses.replace(model, calibrations={**model.calibrations, "colour": rare})
    names = next(t for t in model.targets if t.name == "colour").classes
    told = [note for note in assessment.uncalibrated(model) if note.startswith("colour")]
    assert len(told) == 1
    assert f"classes {names[1]} (8), {names[2]} (0) have fewer than 9 calibration records" in told[0]
    assert f"{names[0]} (" not in told[0]


def test_without_calibration_no_size_is_claimed(predictor):
    none = dataclasses.replace(predictor, calibrations={})
    assert {sizes["n"] for sizes in assessment.calibration_sizes(none).values()} == {0}


@pytest.mark.parametrize(
    ("losses", "found"),
    [
        ([2.0, 1.0, 0.5, 0.51, 0.53, 0.55, 0.6, 0.65, 0.8], (2, 0.5, 0.8)),
        ([2.0, 1.0, 0.5, 0.52], None),
        ([0.1, 0.9], None),  # too few epochs to speak of a trend
        ([1.0, 0.2, 1.0, 0.2, 1.0], None),  # as usual from epoch to epoch
        ([float("nan")] * 5, None),
        ([], None),
    ],
)
def test_a_loss_that_ends_well_above_its_lowest_is_noticed(losses, found):
    assert overshoot(losses) == found


def test_a_perfect_baseline_is_said_to_be_better(predictor, table):
    ours = assessment.points(predictor, table, "test")[0]
    perfect = Answers(ours.target, ours.truth, ours.truth + 1e-3)
    scores, comparison = assessment.scored(predictor, table, {"oracle": [perfect]}, seed=0)
    assert comparison["verdict"].tolist() == ["worse", "worse"]
    assert comparison["metric"].tolist() == ["RMSE", "Spearman"]  # the main one first
    error, rank = comparison["difference"]
    assert error > 0 > rank
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
    assert {item["key"]: item["group"] for item in worst} == {
        record.key: record.group for record in records if record.key in {item["key"] for item in worst}
    }
    errors = table.assign(error=[assessment._error(row, predictor) for _, row in table.iterrows()])
    first = errors[(errors["key"] == worst[0]["key"]) & (errors["target"] == worst[0]["target"])].iloc[0]
    assert first["error"] == errors.loc[errors["target"] == worst[0]["target"], "error"].max()


def test_the_worst_errors_are_errors_and_of_every_target(predictor, records, table):
    worst = assessment.worst(predictor, table, records)
    counts = {target.name: sum(item["target"] == target.name for item in worst) for target in predictor.targets}
    assert max(counts.values()) - min(counts.values()) <= 1
    for item in worst:
        if item["target"] == "logS_mol_per_L":
            assert "set" not in item
            continue
        assert item["truth"] != item["prediction"]
        row = table[(table["key"] == item["key"]) & (table["target"] == item["target"])].iloc[0]
        assert item["set"] == row["set"]
        assert item["p_truth"] == row[f"p_{item['truth']}"]
        assert item["p_prediction"] == row[f"p_{item['prediction']}"] >= item["p_truth"]


def test_right_answers_are_no_errors(predictor, records, table):
    right = table[(table["truth"] == table["prediction"]) & (table["target"] == "colour")]
    assert len(right) > 0
    assert assessment.worst(predictor, right, records) == []


def test_what_is_known_of_one_record_alone_is_not_scored(annotator, residues):
    one, two = (annotator.read(residues.iloc[:n]) for n in (1, 2))
    table = assessment.predictions(annotator, one, "test")
    notes = assessment.unscored(annotator, table)
    assert [note.split(" known values")[1] for note in notes] == [", all of one record"] * 2
    scores, _ = assessment.scored(annotator, table, {}, seed=0)
    assert set(scores["metric"]) >= {"coverage", "coverage of H", "interval width"}
    assert scores[["lower", "upper"]].isna().all(axis=None)
    lines = summary.score_lines(annotator.targets, scores, scores.head(0), 0.9, Path("runs"), "token")
    assert "nan" not in "".join(lines)
    assert assessment.unscored(annotator, assessment.predictions(annotator, two, "test")) == []
