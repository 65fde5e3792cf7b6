"""What the report says of one target, all of it on the test part: scores, coverage, baselines, figures."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sciformer.evaluation import COVERAGE, COVERAGE_OF, HEADLINE, IN_UNITS, LOWER_IS_BETTER, MODEL
from sciformer.report import early, forecasts, properties
from sciformer.report.coverage import Coverage
from sciformer.report.files import RunFiles
from sciformer.report.shown import Shown, count, mapping
from sciformer.report.words import with_interval

LEAST = 10
"""Test records below which resampling them decides nothing between models."""


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
class TargetReport:
    name: str
    label: str
    unit: str
    kind: str
    anchor: str
    main: Score | None
    shown: Shown
    models: list[str]
    scores: list[tuple[str, str, dict[str, Score]]]
    """Metric with unit, which way is better, and the score of each model."""
    differences: list[Difference]
    contest: list[Difference]
    """The differences on the main metric: they decide the verdict."""

    @property
    def n(self) -> int:
        return self.shown.n

    @property
    def counted(self) -> str:
        """What it is that ``n`` counts, in one word."""
        return self.shown.counted

    @property
    def unit_of_evidence(self) -> str:
        """What scatters by itself, in one word: parts of one record do not."""
        return "record" if self.shown.records is not None else self.shown.counted

    @property
    def evidence(self) -> int:
        """How many of them there are."""
        return self.n if self.shown.records is None else self.shown.records

    @property
    def coverage(self) -> Coverage | None:
        return self.shown.coverage

    @property
    def has_classes(self) -> bool:
        return self.kind in ("binary", "multiclass")

    @property
    def beats_all(self) -> bool:
        return bool(self.contest) and all(d.verdict == "better" for d in self.contest)

    @property
    def worse_than(self) -> list[str]:
        return [d.baseline for d in self.contest if d.verdict == "worse"]

    def against(self, baseline: str) -> str:
        """The verdict on the main metric; "" where it was not compared."""
        return next((d.verdict for d in self.contest if d.baseline == baseline), "")

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
    name, kind, unit = _told(target)
    label = _label(name, unit)
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
    anchor = f"target-{place}"
    shown = _shown(files, target, anchor, rows, limit)
    enough = (shown.n if shown.records is None else shown.records) >= LEAST
    return TargetReport(
        name=name,
        label=label,
        unit=unit,
        kind=kind,
        anchor=anchor,
        main=main,
        shown=shown,
        models=models,
        scores=_score_table(scores, unit, files.level),
        differences=differences,
        contest=[d for d in differences if main and d.metric == main.metric and enough],
    )


def _shown(files: RunFiles, target: dict, anchor: str, rows: pd.DataFrame, limit: int) -> Shown:
    name, kind, unit = _told(target)
    part = str(target.get("part") or "")
    sizes = mapping(mapping(files.run.get("calibration")).get(name))
    if kind == "regression":
        shown = properties.regression(anchor, _label(name, unit), unit, rows, files.level, limit, part)
    elif kind == "forecast":
        shown = forecasts.forecast(files, target, anchor, rows)
    else:
        classes = [str(c) for c in target.get("classes") or ()]
        shown = properties.classification(anchor, rows, classes, files.level, mapping(sizes.get("classes")), part)
        shown.plots.extend(early.plots(anchor, files.table("early", target=name), files.level))
    if shown.coverage is None:
        return shown
    beyond = bool(files.splits.get("beyond"))
    return replace(
        shown,
        coverage=replace(shown.coverage, calibrated=count(sizes.get("n")), beyond=beyond),
        by_class=[(label, replace(coverage, beyond=beyond)) for label, coverage in shown.by_class],
    )


def _told(target: dict) -> tuple[str, str, str]:
    """Name, kind and unit of an entry of run.json."""
    return str(target.get("name", "")), str(target.get("kind", "regression")), str(target.get("unit") or "")


def _label(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


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
