"""Intervals of scores count records: answers about one record are no independent evidence."""

import numpy as np
import pandas as pd
import pytest

from sciformer import evaluation
from sciformer.evaluation import MODEL, Answers, bootstrap, mean_interval, metrics
from sciformer.tokens import Target

NUMBER = Target("y")
STATE = Target("state", "multiclass", classes=("C", "E", "H"))
YES = Target("buried", "binary", classes=("0", "1"))
RECORDS, SIZE = 40, 25
GROUPS = np.repeat(np.arange(RECORDS), SIZE)


def alike(rng: np.random.Generator) -> np.ndarray:
    """Errors that the answers about one record share."""
    return np.repeat(rng.normal(size=RECORDS), SIZE) + 0.1 * rng.normal(size=len(GROUPS))


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_answers_that_hang_together_have_wider_intervals():
    rng = np.random.default_rng(0)
    truth, errors = rng.normal(size=len(GROUPS)), alike(rng)
    score = metrics(NUMBER)["RMSE"]
    spread = [bootstrap(Answers(NUMBER, truth, truth + errors, g), score, seed=0).std() for g in (None, GROUPS)]
    assert spread[1] > 3 * spread[0]
    inside = np.abs(errors) < 1
    assert width(mean_interval(inside, GROUPS)) > 3 * width(mean_interval(inside, None))


def test_answers_that_do_not_hang_together_have_the_same_intervals(monkeypatch):
    monkeypatch.setattr(evaluation, "RESAMPLES", 300)
    rng = np.random.default_rng(0)
    inside = rng.random(len(GROUPS)) < 0.9
    assert width(mean_interval(inside, GROUPS)) == pytest.approx(width(mean_interval(inside, None)), rel=0.25)


@pytest.mark.parametrize("target", [NUMBER, STATE, YES], ids=lambda target: target.kind)
def test_records_of_one_answer_each_are_scored_as_without_groups(target, monkeypatch):
    monkeypatch.setattr(evaluation, "RESAMPLES", 30)
    rng = np.random.default_rng(1)
    truth = rng.normal(size=30) if target is NUMBER else rng.integers(0, len(target.classes), 30)
    points = truth + rng.normal(size=30) if target is NUMBER else rng.dirichlet(np.ones(len(target.classes)), size=30)
    tables = [
        evaluation.score("test", {MODEL: [Answers(target, truth, points, groups)]}, seed=3)[0]
        for groups in (None, np.arange(30))
    ]
    pd.testing.assert_frame_equal(*tables)
    assert len(tables[0]) == len(metrics(target))
    assert mean_interval(truth, None) == mean_interval(truth, np.arange(30))


def test_records_need_not_lie_side_by_side_nor_be_of_one_size():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(12), rng.integers(1, 9, 12))
    truth = rng.normal(size=len(groups))
    points, order, score = truth + rng.normal(size=len(groups)), rng.permutation(len(groups)), metrics(NUMBER)["MAE"]
    tidy = bootstrap(Answers(NUMBER, truth, points, groups), score, seed=0)
    mixed = bootstrap(Answers(NUMBER, truth[order], points[order], groups[order]), score, seed=0)
    np.testing.assert_allclose(tidy, mixed)
    np.testing.assert_allclose(mean_interval(truth, groups), mean_interval(truth[order], groups[order]))


def test_records_are_drawn_whole_and_with_replacement(monkeypatch):
    monkeypatch.setattr(evaluation, "RESAMPLES", 300)
    groups = np.array([0, 1, 1, 2, 2, 2])
    drawn: list[np.ndarray] = []

    def score(truth: np.ndarray, points: np.ndarray) -> float:
        drawn.append(np.bincount(truth.astype(int), minlength=6))
        return 0.0

    bootstrap(Answers(NUMBER, np.arange(6.0), np.zeros(6), groups), score, seed=0)
    counts = np.array(drawn)
    assert (counts[:, 1] == counts[:, 2]).all()
    assert (counts[:, 3] == counts[:, 4]).all()
    assert (counts[:, 3] == counts[:, 5]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert {tuple(row) for row in counts[:, [0, 1, 3]]} >= {(1, 1, 1), (3, 0, 0), (0, 3, 0), (0, 0, 3)}


def test_resamples_are_paired_between_models():
    rng = np.random.default_rng(3)
    truth, errors = rng.normal(size=len(GROUPS)), alike(rng)
    ours, theirs = (Answers(NUMBER, truth, truth + errors + shift, GROUPS) for shift in (0.0, 1e-3))
    _, comparison = evaluation.score("test", {MODEL: [ours], "other": [theirs]}, seed=0)
    row, rank = comparison.to_dict("records")
    assert (row["metric"], rank["metric"]) == ("RMSE", "Spearman")
    assert row["upper"] - row["lower"] < 1e-2
    assert row["lower"] <= row["difference"] <= row["upper"]


def test_coverage_and_that_of_each_class_are_shares_over_records():
    rng = np.random.default_rng(4)
    truth = np.array(STATE.classes, dtype=object)[rng.integers(0, 3, len(GROUPS))]
    inside, size = np.repeat(rng.random(RECORDS) < 0.8, SIZE), np.ones(len(GROUPS))
    by_row, by_record = (
        pd.concat(
            [
                evaluation.coverage("test", "state", inside, size, "set size", groups),
                evaluation.class_coverage("test", STATE, truth, inside, groups),
            ]
        ).set_index("metric")
        for groups in (None, GROUPS)
    )
    pd.testing.assert_series_equal(by_row["value"], by_record["value"])
    for name in ("coverage", "coverage of C", "coverage of E", "coverage of H"):
        row, record = by_row.loc[name], by_record.loc[name]
        assert record["upper"] - record["lower"] > 2 * (row["upper"] - row["lower"])
        assert record["lower"] <= record["value"] <= record["upper"]
    assert by_record.loc["coverage of C", "n"] == (truth == "C").sum()


def test_many_answers_about_one_record_are_no_evidence():
    truth = np.arange(9.0)
    one = Answers(NUMBER, truth, truth + 1, np.zeros(9, dtype=int))
    assert not evaluation.defined(one)
    assert evaluation.defined(Answers(NUMBER, truth, truth + 1))
    assert len(evaluation.score("test", {MODEL: [one]}, seed=0)[0]) == 0
    found = evaluation.coverage("test", "y", truth > 2, truth, "interval width", one.groups)
    assert found["value"].tolist() == [pytest.approx(6 / 9), 4.0]
    assert found[["lower", "upper"]].isna().all(axis=None)


def test_a_question_of_yes_or_no_needs_both_answers():
    points = np.full((4, 2), 0.5)
    assert evaluation.defined(Answers(YES, np.array([0, 1, 0, 0]), points))
    assert not evaluation.defined(Answers(YES, np.zeros(4, dtype=int), points))
