"""Figures of scores that run along something: the share that is missing, a level, the time ahead or since detection."""

# The stubs of matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sciformer.report.canvas import CYCLE, DASHES, PARTS, STYLE, Plot, axes, finished
from sciformer.report.svg import BLUE, INK, MUTED
from sciformer.report.words import number

COLOURS = (*CYCLE, INK)
MARKS = ("o", "s", "^", "D", "v", "X", "P", "<")
"""Colours, dashes and marks are of different numbers: they come again, but not together."""
MOST_OVER = 4
"""Lines whose legend finds a place among them; that of more is put below."""
WIDE = 20.0
"""Factor between the largest and the smallest number from which an axis is logarithmic."""


@dataclass(frozen=True)
class Line:
    """Values with 95 % intervals along the horizontal axis."""

    x: Float[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]


@mpl.rc_context(STYLE)
def along(
    name: str,
    title: str,
    labels: tuple[str, str],
    lines: Mapping[str, Line],
    caption: str,
    levels: Mapping[str, float] | None = None,
    expected: tuple[str, Float[np.ndarray, " n"]] | None = None,
    ticks: Sequence[float | int] = (),
) -> Plot:
    """Lines with their intervals by name; ``levels`` to compare them with, or what is ``expected`` at each place of the
    first line. With ``ticks`` the horizontal axis is logarithmic and has these."""
    ax = axes(*labels, size=(4.0, 3.2 + legend_height(len(lines))))
    for (label, line), (colour, dash, mark) in zip(lines.items(), styles(), strict=False):
        bounds = np.nan_to_num(np.stack([line.value - line.lower, line.upper - line.value])).clip(min=0)
        ax.errorbar(line.x, line.value, bounds, fmt=mark, color=colour, markersize=4.5, elinewidth=1)
        ax.plot(line.x, line.value, linestyle=dash, color=colour, marker=mark, markersize=4.5, label=label)
    first = next(iter(lines.values()))
    for (label, level), dash in zip((levels or {}).items(), ("--", ":"), strict=False):
        ax.axhline(level, color=MUTED, linewidth=1.2, linestyle=dash, label=label)
    if expected:
        ax.plot(first.x, expected[1], color=MUTED, linewidth=1, linestyle="--", label=expected[0])
    if ticks or is_wide(first.x):
        ax.set_xscale("log")
        _plain_numbers(ax.xaxis)
    if ticks:
        ax.set_xticks(ticks)
        ax.set_xticks([], minor=True)
    if is_wide(np.concatenate([line.value for line in lines.values()])):
        ax.set_yscale("log")
        _plain_numbers(ax.yaxis)
    if len(lines) > 1 or levels or expected:
        legend(ax, len(lines))
    return finished(name, ax, title, caption)


@mpl.rc_context(STYLE)
def intervals_by_level(name: str, line: Line, caption: str) -> Plot:
    """Measured coverage against the level that was asked for."""
    ax = axes("level of the intervals", "share of truths inside")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    ax.vlines(line.x, line.lower, line.upper, color=BLUE, alpha=0.5, linewidth=1.2)
    ax.plot(line.x, line.value, "o", color=BLUE, markersize=5)
    low = max(0.0, min(line.x.min(), np.nanmin(line.lower)) - 0.06)
    ax.set(xlim=(low, 1.02), ylim=(low, 1.02))
    return finished(name, ax, "Reliability of intervals", caption)


@mpl.rc_context(STYLE)
def by_step(
    name: str, stream: str, score: str, step: Float[np.ndarray, " n"], parts: Mapping[str, Float[np.ndarray, " n"]]
) -> Plot:
    """A score of one stream while it is learned, on the ``training`` part (mean of an epoch) and on the ``validation``
    part (at the end of it)."""
    ax = axes("step", score)
    for part, value in parts.items():
        colour, dash = PARTS[part]
        known = np.isfinite(step) & np.isfinite(value)
        ax.plot(step[known], value[known], dash, color=colour, marker="." if known.sum() == 1 else "", label=part)
    if is_wide(np.concatenate(list(parts.values()))):
        ax.set_yscale("log")
        _plain_numbers(ax.yaxis)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    if len(parts) > 1:
        ax.legend()
    held = parts["validation"]
    last = int(np.flatnonzero(np.isfinite(held))[-1])
    caption = f"On held-out records {number(float(held[last]))} at step {step[last]:,.0f}."
    return finished(name, ax, f"{stream}: {score}", caption)


def styles() -> Iterator[tuple[str, Any, str]]:
    """Colour, dash and mark of one line after the other."""
    return zip(cycle(COLOURS), cycle(DASHES), cycle(MARKS), strict=False)


def legend_height(lines: int) -> float:
    """What the legend of so many lines adds to a figure, in inches."""
    return 0.17 * -(-lines // 2) if lines > MOST_OVER else 0.0


def legend(ax: Axes, lines: int) -> None:
    """Where it hides none of so many lines."""
    if lines <= MOST_OVER:
        ax.legend(loc="best", borderaxespad=0.2)
    else:
        legend_below(ax, 2)


def legend_below(ax: Axes, columns: int) -> None:
    spaces = {"borderaxespad": 0.2, "labelspacing": 0.3, "columnspacing": 1.4}
    ax.figure.legend(loc="outside lower center", ncols=columns, **spaces)


def is_wide(values: Float[np.ndarray, " n"]) -> bool:
    """Whether numbers are positive and differ by so much that only a logarithmic axis shows them all."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() > WIDE * known.min())


def _plain_numbers(axis: Axis) -> None:
    """In place of powers of ten."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
