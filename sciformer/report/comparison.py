"""The page of a comparison: whether pretraining helps on these data, with what, and at what cost."""

# The stubs of pandas know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sciformer.evaluation import IN_UNITS, LOWER_IS_BETTER
from sciformer.report import curves, gain
from sciformer.report.canvas import Plot
from sciformer.report.curves import Line
from sciformer.report.html import written
from sciformer.report.words import number, together, with_interval

PAGE = "compare.html"
DODGE = 1.02
"""Factor between the places of two lines, so that their error bars do not hide each other."""


@dataclass(frozen=True)
class Row:
    """One way in the table of scores: by size the score with its interval, its spread over seeds, and whether it is
    better or worse than scratch."""

    way: str
    classical: bool
    scores: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Section:
    """What the page shows of one target."""

    gain: gain.Gain
    label: str
    metric: str
    better: str
    sizes: list[str]
    rows: list[Row]
    differences: list[tuple[str, ...]]
    """From scratch and the best classical model: size, way, against whom, difference with interval, seeds in which it
    is better, verdict."""
    others: list[tuple[str, ...]]
    """From the other classical models."""
    plot: Plot


def render(run: Path) -> list[str]:
    """Write ``compare.html`` into the directory of a comparison, from its files alone. Returns the verdict in lines.

    The page needs no other file and makes no request. Raises ``OSError`` when a file is missing or the page cannot be
    written.
    """
    facts = json.loads((run / "run.json").read_text("utf-8"))
    names = ("cells", "scores", "comparison")
    cells, scores, differences = (pd.read_csv(run / f"{name}.csv", dtype={"size": str}) for name in names)
    gains = gain.gains(facts, scores, differences)
    sections = [_section(facts, known, scores, differences, i) for i, known in enumerate(gains, 1)]
    unscored = [x["name"] for x in facts["targets"] if x["name"] not in {known.target for known in gains}]
    cost = gain.costs(facts, cells)
    context = {
        "facts": facts,
        "start": gain.started(facts),
        "judged": gain.judged(facts["ways"]),
        "gains": gains,
        "cost": cost,
        "sections": sections,
        "unscored": unscored,
        "costs": _costs(facts, cells),
        "sizes": [_size(facts, size, cells) for size in facts["sizes"]],
        "loaded": _loaded(facts),
        "resamples": _resamples(),
        "config": (run / "config.yaml").read_text("utf-8"),
        "environment": json.loads((run / "environment.json").read_text("utf-8")),
    }
    written("comparison.html.j2", context, run / PAGE)
    told: list[str] = []
    for known in gains:
        told += [known.headline, *(step.words for step in known.steps)]
        told += [step.contest for step in known.steps[-1:] if step.contest]
    return [*told, *([cost] if cost else [])]


def _resamples() -> int:
    from sciformer import evaluation

    return evaluation.RESAMPLES


def _section(
    facts: Mapping[str, Any], known: gain.Gain, scores: pd.DataFrame, differences: pd.DataFrame, place: int
) -> Section:
    target = next(target for target in facts["targets"] if target["name"] == known.target)
    scores, differences = (table[table["target"] == known.target] for table in (scores, differences))
    metric = str(scores["metric"].iloc[0])
    unit = target["unit"] if metric in IN_UNITS else ""
    better = "lower is better" if metric in LOWER_IS_BETTER else "higher is better"
    ways = [way for way in (*facts["ways"], *facts["baselines"]) if way in set(scores["way"])]
    sizes = list(dict.fromkeys(scores["size"]))
    main = differences["best"] | (differences["against"] == gain.SCRATCH)
    plot = _plot(facts, known.target, metric, unit, better, scores, ways, f"target-{place}")
    rows = [
        Row(way, way in facts["baselines"], [_cell(way, size, scores, differences) for size in sizes]) for way in ways
    ]
    counts = [round(float(scores[scores["size"] == size]["records"].mean())) for size in sizes]
    return Section(
        gain=known,
        label=f"{known.target} [{target['unit']}]" if target["unit"] else known.target,
        metric=f"{metric} [{unit}]" if unit else metric,
        better=better,
        sizes=[gain.counted(facts, size, count) for size, count in zip(sizes, counts, strict=True)],
        rows=rows,
        differences=[_difference(facts, row) for _, row in differences[main].iterrows()],
        others=[_difference(facts, row) for _, row in differences[~main].iterrows()],
        plot=plot,
    )


