"""What a training run says of itself on the terminal, in plain lines: each is cut openly or not at all."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from sciformer.adapter import DomainAdapter, Record
from sciformer.evaluation import COVERAGE, COVERAGE_OF, CRPS, HEADLINE, IN_UNITS, LOWER_IS_BETTER, MODEL
from sciformer.tokens import Target

FIRST = 5
"""Unreadable rows that are named one by one."""
MOST = 12
"""Comparisons and classes that are told one by one."""
SMALL = 1e-4
"""Numbers below it have a power of ten."""


def noun_of(adapter: DomainAdapter, records: Sequence[Record] = ()) -> str:
    """What a record is called: a row, or where it has several rows of a table, a record; of a longer series, a
    window."""
    if any(record.span for record in records):
        return "window"
    return "record" if adapter.long else "row"


def row_lines(records: Sequence[Record], source: str, usable: int, noun: str = "row") -> list[str]:
    """How many rows (or what else ``noun`` calls records) can be learned from, and why the first others cannot."""
    broken = [record for record in records if not record.ok]
    unlabelled = len(records) - len(broken) - usable
    without = f"{unlabelled} without a label, " if unlabelled else ""
    lines = [f"{len(records)} {noun}s of {source}: {usable} to learn from, {without}{len(broken)} unreadable"]
    lines += [f"  {noun} {record.key}: {record.problem}" for record in broken[:FIRST]]
    return lines + ([f"  and {len(broken) - FIRST} more: rows.csv"] if len(broken) > FIRST else [])


def parts_line(counts: Mapping[str, int], usable: int, noun: str = "row") -> str:
    """How large the parts of a split are, and how many of the ``usable`` are in none."""
    told, left = ", ".join(f"{name} {count}" for name, count in counts.items()), usable - sum(counts.values())
    return f"Parts: {told}" + (f"; {left} {noun}{'s' * (left != 1)} in no part" if left else "")


def target_line(targets: Sequence[Target]) -> str:
    """The kind of each target, also where it was inferred: neighbours of one kind share a bracket."""
    told = []
    for kind, alike in groupby(targets, key=_kind):
        names = [target.label for target in alike]
        told.append(f"{', '.join(names)} ({kind}{' each' if len(names) > 1 else ''})")
    return f"Targets: {'; '.join(told)}"


def _kind(target: Target) -> str:
    if not target.classes:
        return "regression"
    shown = [repr(name) if "," in name else name for name in target.classes[:MOST]]
    shown += ["..."] if len(target.classes) > MOST else []
    return f"{len(target.classes)} classes: {', '.join(shown)}"


def score_lines(
    targets: Sequence[Target],
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    level: float | int,
    folder: Path,
    noun: str = "record",
) -> list[str]:
    """One line per target with its main score and its coverage, over so many of what the ``noun`` says, then the
    comparisons with the baselines, and where all are: in ``folder``."""
    lines = []
    for target in targets:
        own = scores[(scores["model"] == MODEL) & (scores["target"] == target.name)].set_index("metric")
        told = [
            f"{name} {_interval(*(own.loc[name, x] for x in ('value', 'lower', 'upper')), unit=_unit(target, name))}"
            for name in [HEADLINE["forecast" if HEADLINE["forecast"] in own.index else target.kind]]
            if name in own.index
        ]
        if COVERAGE in own.index:
            share, low, high = (100 * float(own.loc[COVERAGE, side]) for side in ("value", "lower", "upper"))  # pyright: ignore[reportArgumentType]
            interval = "" if math.isnan(low) else f" ({low:.0f} to {high:.0f} %)"  # there is none of one record
            told.append(f"coverage {share:.0f} %{interval} for {100 * level:.0f} %{_by_class(target, own)}")
        if told:
            lines.append(f"  {target.name}  {', '.join(told)}, {(n := int(own['n'].max()))} {noun}{'s' * (n != 1)}")
    return [*lines, *_compared(comparison, folder), f"All scores: {folder / 'scores.csv'}"]


def _compared(comparison: pd.DataFrame, folder: Path) -> list[str]:
    """Every comparison; of forecasts, and where they are many, that with the best classical model of each target on its
    main metric."""
    few = len(comparison) <= MOST and CRPS not in set(comparison["metric"])
    rows = comparison if few else _hardest(comparison)
    who = "" if few else ", the best classical"
    lines = [
        f"  {row.target}  {row.metric} minus that of {row.baseline}{who}: "
        f"{_interval(row.difference, row.lower, row.upper, sign='+')}, {row.verdict}"
        for row in rows.itertuples()
    ]
    return lines if few or not lines else [*lines, f"All comparisons: {folder / 'comparison.csv'}"]


def _hardest(comparison: pd.DataFrame) -> pd.DataFrame:
    """Of each target the row of the baseline that scores best on the first metric, which is the main one."""
    rows = []
    for _, table in comparison.groupby("target", sort=False):
        main = table[table["metric"] == table["metric"].iloc[0]]
        towards = 1 if main["metric"].iloc[0] in LOWER_IS_BETTER else -1
        rows.append(main.iloc[int((towards * main["difference"]).fillna(-math.inf).to_numpy().argmax())])
    return pd.DataFrame(rows)


def _unit(target: Target, metric: str) -> str:
    return f" {target.unit}" if target.unit and metric in IN_UNITS else ""


def _interval(value: Any, lower: Any, upper: Any, *, sign: str = "", unit: str = "") -> str:
    """A number and its interval with three decimals, or with what shows three digits of the largest of them."""
    size = max((abs(float(x)) for x in (value, lower, upper) if math.isfinite(x)), default=0.0)
    form = ".3f"
    if size and not 0.01 <= size < 100:
        form = ".2e" if size < SMALL else f".{max(0, 2 - math.floor(math.log10(size)))}f"
    value, lower, upper = (f"{float(x):{sign}{form}}" for x in (value, lower, upper))
    return f"{value}{unit} (95 % {lower} to {upper})"


def _by_class(target: Target, own: pd.DataFrame) -> str:
    """`` [class 1: 67 % of 6, class 0: 91 % of 90]``: coverage of each class, the rarest first."""
    rows = own[own.index.isin([f"{COVERAGE_OF}{label}" for label in target.classes])].sort_values("n", kind="stable")
    told = [
        f"class {name.removeprefix(COVERAGE_OF)}: {100 * value:.0f} % of {n}"
        for name, value, n in _columns(rows.head(MOST))
    ]
    more = [f"and {len(rows) - MOST} more"] if len(rows) > MOST else []
    return f" [{', '.join([*told, *more])}]" if told else ""


def _columns(rows: pd.DataFrame) -> list[tuple[str, float, int]]:
    return [(str(name), float(row["value"]), int(row["n"])) for name, row in rows.iterrows()]
