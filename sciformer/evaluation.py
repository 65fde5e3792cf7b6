"""Scores with bootstrap intervals, and classical baselines scored beside the model on the same records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from sciformer.tokens import Target

RESAMPLES = 300
MODEL = "sciformer"
COVERAGE, COVERAGE_OF, WIDTH, ADAPTIVE = "coverage", "coverage of ", "interval width", "adaptive "
"""Metrics: of all records of a target, and (with the class behind it) of the records of one true class; the width of
intervals, and what stands before both where intervals follow a series."""
HEADLINE = {"regression": "RMSE", "binary": "ROC-AUC", "multiclass": "accuracy", "forecast": "CRPS"}
"""The metric by which a model is compared with its baselines."""
ALSO = {"regression": ("Spearman",)}
"""What is compared besides: a model that ranks well may be off in scale."""
CRPS, RELATIVE = "CRPS", "relative CRPS"
"""Continuous ranked probability score, in the unit of the values and in spreads of what was seen of the record."""
REFERENCES = ("climatology", "persistence")
"""Classical forecasts that skill is measured against, where they were asked."""
SKILL = "skill over "
"""Metric, with the name of the reference behind it: 1 - CRPS / CRPS of the reference."""
LOWER_IS_BETTER = frozenset({"RMSE", "MAE", "Brier", WIDTH, ADAPTIVE + WIDTH, "set size", CRPS, RELATIVE})
IN_UNITS = frozenset({"RMSE", "MAE", WIDTH, ADAPTIVE + WIDTH, CRPS})
"""The metrics in the unit of their target."""

Metric = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Answers:
    """Point answers of one model for one target on known records: ``points`` are values ``[n]`` for
    regression and class probabilities ``[n, classes]`` otherwise."""

    target: Target
    truth: np.ndarray
    points: np.ndarray
    groups: np.ndarray | None = None
    """Whom each answer is about, where there are several about one record: they are no independent evidence."""


def metrics(target: Target) -> dict[str, Metric]:
    """Named metrics of a kind of target, each a function of truth and points."""
    from scipy.stats import spearmanr
    from sklearn import metrics as sk

    if target.kind == "regression":
        return {
            "RMSE": sk.root_mean_squared_error,
            "MAE": sk.mean_absolute_error,
            "R2": lambda truth, points: sk.r2_score(truth, points) if np.ptp(truth) else np.nan,
            "Spearman": lambda truth, points: (
                float(spearmanr(truth, points).statistic) if np.ptp(truth) and np.ptp(points) else np.nan  # pyright: ignore[reportAttributeAccessIssue]
            ),
        }
    if target.kind == "binary":
        return {
            "ROC-AUC": lambda truth, points: sk.roc_auc_score(truth, points[:, 1]),
            "PR-AUC": lambda truth, points: sk.average_precision_score(truth, points[:, 1]),
            "accuracy": lambda truth, points: sk.accuracy_score(truth, points.argmax(-1)),
            "Brier": lambda truth, points: sk.brier_score_loss(truth, points[:, 1]),
        }
    classes = np.arange(len(target.classes))
    return {
        "accuracy": lambda truth, points: sk.accuracy_score(truth, points.argmax(-1)),
        "balanced accuracy": _macro(sk.recall_score),
        "macro F1": _macro(sk.f1_score),
        "Brier": lambda truth, points: float(((points - (truth[:, None] == classes)) ** 2).sum(-1).mean()),
    }


def _macro(score: Callable[..., Any]) -> Metric:
    """Mean over the classes present in the truth, each counting alike."""
    return lambda truth, points: float(
        score(truth, points.argmax(-1), labels=np.unique(truth), average="macro", zero_division=0)
    )


def defined(answers: Answers) -> bool:
    """Whether the metrics mean anything: two records, and both answers of a yes-or-no question."""
    records = len(answers.truth) if answers.groups is None else len(np.unique(answers.groups))
    return records >= 2 and (answers.target.kind != "binary" or len(np.unique(answers.truth)) == 2)


def bootstrap(answers: Answers, metric: Metric, seed: int) -> np.ndarray:
    """The metric on resampled records, ``[RESAMPLES]``; the same seed draws the same records for every model,
    so differences of two models are paired. Resamples without both classes are drawn again."""
    rng = np.random.default_rng(seed)
    values, members = [], None if answers.groups is None else _members(answers.groups)
    n = len(answers.truth) if members is None else len(members)
    while len(values) < RESAMPLES:
        drawn = rng.integers(0, n, n)
        rows = drawn if members is None else np.concatenate([members[i] for i in drawn])
        if answers.target.kind != "binary" or len(np.unique(answers.truth[rows])) > 1:
            values.append(metric(answers.truth[rows], answers.points[rows]))
    return np.asarray(values, dtype=float)


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """The rows of each record."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def score(part: str, by_model: Mapping[str, Sequence[Answers]], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of every model with 95 % intervals, and the paired differences of the model to its baselines.

    Returns:
        ``scores`` (part, model, target, metric, value, lower, upper, n) and ``comparison``
        (target, metric, baseline, difference, lower, upper, verdict).
    """
    scores, draws = [], {}
    for model, many in by_model.items():
        for answers in many:
            target = answers.target
            if not defined(answers):
                continue
            for name, metric in metrics(target).items():
                value = float(metric(answers.truth, answers.points))
                if np.isnan(value):
                    continue  # undefined: R2 of equal truths, rank correlation of equal answers
                draw = bootstrap(answers, metric, seed)
                draws[model, target.name, name] = value, draw
                lower, upper = np.nanquantile(draw, [0.025, 0.975])
                scores.append((part, model, target.name, name, value, lower, upper, len(answers.truth)))
    columns = ["part", "model", "target", "metric", "value", "lower", "upper", "n"]
    return pd.DataFrame(scores, columns=columns), _compare(by_model, draws)


def _compare(
    by_model: Mapping[str, Sequence[Answers]], draws: Mapping[tuple[str, str, str], tuple[float, np.ndarray]]
) -> pd.DataFrame:
    rows = []
    for answers in by_model[MODEL]:
        name, kind = answers.target.name, answers.target.kind
        for metric, baseline in product((HEADLINE[kind], *ALSO.get(kind, ())), by_model):
            if baseline == MODEL or (MODEL, name, metric) not in draws or (baseline, name, metric) not in draws:
                continue
            (ours, our_draw), (theirs, their_draw) = draws[MODEL, name, metric], draws[baseline, name, metric]
            lower, upper = np.nanquantile(our_draw - their_draw, [0.025, 0.975])
            rows.append((name, metric, baseline, ours - theirs, lower, upper, verdict(metric, lower, upper)))
    return pd.DataFrame(rows, columns=["target", "metric", "baseline", "difference", "lower", "upper", "verdict"])


def verdict(metric: str, lower: float, upper: float) -> str:
    """What the interval of a difference from a baseline says."""
    if lower <= 0 <= upper:
        return "no clear difference"
    return "better" if (upper < 0) == (metric in LOWER_IS_BETTER) else "worse"


def proportion(hits: int, n: int) -> tuple[float, float, float]:
    """A share with its 95 % binomial interval (Wilson, 1927); NaN for ``n`` = 0."""
    from scipy.stats import binomtest

    if n == 0:
        return np.nan, np.nan, np.nan
    interval = binomtest(hits, n).proportion_ci(0.95, "wilson")
    return hits / n, float(interval.low), float(interval.high)


def overshoot(losses: Sequence[float]) -> tuple[int, float, float] | None:
    """Where the last of the losses of an epoch is well above the lowest: index of the lowest, lowest, last.

    Well above: by more than 0.05 (losses are in nats) and by twice the usual step from epoch to epoch.
    """
    values = np.asarray(losses, dtype=float)
    if len(values) < 3 or not np.isfinite(values).all():
        return None
    low, last = int(values.argmin()), float(values[-1])
    if last - values[low] <= max(0.05, 2 * float(np.median(np.abs(np.diff(values))))):
        return None
    return low, float(values[low]), last


def coverage(
    part: str, target: str, inside: np.ndarray, size: np.ndarray, what: str, groups: np.ndarray | None = None
) -> pd.DataFrame:
    """Share of truths inside their interval or set, and how large these are; ``groups`` as in ``Answers``."""
    n = len(inside)
    rows = [
        (part, MODEL, target, COVERAGE, *share(inside, groups), n),
        (part, MODEL, target, what, size.mean(), *mean_interval(size, groups), n),
    ]
    return pd.DataFrame(rows, columns=["part", "model", "target", "metric", "value", "lower", "upper", "n"])


def mean_interval(values: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """95 % bootstrap interval of a mean, over records; NaN where all values are about one, whose scatter is unknown."""
    place = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = np.bincount(place)
    if groups is not None and len(count) < 2:
        return np.nan, np.nan
    total = np.bincount(place, weights=values)
    drawn = np.random.default_rng(0).integers(0, len(count), (RESAMPLES, len(count)))
    lower, upper = np.quantile(total[drawn].sum(-1) / count[drawn].sum(-1), [0.025, 0.975])
    return float(lower), float(upper)


def share(inside: np.ndarray, groups: np.ndarray | None) -> tuple[float, float, float]:
    """The share of truths that are inside, with its 95 % interval over records."""
    if groups is None:
        return proportion(int(inside.sum()), len(inside))
    return float(inside.mean()), *mean_interval(inside, groups)


def class_coverage(
    part: str, target: Target, truth: np.ndarray, inside: np.ndarray, groups: np.ndarray | None = None
) -> pd.DataFrame:
    """Share of truths inside their set by true class: right on average may be wrong on every rare record."""
    rows = []
    for label in target.classes:
        own = truth == label
        if n := int(own.sum()):
            hit = share(inside[own], None if groups is None else groups[own])
            rows.append((part, MODEL, target.name, f"{COVERAGE_OF}{label}", *hit, n))
    return pd.DataFrame(rows, columns=["part", "model", "target", "metric", "value", "lower", "upper", "n"])