def _cell(way: str, size: str, scores: pd.DataFrame, differences: pd.DataFrame) -> tuple[str, str, str]:
    own = scores[(scores["way"] == way) & (scores["size"] == size)]
    if own.empty:
        return number(None), "", ""
    row = own.iloc[0]
    held = differences[
        (differences["way"] == way) & (differences["size"] == size) & (differences["against"] == gain.SCRATCH)
    ]
    verdict = "" if held.empty else str(held["verdict"].iloc[0])
    value, lower, upper, spread = together(*(float(row[name]) for name in ("value", "lower", "upper", "spread")))
    return f"{value} [{lower}, {upper}]", f"± {spread}" if row["spread"] == row["spread"] else "", verdict


def _difference(facts: Mapping[str, Any], row: pd.Series) -> tuple[str, ...]:
    against = f"{row['against']} (best)" if row["best"] and len(facts["baselines"]) > 1 else str(row["against"])
    told = with_interval(row["difference"], row["lower"], row["upper"])
    size = gain.counted(facts, str(row["size"]), int(row["records"]))
    return size, str(row["way"]), against, told, f"{row['better']} of {row['seeds']}", str(row["verdict"])


def _plot(
    facts: Mapping[str, Any],
    target: str,
    metric: str,
    unit: str,
    better: str,
    scores: pd.DataFrame,
    ways: list[str],
    anchor: str,
) -> Plot:
    lines = {}
    for i, way in enumerate(ways):
        rows = scores[scores["way"] == way].sort_values("records")
        x = rows["records"].to_numpy(float) * DODGE ** (i - (len(ways) - 1) / 2)
        lines[way] = Line(x, *(rows[name].to_numpy(float) for name in ("value", "lower", "upper")))
    seeds = f"{len(facts['seeds'])} seed{'s' if len(facts['seeds']) > 1 else ''}"
    caption = (
        f"Mean over {seeds} of the {metric} on the test part ({better}); bars are 95 % intervals "
        f"over test {facts['noun']}s. The ways are drawn a little apart."
    )
    label = f"{metric} [{unit}]" if unit else metric
    ticks = sorted(set(scores["records"].tolist()))
    return curves.along(
        anchor, f"Learning curves, {target}", (f"training {facts['noun']}s", label), lines, caption, ticks=ticks
    )


def _costs(facts: Mapping[str, Any], cells: pd.DataFrame) -> list[tuple[str, str, list[str]]]:
    """Way, trained weights, and by size seconds and epochs of one training."""
    rows = []
    for way in dict.fromkeys(cells["way"]):
        own = cells[cells["way"] == way]
        weights = own["trained weights"].max()
        told = []
        for size in facts["sizes"]:
            here = own[own["size"] == size]
            epochs = here["epochs"].mean()
            seconds = gain.duration(float(here["seconds"].mean())) if len(here) else number(None)
            told.append(f"{seconds}, {epochs:.0f} epochs" if epochs == epochs else seconds)
        rows.append((str(way), f"{weights:,.0f}" if weights == weights else number(None), told))
    return rows


def _size(facts: Mapping[str, Any], size: str, cells: pd.DataFrame) -> tuple[str, int, int]:
    """What a size is called, its epochs and its steps."""
    records = cells[cells["size"] == size]["records"].mean()
    known = facts["sizes"][size]
    name = gain.counted(facts, size, round(float(records))) if records == records else size
    return name, int(known["epochs"]), int(known["steps"])


def _loaded(facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What became of the weights: whether they are loaded, start at random or are not used; the part; how many."""
    words = {"loaded": "from the checkpoint", "fresh": "starts at random", "unused": "of the checkpoint, not used"}
    return [
        (words[kind], part, f"{count:,}") for kind, parts in facts["loaded"].items() for part, count in parts.items()
    ]
