"""Drawings of light curves along time and, of those that repeat themselves, along phase."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sciformer import svg
from sciformer.adapter import Record
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.period import Fold

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of Okabe & Ito (2008): told apart with and without colour vision."""
FAINTEST = 0.15
ORDER = "ugrizybv"
MUTED = "#5f6872"
WORDS: Mapping[str, Mapping[str, Any]] = {
    "seen": {"marker": "o", "linestyle": "", "markersize": 3},
    "later": {"marker": "o", "linestyle": "", "markersize": 3, "fillstyle": "none"},
    "forecast": {"linewidth": 1.0},
}
"""What the marks of a forecast mean, in the legend."""
LEGEND = {"borderaxespad": 0.2, "borderpad": 0, "handletextpad": 0.3, "handlelength": 1.0, "columnspacing": 0.9}


def depict(record: Record, weights: Sequence[float] | None = None, fold: Fold | None = None) -> str | None:
    """An SVG element of the observations with their errors, one colour per band, magnitudes upside down; with ``fold``
    by phase too.

    ``weights``, one per token, make an observation the more opaque the larger its weight is; that of a token about
    the whole object, if there is one, comes first and is not drawn. None for an unreadable record.
    """
    if record.data is None:
        return None
    curve: Curve = record.data
    start = curve.time[0] if len(curve) else 0.0
    shades = np.ones(len(curve)) if weights is None else _relative(weights, len(curve))
    panels = _panels(curve, start, fold)
    for axes, place in panels:
        _observations(axes, curve, place, shades)
    return _drawn([axes for axes, _ in panels], record.key)


def depict_forecast(
    record: Record,
    later: Curve,
    said: pd.DataFrame,
    fold: Fold | None = None,
    weights: Sequence[float] | None = None,
) -> str:
    """The same with what came later as open marks, and what was said of it (``time``, ``band``, ``mean``, ``lower``,
    ``upper``) as a line in its interval: along time, or with ``fold``, which must be known from ``record`` alone, along
    one cycle."""
    curve: Curve = record.data
    start = curve.time[0]
    shades = np.ones(len(curve)) if weights is None else _relative(weights, len(curve))
    panels = _panels(curve, start, fold)
    for axes, place in panels:
        _observations(axes, curve, place, shades, size=6.0 if fold else 9.0)
        _later(axes, later, place)
    panels[0][0].axvline(curve.time[-1] - start, color=MUTED, linewidth=0.7, linestyle=":")
    _said(*panels[-1], said)
    for axes, _ in panels:
        _limit(axes, np.concatenate([curve.value, later.value]))
    return _drawn([axes for axes, _ in panels], record.key, WORDS)


Place = Callable[[np.ndarray], np.ndarray]
"""From times to where they are drawn, once or, by phase, twice."""


def _panels(curve: Curve, start: float, fold: Fold | None) -> list[tuple[Any, Place]]:
    """Axes over days, and with ``fold`` larger ones below them over two cycles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6, 2.4 if fold is None else 4.0), layout="constrained")
    if fold is None:
        every: list[Any] = [figure.add_subplot()]
    else:
        every = list(figure.subplots(2, height_ratios=[1, 2]))
        every[1].set_xlabel(f"phase (period {fold.period:.6g} d, found from what was seen)", fontsize=7)
        every[1].set_xlim(0, 2)
    every[0].set_xlabel("days since the first observation", fontsize=7)
    quantity = "magnitude" if curve.quantity == "mag" else f"flux [{curve.unit}]" if curve.unit else "flux"
    for axes in every:
        if curve.quantity == "mag":
            axes.invert_yaxis()
        axes.set_ylabel(quantity, fontsize=7)
        axes.tick_params(labelsize=6)
    places: list[Place] = [lambda time: (time - start)[None]]
    if fold is not None:
        places.append(lambda time: _phase(fold, time)[None] + np.array([[0.0], [1.0]]))
    return list(zip(every, places, strict=True))


def _phase(fold: Fold, time: np.ndarray) -> np.ndarray:
    """From 0 to 1."""
    return fold.phase(time) / (2 * np.pi) % 1


def _observations(axes: Any, curve: Curve, place: Place, shades: np.ndarray, size: float = 9.0) -> None:
    for band in sorted(set(curve.band.tolist()), key=_order):
        rows = curve.band == band
        error = np.nan_to_num(curve.error[rows], nan=0.0)
        for x in place(curve.time[rows]):
            axes.errorbar(x, curve.value[rows], error, fmt="none", ecolor=_colour(band), alpha=0.25, linewidth=0.7)
            axes.scatter(x, curve.value[rows], s=size, color=_colour(band), alpha=shades[rows].tolist(), linewidths=0)
        axes.scatter([], [], s=9, color=_colour(band), label=str(band) or "one band")  # the legend, in full strength


def _later(axes: Any, later: Curve, place: Place) -> None:
    for band in np.unique(later.band):
        rows = later.band == band
        for x in place(later.time[rows]):
            marks = {"facecolors": "none", "edgecolors": _colour(band), "linewidths": 0.7}
            axes.scatter(x, later.value[rows], s=9, **marks)


def _said(axes: Any, place: Place, said: pd.DataFrame) -> None:
    for band, rows in said.groupby("band"):
        colour = _colour(str(band))
        x = place(rows["time"].to_numpy())
        order, x = np.argsort(x.ravel(), kind="stable") % x.shape[1], np.sort(x.ravel())
        mean, lower, upper = (rows[name].to_numpy()[order] for name in ("mean", "lower", "upper"))
        axes.fill_between(x, lower, upper, color=colour, alpha=0.18, linewidth=0)
        axes.plot(x, mean, color=colour, linewidth=0.8)


def _limit(axes: Any, values: np.ndarray) -> None:
    """Measured values fill the height: a wide interval must not press them flat."""
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.25 * ((high - low) or 1.0)
    bottom, top = axes.get_ylim()
    low, high = low - margin, high + margin
    axes.set_ylim((high, low) if bottom > top else (low, high))


def _drawn(panels: Sequence[Any], key: str, words: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Closed with a legend above the first panel: the bands, and what the marks mean."""
    from matplotlib.lines import Line2D

    first = panels[0]
    bands, names = first.get_legend_handles_labels()
    meanings = {name: Line2D([], [], color=MUTED, **style) for name, style in (words or {}).items()}
    every = ([*bands, *meanings.values()], [*names, *meanings])
    first.legend(*every, fontsize=6, frameon=False, ncols=8, loc="lower left", bbox_to_anchor=(0, 1), **LEGEND)
    return svg.element(first.figure, key)


def _colour(band: str) -> str:
    return COLOURS[_order(band)[0] % len(COLOURS)]


def _order(band: str) -> tuple[int, str]:
    """Bands by wavelength, so that one has the same colour in every drawing; others by their first letter."""
    known = ORDER.find(band.strip().lower()[:1]) if band.strip() else 0
    return (known if known >= 0 else ord(band.strip()[0]), band)


def _relative(weights: Sequence[float], observations: int) -> np.ndarray:
    """Opacity by weight, of the largest 1; the weights of the last ``observations`` tokens are theirs."""
    if len(weights) < observations:
        raise ValueError(f"a weight is needed for each of {observations} observations, got {len(weights)}")
    shades = np.nan_to_num(np.asarray(weights, np.float64)[len(weights) - observations :]).clip(min=0)
    return FAINTEST + (1 - FAINTEST) * shades / max(shades.max(initial=0.0), np.finfo(np.float64).tiny)
