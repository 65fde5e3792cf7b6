"""What the report shows of forecasts of windows in time: scores by how far ahead they look, and where on the map."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, MultipleLocator

from sciformer.evaluation import COVERAGE, CRPS, MODEL, REFERENCES, SKILL
from sciformer.report import curves, maps
from sciformer.report.canvas import STYLE, Plot, axes, finished
from sciformer.report.curves import Line
from sciformer.report.files import RunFiles
from sciformer.report.svg import BLUE, MUTED
from sciformer.report.words import bracket, scaled

SHORT = 2.0
"""Days up to which leads are told in hours."""
NEAR = 0.05
"""How far coverage may be from its level before the figure shows it outside."""
HOURS = (1, 2, 3, 6, 12)
MARKED, TICKS = 10, 6
"""Places along a line that have a mark, and along the axis, at most."""
DEPTH = 0.6
"""How far below the transformer, or no skill, the figure of skill goes down: persistence may be worse by far."""


@dataclass(frozen=True)
class Leads:
    """The rows of leads.csv of one target, with its scores as lines by model."""

    rows: pd.DataFrame
    unit: str
    hours: bool
    clock: str

    @classmethod
    def of(cls, files: RunFiles, target: dict) -> "Leads":
        rows = files.table("leads", target=str(target.get("name", "")))
        rows = rows[np.isfinite(rows[["ahead", "value"]]).all(axis=1)]
        clock = str(target.get("ahead") or "")
        hours = clock == "day" and bool(rows["ahead"].max() <= SHORT)
        return cls(rows, str(target.get("unit") or ""), hours, "hours" if hours else f"{clock}s" if clock else "")

    def lines(self, metric: str, scale: float = 1.0) -> dict[str, Line]:
        """By model, in the order of ``models``."""
        rows = self.rows[self.rows["metric"] == metric].sort_values("ahead")
        return {x: self._line(rows[rows["model"] == x], scale) for x in self.models if (rows["model"] == x).any()}

    def _line(self, rows: pd.DataFrame, scale: float) -> Line:
        x = (rows["ahead"].to_numpy() * (24 if self.hours else 1)).round(3)
        return Line(x, *(rows[name].to_numpy() / scale for name in ("value", "lower", "upper")))

    @property
    def models(self) -> list[str]:
        """The transformer first, the others as they come."""
        return sorted(self.rows["model"].unique(), key=lambda model: model != MODEL)

    @property
    def label(self) -> str:
        return bracket("time ahead", self.clock)

    @property
    def several(self) -> bool:
        return self.rows["ahead"].nunique() > 1


def plots(files: RunFiles, target: dict, anchor: str) -> list[Plot]:
    """Scores and coverage by lead, skill by lead and by place; nothing where the run wrote no leads.csv."""
    leads = Leads.of(files, target)
    if leads.rows.empty:
        return []
    shown = maps.plots(files, target, anchor, REFERENCES)
    if not leads.several:  # one lead is told by the tables
        return shown
    skills = [_skill(anchor, leads, name) for name in REFERENCES if MODEL in leads.lines(SKILL + name)]
    errors = [_errors(anchor, leads, metric) for metric in (CRPS, "RMSE") if leads.lines(metric)]
    covered = leads.lines(COVERAGE, 0.01).get(MODEL)
    coverage = [_coverage(anchor, leads, covered, files.level)] if covered else []
    return [*errors[:1], *skills, *errors[1:], *coverage, *shown]


@mpl.rc_context(STYLE)
def _errors(anchor: str, leads: Leads, metric: str) -> Plot:
    lines = leads.lines(metric)
    scale, power = scaled(max(float(line.value.max()) for line in lines.values()))
    lines = leads.lines(metric, scale)
    ax = axes(leads.label, bracket(metric, leads.unit, power), size=(4.0, 3.2 + curves.legend_height(len(lines))))
    _draw(ax, lines, leads.models)
    ax.set_ylim(bottom=0)
    _places(ax, leads)
    curves.legend(ax, len(lines))
    told = f"Lower is better. {_over(leads, metric)} The band is the 95 % interval of the transformer."
    return finished(f"{anchor}-lead-{metric.lower()}", ax, f"{metric} by time ahead", told)


@mpl.rc_context(STYLE)
def _skill(anchor: str, leads: Leads, reference: str) -> Plot:
    """Of all other models."""
    skill = leads.lines(SKILL + reference)
    ax = axes(leads.label, f"skill over {reference}", size=(4.0, 3.2 + curves.legend_height(len(skill))))
    ax.axhline(0, color=MUTED, linewidth=1.2)
    _draw(ax, skill, leads.models)
    drawn = [*(line.value for line in skill.values()), skill[MODEL].lower]
    lowest = np.nanmin([np.nanmin(values, initial=0.0) for values in drawn])
    bottom = np.nanmin(skill[MODEL].value, initial=0.0) - DEPTH
    if lowest < bottom:
        ax.set_ylim(bottom=bottom)
    _places(ax, leads)
    curves.legend(ax, len(skill))
    told = f"1 − CRPS / CRPS of {reference}: 1 is perfect, 0 no better than it. {_ahead_of(skill[MODEL], leads.clock)}"
    clear = int((skill[MODEL].lower > 0).sum())
    told += f" Clearly ahead (paired block bootstrap, 95 %) it is at {clear} of {len(skill[MODEL].x)} leads."
    told += " What falls out of the figure is worse still." if lowest < bottom else ""
    return finished(f"{anchor}-skill-{reference}", ax, f"Skill over {reference} by time ahead", told)


def _ahead_of(line: Line, clock: str) -> str:
    """In words, at which leads the transformer is better than the reference."""
    better = line.value[np.isfinite(line.value)] > 0
    until = int(better.sum())
    if until and better.all():
        word = "at every lead"
    elif until and better[:until].all():  # nor behind it anywhere before
        last = line.x[np.isfinite(line.value)][until - 1]
        word = f"up to {last:g} {clock.removesuffix('s') if last == 1 else clock}".rstrip()
    else:
        word = f"at {until} of {len(better)} leads"
    return f"The transformer is ahead of it {word}."


@mpl.rc_context(STYLE)
def _coverage(anchor: str, leads: Leads, line: Line, level: float) -> Plot:
    ax = axes(leads.label, "share of truths inside [%]")
    told = _over(leads, COVERAGE)
    if np.isfinite(level):
        low, high = 100 * (level - NEAR), 100 * min(level + NEAR, 1.0)
        ax.axhspan(low, high, color=MUTED, alpha=0.15, linewidth=0, label=f"{low:.0f} to {high:.0f} %")
        ax.axhline(100 * level, color=MUTED, linewidth=1.2, linestyle="--", label="stated level")
        outside = int(((line.value < low) | (line.value > high)).sum())
        told = f"{outside or 'None'} of {len(line.value)} leads are outside the shaded range. {told}"
    _draw(ax, {MODEL: line}, leads.models)
    ax.set_ylim(max(0, np.nanmin([line.lower.min(), *ax.get_ylim()])), min(101, ax.get_ylim()[1]))
    _places(ax, leads)
    curves.legend_below(ax, 3)
    return finished(f"{anchor}-lead-cover", ax, "Coverage by time ahead", told)


def _draw(ax: Axes, lines: Mapping[str, Line], models: Sequence[str]) -> None:
    """Only the transformer has its intervals: those of many would hide each other. One of ``models`` looks the same in
    all figures."""
    styles = dict(zip(models, curves.styles(), strict=False))
    for model, line in lines.items():
        own, (colour, dash, mark) = model == MODEL, styles[model]
        every = -(-len(line.x) // MARKED)
        style = {"color": colour, "linestyle": dash, "marker": mark, "markevery": every, "markersize": 4}
        ax.plot(line.x, line.value, label=model, linewidth=2.0 if own else 1.2, zorder=3 if own else 2, **style)
        if own and np.isfinite(line.lower).any():
            ax.fill_between(line.x, line.lower, line.upper, color=BLUE, alpha=0.18, linewidth=0)


def _places(ax: Axes, leads: Leads) -> None:
    """Ticks at whole days, or at hours that divide a day."""
    if leads.hours:
        span = 24 * leads.rows["ahead"].max()
        ax.xaxis.set_major_locator(MultipleLocator(next((h for h in HOURS if span / h <= TICKS), HOURS[-1])))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(TICKS + 1, integer=bool(leads.rows["ahead"].max() >= TICKS)))


def _over(leads: Leads, metric: str) -> str:
    n = leads.rows.loc[(leads.rows["metric"] == metric) & (leads.rows["model"] == MODEL), "n"].max()
    return f"Means over {n:.0f} moments of the test part." if np.isfinite(n) else "Means over the test part."
