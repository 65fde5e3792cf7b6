"""Scores of every way over the seeds, and paired differences between ways with what they may be by chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sciformer import evaluation
from sciformer.evaluation import HEADLINE, LOWER_IS_BETTER, Answers


def _auc(truth: np.ndarray, points: np.ndarray) -> float:
    """Share of the pairs of both classes that are in the right order (Mann & Whitney 1947); a tie counts half."""
    from scipy.stats import rankdata

    positive = truth == 1
    many, few = int(positive.sum()), int((~positive).sum())
    return (float(rankdata(points[:, 1])[positive].sum()) - many * (many + 1) / 2) / (many * few)


QUICK: dict[str, evaluation.Metric] = {
    "RMSE": lambda truth, points: float(np.sqrt(np.mean((truth - points) ** 2))),
    "ROC-AUC": _auc,
    "accuracy": lambda truth, points: float(np.mean(points.argmax(-1) == truth)),
}
"""The main metrics as plain arithmetic: of tens of thousands of resamples, a library spends its time on checking."""
SCORES = ["target", "metric", "size", "records", "way", "value", "spread", "lower", "upper", "seeds", "tested"]
DIFFERENCES = [
    *("target", "metric", "size", "records", "way", "against", "best"),
    *("difference", "lower", "upper", "better", "seeds", "tested", "verdict"),
]


@dataclass(frozen=True)
class Trial:
    """What one way that met so many records answered in one fold about one target."""

    way: str
    size: str
    records: int
    fold: int
    answers: Answers
    held: Answers | None = None
    """The same on the held part, of a classical baseline."""


@dataclass(frozen=True)
class _Scored:
    """A way at a size over the folds in which the target can be scored."""

    records: float
    values: np.ndarray
    """The metric, [folds]."""
    draws: np.ndarray
    """The metric on resampled test records, [folds, resamples]; equal places of two ways are the same records."""


def cell_scores(trial: Trial) -> dict[str, float]:
    """Every metric of a trial; none where the test part cannot be scored."""
    answers = trial.answers
    if not evaluation.defined(answers):
        return {}
    named = evaluation.metrics(answers.target).items()
    return {name: float(metric(answers.truth, answers.points)) for name, metric in named}


def compared(
    trials: Sequence[Trial], baselines: Sequence[str], tests: Sequence[int], reference: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores by target, size and way, and the differences of every way to ``reference`` and to each of ``baselines``.

    A score is the mean over the folds. Its 95 % interval, and that of a difference, are quantiles of the same mean when
    the test records of every fold are drawn anew with replacement, the records of one group together, and for both ways
    the same (paired bootstrap). ``tests`` numbers the test parts of the folds: those with one number have the same
    records, and draw the same ones, since they are no independent evidence. Folds in which the metric means nothing are
    left out, and a target that has no other.

    Returns ``scores`` (``value``, its standard deviation over the folds as ``spread``, ``lower``, ``upper``; ``tested``
    is the number of test records, the smallest of all folds) and ``differences`` (way minus the one it is held
    ``against``; ``better`` in so many of the ``seeds``; ``best``: whether that is the classical baseline that the held
    part, and not the test part, prefers).
    """
    scores, differences = [], []
    for here in _alike(trials):
        target, metric = here[0].answers.target, HEADLINE[here[0].answers.target.kind]
        known = {way: _scored([trial for trial in here if trial.way == way], tests) for way in _ways(here)}
        best, tested = chosen([trial for trial in here if trial.way in baselines]), min(map(_tested, here))
        for way, x in known.items():
            place = target.name, metric, here[0].size, round(x.records), way
            scores.append((*place, *_summary(x), len(x.values), tested))
            for other in (reference, *baselines) if way not in baselines else ():
                if other in known and other != way:
                    told = _paired(x, known[other], metric)
                    differences.append((*place, other, other in best, *told[:4], len(x.values), tested, told[4]))
    return pd.DataFrame(scores, columns=SCORES), pd.DataFrame(differences, columns=DIFFERENCES)


def _alike(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Those that can be scored, by target and size."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if evaluation.defined(trial.answers):
            groups.setdefault((trial.answers.target.name, trial.size), []).append(trial)
    return list(groups.values())


def _ways(trials: Iterable[Trial]) -> list[str]:
    return list(dict.fromkeys(trial.way for trial in trials))


def _tested(trial: Trial) -> int:
    """Records of the test part."""
    answers = trial.answers
    return len(answers.truth) if answers.groups is None else len(np.unique(answers.groups))


def _scored(trials: Sequence[Trial], tests: Sequence[int]) -> _Scored:
    """Of one way at one size."""
    ordered = sorted(trials, key=lambda trial: trial.fold)
    target = ordered[0].answers.target
    metric = QUICK[HEADLINE[target.kind]]
    values = np.array([metric(trial.answers.truth, trial.answers.points) for trial in ordered], dtype=float)
    draws = np.stack([evaluation.bootstrap(trial.answers, metric, tests[trial.fold]) for trial in ordered])
    return _Scored(float(np.mean([trial.records for trial in ordered])), values, draws)


def _summary(scored: _Scored) -> tuple[float, float, float, float]:
    """Mean over the folds, standard deviation among them (NaN of one), and the 95 % interval of the mean."""
    values = scored.values
    spread = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    lower, upper = np.quantile(scored.draws.mean(0), [0.025, 0.975])
    return float(values.mean()), spread, float(lower), float(upper)


def _paired(own: _Scored, other: _Scored, metric: str) -> tuple[float, float, float, int, str]:
    """Difference, its 95 % interval, in how many folds it is to the better, and what the interval says."""
    difference = own.values - other.values
    lower, upper = (float(x) for x in np.quantile((own.draws - other.draws).mean(0), [0.025, 0.975]))
    better = int(((difference < 0) if metric in LOWER_IS_BETTER else (difference > 0)).sum())
    return float(difference.mean()), lower, upper, better, evaluation.verdict(metric, lower, upper)


def chosen(trials: Sequence[Trial]) -> list[str]:
    """The baseline that is best on the held parts, as a mean over the folds; all of them where these decide nothing."""
    values: dict[str, list[float]] = {}
    for trial in trials:
        if trial.held is None or not evaluation.defined(trial.held):
            return _ways(trials)
        target = trial.held.target
        metric = HEADLINE[target.kind]
        score = float(evaluation.metrics(target)[metric](trial.held.truth, trial.held.points))
        values.setdefault(trial.way, []).append(score if metric in LOWER_IS_BETTER else -score)
    return [min(values, key=lambda way: float(np.mean(values[way])))] if values else []
