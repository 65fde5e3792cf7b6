"""What the report shows of answers that were given before a record was complete."""

# The stubs of pandas know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import numpy as np
import pandas as pd

from sciformer.evaluation import COVERAGE, MODEL
from sciformer.report import curves
from sciformer.report.canvas import Plot
from sciformer.report.curves import Line

ENOUGH = 0.95
"""Share of the final accuracy of which the caption says when it was reached."""
SINCE = "days since the first detection"


def plots(anchor: str, early: pd.DataFrame, level: float) -> list[Plot]:
    """Accuracy, the main metric and coverage by days since the first detection, from early.csv's rows of one target."""
    own, others = early[early["model"] == MODEL], early[early["model"] != MODEL]
    if not (own["metric"] == "accuracy").any():
        return []
    accuracy = _line(own[own["metric"] == "accuracy"], 100.0)
    levels = {"final accuracy": float(accuracy.value[-1])}
    levels |= {str(row.model): 100 * float(row.value) for row in others[others["metric"] == "accuracy"].itertuples()}
    told = (
        f"{_reached(accuracy)} One model that met random truncations in training; {own['n'].max():.0f} test records, "
        "each cut so many days after its first detection; 95 % intervals over records."
    )
    labels = (SINCE, "accuracy [%]")
    shown = [curves.along(f"{anchor}-early", "Accuracy before all is seen", labels, {MODEL: accuracy}, told, levels)]
    for metric, rows in own[~own["metric"].isin(["accuracy", COVERAGE])].groupby("metric"):
        labels, title = (SINCE, str(metric)), f"{metric} before all is seen"
        shown.append(curves.along(f"{anchor}-early-main", title, labels, {MODEL: _line(rows)}, "The same answers."))
    covered = own[own["metric"] == COVERAGE]
    return [*shown, _coverage(anchor, _line(covered, 100.0), level)] if len(covered) else shown


def _coverage(anchor: str, line: Line, level: float) -> Plot:
    told = "Sets are calibrated on whole records: nothing holds them to the level before all is seen."
    labels = (SINCE, "share of true classes in the set [%]")
    stated = {"stated level": 100 * level}
    return curves.along(f"{anchor}-early-cover", "Coverage before all is seen", labels, {MODEL: line}, told, stated)


def _line(rows: pd.DataFrame, factor: float = 1.0) -> Line:
    rows = rows.sort_values("days")
    return Line(rows["days"].to_numpy(), *(factor * rows[name].to_numpy() for name in ("value", "lower", "upper")))


def _reached(accuracy: Line) -> str:
    """From when on the accuracy stays near its final value."""
    short = np.flatnonzero(accuracy.value < ENOUGH * accuracy.value[-1])
    since = f"{accuracy.x[short[-1] + 1]:g} days" if len(short) else "the first detection"
    return f"From {since} on, the accuracy is at least {100 * ENOUGH:.0f} % of the final one."
