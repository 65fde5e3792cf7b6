"""What the report shows of properties, numbers and classes: figures, coverage and confusion, on the test part."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sciformer.evaluation import share
from sciformer.report import figures
from sciformer.report.canvas import Plot
from sciformer.report.coverage import Coverage
from sciformer.report.shown import Shown, count


def regression(
    anchor: str, label: str, unit: str, rows: pd.DataFrame, level: float, limit: int, part: str = ""
) -> Shown:
    """``rows`` of predictions.csv; figures draw at most ``limit`` of them. ``part`` says what a row is about where it
    is not a record, but one of its parts."""
    notes, counted = [], part or "record"
    table = rows[["truth", "prediction"]].apply(pd.to_numeric, errors="coerce").astype(float)
    table = table.join(rows[["lower", "upper", "scale"]])
    good = np.isfinite(table["truth"]) & np.isfinite(table["prediction"])
    if not good.all():
        notes.append(f"{int((~good).sum())} test rows without finite truth and prediction are left out of the figures.")
    truth, prediction, lower, upper, scale = table[good].to_numpy(float).T
    if not len(truth):
        return Shown(notes=notes)
    bounded = ~(np.isnan(lower) | np.isnan(upper))
    coverage = None
    if bounded.any():
        inside = ((lower <= truth) & (truth <= upper))[bounded]
        coverage = _coverage(inside, rows["key"][good][bounded] if part else None, level)
    plots = [figures.parity(f"{anchor}-parity", label, truth, prediction, lower, upper, limit, counted)]
    error, known = np.abs(prediction - truth), np.isfinite(scale)
    if known.sum() > 1:
        plots.append(figures.error_by_scale(f"{anchor}-scale", unit, error[known], scale[known], limit, counted))
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
                counted,
            )
        )
    records = rows["key"][good].nunique() if part else None
    return Shown(n=len(truth), coverage=coverage, plots=plots, notes=notes, counted=counted, records=records)


def classification(
    anchor: str,
    rows: pd.DataFrame,
    classes: list[str],
    level: float,
    calibrated: Mapping[str, Any],
    part: str = "",
) -> Shown:
    """``rows`` of predictions.csv; ``calibrated`` counts the calibration records of each class; ``part`` as in
    ``regression``."""
    known, notes, counted = classes, [], part or "record"
    rows = rows[rows["truth"] != ""]
    classes = [*classes, *sorted(set(rows["truth"]) - set(classes))]
    if not len(rows):
        return Shown()
    coverage, by_class, plots = None, [], []
    told = [c for c in classes if f"p_{c}" in rows]
    p = rows[[f"p_{c}" for c in told]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    good = np.isfinite(p).all(1)
    if told and good.any():
        if not good.all():
            notes.append(f"{int((~good).sum())} test rows without finite probabilities are left out of the figures.")
        plots += _probability_plots(anchor, rows["truth"].to_numpy(str)[good], told, p[good].clip(0, 1), notes, counted)
    else:
        notes.append("No class probabilities were written, so ROC, precision-recall and reliability cannot be drawn.")
    if (rows["set"] != "").any():
        sets = [f"|{labels}|" for labels in rows["set"]]
        hit = pd.Series([f"|{x}|" in labels for x, labels in zip(rows["truth"], sets, strict=True)], index=rows.index)
        coverage = _coverage(hit.to_numpy(), rows["key"] if part else None, level)
        by_class = [
            (label, _coverage(hit[its].to_numpy(), rows["key"][its] if part else None, level, calibrated.get(label)))
            for label in known
            if (its := rows["truth"] == label).any()
        ]
        sizes = np.array([sum(f"|{c}|" in labels for c in classes) for labels in sets])
        plots.append(figures.set_sizes(f"{anchor}-sets", sizes, len(classes), counted))
    records = rows["key"].nunique() if part else None
    return Shown(len(rows), coverage, plots, notes, by_class, _confusion(rows, classes), counted, records)


def _coverage(inside: np.ndarray, keys: pd.Series | None, level: float, calibrated: Any = None) -> Coverage:
    """``keys`` are those of the records that the rows are parts of: records then are the unit, for parts are alike."""
    if keys is None:
        return Coverage(int(inside.sum()), len(inside), level, count(calibrated))
    groups, records = pd.factorize(keys)
    return replace(Coverage.of_shares(share(inside, groups), len(records), level), calibrated=count(calibrated))


def _probability_plots(
    anchor: str, truth: np.ndarray, classes: list[str], p: np.ndarray, notes: list[str], counted: str
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
        notes.append(f"All test {counted}s are of class {truth[0]}: ROC and precision-recall curves need both classes.")
    if len(classes) == 2:
        happened, confidence, what = truth == classes[1], p[:, 1], f"class {classes[1]}"
    else:
        happened, confidence, what = np.array(classes)[p.argmax(1)] == truth, p.max(1), "the likeliest class"
    return [*plots, figures.reliability(f"{anchor}-reliability", happened, confidence, what, counted)]


def _confusion(rows: pd.DataFrame, classes: list[str]) -> tuple[list[str], list[list[tuple[int, float]]]]:
    """Counts and shares of each true class (rows) by predicted class (columns)."""
    labels = [*classes, *sorted(set(rows["prediction"]) - set(classes))]
    counts = pd.crosstab(rows["truth"], rows["prediction"]).reindex(index=labels, columns=labels, fill_value=0)
    return labels, [[(int(n), n / max(1, row.sum())) for n in row] for row in counts.to_numpy()]
