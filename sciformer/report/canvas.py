"""What every figure of the report is drawn on: matplotlib drawings as inline SVG that follow the page's theme.

Only the object API is used, inside ``rc_context``, so a caller's own plots keep their settings.
Texts stay texts (``svg.fonttype: none``): small, searchable, in the page's font. Colours are the
Okabe-Ito set, told apart by colour-blind readers, and nothing is told by colour alone.
"""

# The stubs of matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import io
import textwrap
import warnings
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sciformer.report.svg import BLUE, GREEN, GRID, INK, MUTED, ORANGE, PURPLE, VERMILLION, inline

CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, MUTED)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))
PARTS = {"training": (BLUE, "-"), "validation": (VERMILLION, "--")}
"""Colour and dash of the parts of a learning curve."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.usetex": False,
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.5,
    "axes.formatter.use_mathtext": False,
}


@dataclass(frozen=True)
class Plot:
    """A finished figure: its heading, its inline SVG and what to see in it (also its text alternative)."""

    title: str
    svg: Markup
    caption: str


def axes(xlabel: str, ylabel: str, size: tuple[float, float] = (4.0, 3.2)) -> Axes:
    ax = Figure(figsize=size, layout="constrained").add_subplot()
    ax.set_xlabel(textwrap.fill(plain(xlabel, 90), 44))
    ax.set_ylabel(textwrap.fill(plain(ylabel, 90), 38), linespacing=1.5)
    return ax


def points(
    ax: Axes,
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    colour: str,
    marker: str,
    label: str,
    alpha: float = 0.7,
) -> None:
    ax.plot(
        x,
        y,
        linestyle="",
        marker=marker,
        markersize=4,
        color=colour,
        alpha=alpha,
        markeredgewidth=0,
        label=label,
        zorder=3,
    )


def sample(n: int, limit: int, counted: str = "record") -> tuple[Int[np.ndarray, " m"], str]:
    """At most ``limit`` of ``n`` places, the same at every call, and the sentence that owns up to it."""
    if n <= limit:
        return np.arange(n), ""
    chosen = np.random.default_rng(0).choice(n, limit, replace=False)
    return np.sort(chosen), f" A random {limit} of {n} {counted}s are drawn."


def plain(text: str, limit: int) -> str:
    """A label that XML can hold and a figure has room for."""
    text = "".join(c for c in text if c.isprintable())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def finished(name: str, ax: Axes, title: str, caption: str) -> Plot:
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # The browser draws the letters, so it is no matter that matplotlib's font lacks some of them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        ax.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return Plot(title, Markup(inline(buffer.getvalue(), name, f"{title}. {caption}")), caption)
