"""Answers before a record is complete: how good they are by the time since its first detection.

One model is asked about records that are cut at one age after another. It must have met such records in training
(``Dataset.truncated``); to any other a cut record is a stranger.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sciformer import assessment, evaluation
from sciformer.adapter import Record, SeriesAdapter
from sciformer.evaluation import COVERAGE, HEADLINE, MODEL, Answers
from sciformer.predictor import Predictor
from sciformer.tokens import Target

MOST = 300
"""Test records that are asked about: each of them at every age."""
MAJORITY = "majority class"
COLUMNS = ["days", "target", "model", "metric", "value", "lower", "upper", "n"]
ROUND = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0)
"""Ages, and so on with 100, 200, 500 and their like."""
SHORT = 0.02
"""Of the median record: after the first detection itself, younger ages are passed over."""


def scores(
    predictor: Predictor, adapter: SeriesAdapter, train: Sequence[Record], test: Sequence[Record], seed: int
) -> pd.DataFrame:
    """Accuracy, the main metric and coverage of every target with classes, by age, with 95 % intervals over records.

    Columns: ``days``, ``target``, ``model``, ``metric``, ``value``, ``lower``, ``upper``, ``n``; the other model is the
    one that always answers the commonest class of ``train``. At the last age every record is whole. Empty where no
    target has classes.
    """
    targets = [target for target in predictor.targets if target.classes]
    some = _some(test)
    if not targets or not some:
        return pd.DataFrame(columns=COLUMNS)
    tables = []
    for age in ages(adapter, some):
        cut = [known for record in some if (known := adapter.until(record, age))]
        tables.append(_scored(predictor, targets, train, cut, seed).assign(days=age))
    table = pd.concat(tables, ignore_index=True)
    return table[COLUMNS]


def ages(adapter: SeriesAdapter, records: Sequence[Record]) -> list[float]:
    """Round ages from the first detection to one at which all ``records`` are whole."""
    spans = [float(adapter.ages(record)[-1]) for record in records]
    longest = max(spans)
    steps = [step * 10.0**k for k in range(0, 10, 2) for step in ROUND]
    between = [age for age in steps if SHORT * float(np.median(spans)) <= age < longest]
    return [0.0, *between, float(np.ceil(longest))] if longest > 0 else [0.0]


def _some(records: Sequence[Record]) -> list[Record]:
    if len(records) <= MOST:
        return list(records)
    chosen = np.sort(np.random.default_rng(0).permutation(len(records))[:MOST])
    return [records[i] for i in chosen]


def _scored(
    predictor: Predictor, targets: Sequence[Target], train: Sequence[Record], records: Sequence[Record], seed: int
) -> pd.DataFrame:
    table = assessment.predictions(predictor, records, "test")
    rows = []
    for answers in assessment.points(predictor, table, "test"):
        if answers.target in targets and evaluation.defined(answers):
            metrics = dict.fromkeys(("accuracy", HEADLINE[answers.target.kind]))
            rows += [_score(MODEL, answers, metric, seed) for metric in metrics]
            met = predictor.known(train, answers.target).truth
            rows.append(_score(MAJORITY, _majority(answers, met), "accuracy", seed))
    found = pd.DataFrame(rows, columns=COLUMNS[1:])
    covered = assessment.coverages(predictor, table, "test")
    covered = covered[(covered["metric"] == COVERAGE) & covered["target"].isin(found["target"])]
    return pd.concat([found, covered[COLUMNS[1:]]], ignore_index=True)


def _score(model: str, answers: Answers, metric: str, seed: int) -> tuple[str, str, str, float, float, float, int]:
    compute = evaluation.metrics(answers.target)[metric]
    value = float(compute(answers.truth, answers.points))
    lower, upper = np.quantile(evaluation.bootstrap(answers, compute, seed), [0.025, 0.975])
    return answers.target.name, model, metric, value, float(lower), float(upper), len(answers.truth)


def _majority(answers: Answers, met: np.ndarray) -> Answers:
    """What is answered by one who knows only the commonest class ``met`` in the training part."""
    points = np.zeros((len(answers.truth), len(answers.target.classes)))
    points[:, np.bincount(met.astype(int)).argmax()] = 1.0
    return Answers(answers.target, answers.truth, points)
