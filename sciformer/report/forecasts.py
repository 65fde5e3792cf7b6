"""What the report shows of forecasts. The unit is the record: all of its observations count as one."""

# The stubs of pandas know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false, reportAssignmentType=false

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from sciformer.evaluation import COVERAGE, CRPS, MODEL, RESAMPLES
from sciformer.report import curves, figures, leads
from sciformer.report.canvas import Plot
from sciformer.report.coverage import Coverage
from sciformer.report.curves import Line
from sciformer.report.files import RunFiles
from sciformer.report.shown import Shown
from sciformer.report.words import bracket

BINS, FEWEST = 8, 5
"""Groups of held-out observations by how far ahead they lie, and the records that each must have at least."""


def forecast(files: RunFiles, target: dict, anchor: str, rows: pd.DataFrame) -> Shown:
    """``target`` is an entry of run.json, ``rows`` are those of predictions.csv, one per held-out observation."""
    name, unit = str(target.get("name", "")), str(target.get("unit") or "")
    numbers = ("truth", "prediction", "lower", "upper", "scale", "ahead")
    read = {column: pd.to_numeric(rows[column], errors="coerce").astype(float) for column in numbers}
    table = pd.DataFrame({"key": rows["key"], **read})
    good = np.isfinite(table[[*numbers[:4]]]).all(axis=1)
    notes = (
        [f"{int((~good).sum())} held-out observations without finite numbers are left out."] if not good.all() else []
    )
    table = table[good]
    if table.empty:
        return Shown(notes=notes)
    by_lead = leads.plots(files, target, anchor)
    n, counted, told = _units(files, name, table["key"].nunique(), windows=bool(by_lead))
    levels = files.table("levels")
    plots = [
        *by_lead,
        *_gaps(anchor, files.table("gaps", target=name), unit, files.level, counted),
        *_levels(anchor, levels[levels["target"].isin((name, ""))], n, counted),
        *([] if by_lead else _ahead(anchor, table, unit, str(target.get("ahead") or ""), files.level)),
        _width(anchor, table, unit),
    ]
    return Shown(n, _coverage(files, name, table, n), plots, [*notes, *told], counted=counted)


def _units(files: RunFiles, name: str, records: int, *, windows: bool) -> tuple[int, str, list[str]]:
    """How many there are of what counts as one, what it is called, and a note where it is not the record."""
    if not windows:
        return records, "record", []
    moments = files.table("scores", part="test", target=name, model=MODEL, metric=CRPS)["n"].max()
    if not moments < records:
        return records, "window", []
    note = f"The {records} windows of the test part begin at {moments:.0f} moments: those of one moment count as one."
    return int(moments), "moment", [note]


def _coverage(files: RunFiles, name: str, table: pd.DataFrame, n: int) -> Coverage:
    """As scores.csv has it, resampled over records; else from the observations, without an interval."""
    own = files.table("scores", part="test", target=name, model=MODEL, metric=COVERAGE)
    if len(own):
        value, lower, upper = own.iloc[0][["value", "lower", "upper"]].astype(float)
        if np.isfinite([value, lower, upper]).all():
            return Coverage.of_shares((float(value), float(lower), float(upper)), n, files.level)
    share = float(_by_record(table, _inside(table)).mean())
    return Coverage.of_shares((share, np.nan, np.nan), n, files.level)


def _inside(table: pd.DataFrame) -> pd.Series:
    return table["truth"].between(table["lower"], table["upper"]).astype(float)


def _by_record(table: pd.DataFrame, values: pd.Series) -> pd.Series:
    return values.groupby(table["key"], sort=False).mean()


def _gaps(anchor: str, gaps: pd.DataFrame, unit: str, level: float, counted: str) -> list[Plot]:
    """How all models fare when less and less is seen."""
    gaps = gaps[np.isfinite(gaps[["dropped", "value", "n"]]).all(axis=1)]
    scores = {str(model): _line(rows) for model, rows in gaps[gaps["metric"] == CRPS].groupby("model", sort=False)}
    if not scores:
        return []
    n = f"Means over {gaps['n'].max():.0f} test {counted}s with 95 % intervals (bootstrap over {counted}s)."
    share = "share of what was seen that is left out [%]"
    told = f"Random observations are left out before the forecast; the questions stay the same. {n} Lower is better."
    plots = [curves.along(f"{anchor}-gaps", "Scores with gaps", (share, bracket(CRPS, unit)), scores, told)]
    covered = gaps[(gaps["metric"] == COVERAGE) & (gaps["model"] == MODEL)]
    if len(covered):
        labels = (share, "share of truths inside [%]")
        line = {MODEL: _line(covered, 100.0)}
        told = f"Intervals keep the widths that were calibrated without gaps. {n}"
        plots.append(
            curves.along(f"{anchor}-gap-cover", "Coverage with gaps", labels, line, told, {"stated level": 100 * level})
        )
    return plots


