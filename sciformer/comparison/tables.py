"""What a comparison writes down: every training, every answer about a test record, scores and differences."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sciformer.answers import Known
from sciformer.comparison import statistics
from sciformer.comparison.cells import Bench, Outcome
from sciformer.comparison.options import SCRATCH
from sciformer.comparison.plan import Cell
from sciformer.comparison.statistics import Trial
from sciformer.evaluation import Answers
from sciformer.files import atomic_file
from sciformer.tokens import Target

if TYPE_CHECKING:
    from sciformer.rundir import RunDirectory

CELLS = [
    *("way", "size", "records", "seed", "target", "metric", "value"),
    *("seconds", "trained weights", "epochs"),
]


def write(bench: Bench, outcomes: Mapping[Cell, Outcome], run: "RunDirectory") -> None:
    """``cells.csv``, ``predictions.parquet``, ``scores.csv`` and ``comparison.csv``."""
    order = sorted(outcomes, key=lambda cell: (cell.classical, cell.records))
    known = _Truths(bench)
    trials = {cell: known.trials(cell, outcomes[cell]) for cell in order}
    rows = [row for cell in order for row in _rows(bench, cell, outcomes[cell], trials[cell])]
    table = pd.DataFrame(rows, columns=CELLS).astype({"trained weights": "Int64", "epochs": "Int64"})
    run.write_csv("cells.csv", table)
    answers = [
        _predictions(trial, known.test(cell.fold, trial.answers.target).keys, bench.folds[cell.fold].seed)
        for cell in order
        for trial in trials[cell]
    ]
    with atomic_file(run.path / "predictions.parquet") as file:
        pd.concat(answers, ignore_index=True).to_parquet(file, index=False)
    baselines = list(dict.fromkeys(cell.way for cell in order if cell.classical))
    every = [trial for cell in order for trial in trials[cell]]
    scores, differences = statistics.compared(every, baselines, _tests(bench), SCRATCH)
    run.write_csv("scores.csv", scores)
    run.write_csv("comparison.csv", differences)


def _tests(bench: Bench) -> list[int]:
    """Numbers of the test parts: those of one number have the same records."""
    parts = [fold.test for fold in bench.folds]
    return [parts.index(part) for part in parts]


class _Truths:
    """Of each fold, looked up once."""

    def __init__(self, bench: Bench):
        self.bench = bench
        self.kept: dict[tuple[int, str, str], Known] = {}

    def test(self, fold: int, target: Target) -> Known:
        return self._of(fold, target, "test")

    def _of(self, fold: int, target: Target, part: str) -> Known:
        place = fold, target.name, part
        if place not in self.kept:
            self.kept[place] = self.bench.known(target, getattr(self.bench.folds[fold], part))
        return self.kept[place]

    def trials(self, cell: Cell, outcome: Outcome) -> list[Trial]:
        """One for each target."""
        found = []
        for i, target in enumerate(self.bench.dataset.targets):
            answers = _answers(target, self.test(cell.fold, target), outcome.test[i])
            held = _answers(target, self._of(cell.fold, target, "held"), outcome.held[i]) if outcome.held else None
            found.append(Trial(cell.way, cell.size, cell.records, cell.fold, answers, held))
        return found


def _answers(target: Target, known: Known, points: np.ndarray) -> Answers:
    truth = known.truth if target.kind == "regression" else known.truth.astype(int)
    return Answers(target, truth, points, known.records if len(set(known.keys)) < len(known.keys) else None)


def _rows(bench: Bench, cell: Cell, outcome: Outcome, trials: Sequence[Trial]) -> list[tuple[Any, ...]]:
    """Of ``cells.csv``: one for each target and metric."""
    costs = (outcome.seconds, None, None) if cell.classical else (outcome.seconds, outcome.weights, outcome.epochs)
    place = cell.way, cell.size, cell.records, bench.folds[cell.fold].seed
    return [
        (*place, trial.answers.target.name, metric, value, *costs)
        for trial in trials
        for metric, value in statistics.cell_scores(trial).items()
    ]


def _predictions(trial: Trial, keys: Sequence[str], seed: int) -> pd.DataFrame:
    """A row per answer; the truth is a number, or the place of a class among those of the target."""
    target, points = trial.answers.target, trial.answers.points
    table = pd.DataFrame({"way": trial.way, "size": trial.size, "seed": seed, "target": target.name, "key": list(keys)})
    table["truth"] = trial.answers.truth.astype(float)
    if not target.classes:
        return table.assign(prediction=points)
    return table.assign(**{f"p_{label}": points[:, j] for j, label in enumerate(target.classes)})
