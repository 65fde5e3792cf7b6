"""What the report says of one target, all of it on the test part: scores, coverage, baselines, figures."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sciformer.calibration import records_needed
from sciformer.evaluation import COVERAGE, COVERAGE_OF, HEADLINE, IN_UNITS, LOWER_IS_BETTER, MODEL, proportion
from sciformer.report import figures
from sciformer.report.figures import Plot
from sciformer.report.files import RunFiles
from sciformer.report.words import with_interval

FEW = 30
"""Test records below which nothing can be said for coverage; against it, the odds are computed for any number."""
LEAST = 10
"""Test records below which resampling them decides nothing between models."""
IN_LINE, BELOW, ABOVE = "in line with", "BELOW", "above"
UNJUDGED, UNPROMISED = "too few test records to judge", "not calibrated"


@dataclass(frozen=True)
class Score:
    """A score with its 95 % bootstrap interval (NaN: not estimated) over ``n`` records."""

    metric: str
    value: float
    lower: float
    upper: float
    n: float

    def __str__(self) -> str:
        return with_interval(self.value, self.lower, self.upper)


@dataclass(frozen=True)
class Difference:
    """Sciformer minus a baseline on one metric, paired bootstrap."""

    metric: str
    baseline: str
    score: Score
    verdict: str


@dataclass(frozen=True)
class Coverage:
    """How many true values the intervals or sets held, with a binomial interval; ``calibrated`` is the number
    of records they were calibrated on, None where the run does not say."""

    hits: int
    n: int
    level: float
    calibrated: int | None = None

    @property
    def share(self) -> tuple[float, float, float]:
        return proportion(self.hits, self.n)

    @property
    def judgement(self) -> str:
        """Whether as many hits may come of a method that keeps its level: in 95 of 100 runs they do."""
        from scipy.stats import betabinom, binom

        if self.calibrated is not None and self.calibrated < records_needed(self.level):
            return UNPROMISED
        if self.calibrated is None:
            expected = binom(self.n, self.level)
        else:  # coverage given one calibration part scatters as Beta(k, n + 1 - k) (Vovk 2012, arXiv:1209.2673)
            rank = math.ceil((self.calibrated + 1) * self.level - 1e-9)
            expected = betabinom(self.n, rank, self.calibrated + 1 - rank)
        low, high = expected.ppf([0.025, 0.975])
        if low <= self.hits <= high:
            return IN_LINE if self.n >= FEW else UNJUDGED
        return BELOW if self.hits < low else ABOVE

    @property
    def told(self) -> str:
        """The judgement as the end of a sentence."""
        if self.judgement == UNJUDGED:
            return "too few test records to judge it against the stated level"
        if self.judgement == UNPROMISED:
            return "not calibrated, so nothing holds it to the stated level"
        return f"{self.judgement} the stated level"

    @property
    def bounds(self) -> tuple[str, str, str]:
        """Share and interval in percent, with a second decimal where the first would hide which side of the
        level the share is on."""
        hidden = f"{100 * self.share[0]:.1f}" == f"{100 * self.level:.1f}" and self.share[0] != self.level
        share, low, high = (f"{100 * x:.{2 if hidden else 1}f}" for x in self.share)
        return share, low, high

    def __str__(self) -> str:
        share, low, high = self.bounds
        return f"{share} % [{low}, {high}]"


@dataclass(frozen=True)
class TargetReport:
    name: str
    label: str
    unit: str
    kind: str
    anchor: str
    n: int
    main: Score | None
    coverage: Coverage | None
    by_class: list[tuple[str, Coverage]]
    """Coverage of the test records of each true class."""
    models: list[str]
    scores: list[tuple[str, str, dict[str, Score]]]
    """Metric with unit, which way is better, and the score of each model."""
    differences: list[Difference]
    contest: list[Difference]
    """The differences on the main metric: they decide the verdict."""
    plots: list[Plot]
    confusion: tuple[list[str], list[list[tuple[int, float]]]] | None
    notes: list[str]

    @property
    def beats_all(self) -> bool:
        return bool(self.contest) and all(d.verdict == "better" for d in self.contest)

    @property
    def worse_than(self) -> list[str]:
        return [d.baseline for d in self.contest if d.verdict == "worse"]

    @property
    def contest_words(self) -> str:
        """``worse than A, B; no clear difference from C``."""
        phrases = (
            ("worse", "worse than"),
            ("no clear difference", "no clear difference from"),
            ("better", "better than"),
        )
        told = []
        for verdict, phrase in phrases:
            names = [d.baseline for d in self.contest if d.verdict == verdict]
            if names:
                told.append(f"{phrase} {', '.join(names)}")
        return "; ".join(told)


def target_report(files: RunFiles, target: dict, place: int, limit: int) -> TargetReport:
    """What the page says of ``target`` (an entry of run.json); figures draw at most ``limit`` records."""
    name, kind, unit = (
        str(target.get("name", "")),
        str(target.get("kind", "regression")),
        str(target.get("unit") or ""),
    )
    label = f"{name} [{unit}]" if unit else name
    rows = files.table("predictions", part="test", target=name)
    scores = files.table("scores", part="test", target=name)
    models = sorted(scores["model"].unique(), key=lambda model: model != MODEL)
    differences = [
        Difference(
            row.metric,
            row.baseline,
            Score(row.metric, row.difference, row.lower, row.upper, math.nan),
            row.verdict,
        )
        for row in files.table("comparison", target=name).itertuples()
    ]
    own = {row.metric: _score(row) for row in scores[scores["model"] == MODEL].itertuples()}
    main = own.get(HEADLINE.get(kind, ""), next(iter(own.values()), None))
    level, anchor, notes = float(files.run.get("level") or math.nan), f"target-{place}", []
    sizes = _mapping(_mapping(files.run.get("calibration")).get(name))
    by_class, confusion = [], None
    if kind == "regression":
        plots, coverage, n = _regression(anchor, label, unit, rows, level, limit, notes)
    else:
        classes = [str(c) for c in target.get("classes") or ()]
        plots, coverage, n, confusion = _classes(anchor, rows, classes, level, notes)
        if coverage:
            by_class = _by_class(rows, classes, level, _mapping(sizes.get("classes")))
    if coverage:
        coverage = replace(coverage, calibrated=_count(sizes.get("n")))
    return TargetReport(
        name=name,
        label=label,
        unit=unit,
        kind=kind,
        anchor=anchor,
        n=n,
        main=main,
        coverage=coverage,
        by_class=by_class,
        models=models,
        scores=_score_table(scores, unit, level),
        differences=differences,
        contest=[d for d in differences if main and d.metric == main.metric and n >= LEAST],
        plots=plots,
        confusion=confusion,
        notes=notes,
    )


def _score(row: Any) -> Score:
    return Score(row.metric, row.value, row.lower, row.upper, row.n)


def _score_table(scores: pd.DataFrame, unit: str, level: float) -> list[tuple[str, str, dict[str, Score]]]:
    table = []
    told_elsewhere = scores["metric"].str.startswith(COVERAGE_OF)
    for metric, rows in scores[~told_elsewhere].groupby("metric", sort=False):
        better = "lower is better" if metric in LOWER_IS_BETTER else "higher is better"
        better = f"aim: {100 * level:.0f} %" if metric == COVERAGE and math.isfinite(level) else better
        label = f"{metric} [{unit}]" if unit and metric in IN_UNITS else metric
        table.append((label, better, {row.model: _score(row) for row in rows.itertuples()}))
    return table


def _regression(
    anchor: str, label: str, unit: str, rows: pd.DataFrame, level: float, limit: int, notes: list[str]
) -> tuple[list[Plot], Coverage | None, int]:
    table = rows[["truth", "prediction"]].apply(pd.to_numeric, errors="coerce").astype(float)
    table = table.join(rows[["lower", "upper", "scale"]])
    good = np.isfinite(table["truth"]) & np.isfinite(table["prediction"])
    if not good.all():
        notes.append(f"{int((~good).sum())} test rows without finite truth and prediction are left out of the figures.")
    truth, prediction, lower, upper, scale = table[good].to_numpy(float).T
    if not len(truth):
        return [], None, 0
    bounded = ~(np.isnan(lower) | np.isnan(upper))
    coverage = None
    if bounded.any():
        coverage = Coverage(int(((lower <= truth) & (truth <= upper))[bounded].sum()), int(bounded.sum()), level)
    plots = [figures.parity(f"{anchor}-parity", label, truth, prediction, lower, upper, limit)]
    error, known = np.abs(prediction - truth), np.isfinite(scale)
    if known.sum() > 1:
        plots.append(figures.error_by_scale(f"{anchor}-scale", unit, error[known], scale[known], limit))
    else:
        notes.append("The model gave no standard deviations, so error cannot be set against uncertainty.")
    width = (upper - lower)[bounded]
    if (endless := int(np.isinf(width).sum())) > 0:
        notes.append(f"{endless} of {len(width)} intervals are unbounded: too few calibration records for this level.")
    if np.isfinite(width).any():
        plots.append(
            figures.histogram(
                f"{anchor}-width",
                "Width of prediction intervals",
                width,
                f"interval width [{unit}]" if unit else "interval width",
                "Narrow is informative only where coverage holds.",
            )
        )
    return plots, coverage, len(truth)


def _classes(
    anchor: str, rows: pd.DataFrame, classes: list[str], level: float, notes: list[str]
) -> tuple[list[Plot], Coverage | None, int, tuple | None]:
    rows = rows[rows["truth"] != ""]
    classes = [*classes, *sorted(set(rows["truth"]) - set(classes))]
    if not len(rows):
        return [], None, 0, None
    coverage, plots = None, []
    told = [c for c in classes if f"p_{c}" in rows]
    p = rows[[f"p_{c}" for c in told]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    good = np.isfinite(p).all(1)
    if told and good.any():
        if not good.all():
            notes.append(f"{int((~good).sum())} test rows without finite probabilities are left out of the figures.")
        plots += _probability_plots(anchor, rows["truth"].to_numpy(str)[good], told, p[good].clip(0, 1), notes)
    else:
        notes.append("No class probabilities were written, so ROC, precision-recall and reliability cannot be drawn.")
    if (rows["set"] != "").any():
        sets = [f"|{labels}|" for labels in rows["set"]]
        hits = sum(f"|{truth}|" in labels for truth, labels in zip(rows["truth"], sets, strict=True))
        coverage = Coverage(hits, len(rows), level)
        sizes = np.array([sum(f"|{c}|" in labels for c in classes) for labels in sets])
        plots.append(figures.set_sizes(f"{anchor}-sets", sizes, len(classes)))
    return plots, coverage, len(rows), _confusion(rows, classes)


def _by_class(
    rows: pd.DataFrame, classes: list[str], level: float, calibrated: Mapping[str, Any]
) -> list[tuple[str, Coverage]]:
    table = []
    for label in classes:
        sets = [f"|{labels}|" for labels in rows.loc[rows["truth"] == label, "set"]]
        if sets:
            hits = sum(f"|{label}|" in labels for labels in sets)
            table.append((label, Coverage(hits, len(sets), level, _count(calibrated.get(label)))))
    return table


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _probability_plots(
    anchor: str, truth: np.ndarray, classes: list[str], p: np.ndarray, notes: list[str]
) -> list[Plot]:
    present = [c for c in classes if 0 < (truth == c).sum() < len(truth)]
    if len(classes) == 2:
        present = [c for c in present if c == classes[1]]
    if len(present) > figures.MAX_CURVES:
        present = sorted(present, key=lambda c: -(truth == c).sum())[: figures.MAX_CURVES]
        notes.append(f"ROC and precision-recall curves are drawn for the {len(present)} most frequent classes.")
    plots = []
    if present:
        positives = {c: (truth == c, p[:, classes.index(c)]) for c in present}
        plots += [
            figures.roc(f"{anchor}-roc", positives),
            figures.precision_recall(f"{anchor}-pr", positives),
        ]
    else:
        notes.append(f"All test records are of class {truth[0]}: ROC and precision-recall curves need both classes.")
    if len(classes) == 2:
        happened, confidence, what = truth == classes[1], p[:, 1], f"class {classes[1]}"
    else:
        happened, confidence, what = np.array(classes)[p.argmax(1)] == truth, p.max(1), "the likeliest class"
    return [*plots, figures.reliability(f"{anchor}-reliability", happened, confidence, what)]


def _confusion(rows: pd.DataFrame, classes: list[str]) -> tuple[list[str], list[list[tuple[int, float]]]]:
    """Counts and shares of each true class (rows) by predicted class (columns)."""
    labels = [*classes, *sorted(set(rows["prediction"]) - set(classes))]
    counts = pd.crosstab(rows["truth"], rows["prediction"]).reindex(index=labels, columns=labels, fill_value=0)
    return labels, [[(int(n), n / max(1, row.sum())) for n in row] for row in counts.to_numpy()]