def _line(rows: pd.DataFrame, factor: float = 1.0) -> Line:
    rows = rows.sort_values("dropped")
    return Line(100 * rows["dropped"].to_numpy(), *(factor * rows[x].to_numpy() for x in ("value", "lower", "upper")))


def _levels(anchor: str, levels: pd.DataFrame, n: int, counted: str) -> list[Plot]:
    levels = levels[np.isfinite(levels["level"]) & np.isfinite(levels["value"])]
    if levels.empty:
        return []
    line = Line(*(levels[column].to_numpy() for column in ("level", "value", "lower", "upper")))
    told = f"On the diagonal, all is right. Mean shares of {n} test {counted}s; "
    told += f"lines are 95 % intervals over {counted}s."
    return [curves.intervals_by_level(f"{anchor}-levels", line, told)]


def _ahead(anchor: str, table: pd.DataFrame, unit: str, clock: str, level: float) -> list[Plot]:
    """Error and coverage against the time since the last observation seen."""
    table = table[np.isfinite(table["ahead"])]
    group = _groups(table)
    table = table.loc[group.index]
    if group.nunique() < 2:
        return []
    place = table["ahead"].groupby(group).median().to_numpy()
    error = _resampled(table, group, (table["prediction"] - table["truth"]) ** 2)
    spread = _resampled(table, group, table["scale"] ** 2)
    said = ("expected by the model", np.sqrt(spread[0]))
    since = bracket("time since the last observation seen", clock)
    told = "Held-out observations in groups, each at its median time; in a group all records count alike."
    lines = {"RMSE": Line(place, *np.sqrt(_bounds(error)))}
    inside = {"intervals": Line(place, *(100 * x for x in _bounds(_resampled(table, group, _inside(table)))))}
    labels = (since, "share of truths inside [%]")
    return [
        curves.along(
            f"{anchor}-ahead", "Error by time ahead", (since, bracket("RMSE", unit)), lines, told, expected=said
        ),
        curves.along(
            f"{anchor}-ahead-cover", "Coverage by time ahead", labels, inside, told, {"stated level": 100 * level}
        ),
    ]


def _groups(table: pd.DataFrame) -> pd.Series:
    """The group of each observation by how far ahead it lies, in even steps, of a wide range in even factors; without
    groups of few records."""
    ahead = table["ahead"].clip(*table["ahead"].quantile([0.02, 0.98]))
    wide = ahead.min() > 0 and curves.is_wide(ahead.to_numpy())
    group = pd.cut(np.log(ahead) if wide else ahead, BINS, labels=False) if ahead.nunique() > 1 else ahead * 0
    return group[table["key"].groupby(group).transform("nunique") >= FEWEST]


def _resampled(table: pd.DataFrame, group: pd.Series, values: pd.Series) -> Float[np.ndarray, "draws bins"]:
    """Means over records of their means in each group; the first row is of all, the others of records drawn anew."""
    means = values.groupby([table["key"], group]).mean().unstack().to_numpy()
    known, n = np.isfinite(means), len(means)
    rows = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    times = np.vstack([np.ones(n), [np.bincount(row, minlength=n) for row in rows]])
    with np.errstate(invalid="ignore"):  # no record of that group was drawn
        return (times @ np.where(known, means, 0.0)) / (times @ known.astype(float))


def _bounds(draws: Float[np.ndarray, "draws bins"]) -> Sequence[Float[np.ndarray, " bins"]]:
    return [draws[0], *np.nanquantile(draws[1:], [0.025, 0.975], axis=0)]


def _width(anchor: str, table: pd.DataFrame, unit: str) -> Plot:
    width = _by_record(table, table["upper"] - table["lower"]).to_numpy()
    told = "The mean of each record. Narrow is informative only where coverage holds."
    label = bracket("mean interval width of a record", unit)
    return figures.histogram(f"{anchor}-width", "Width of prediction intervals", width, label, told)
