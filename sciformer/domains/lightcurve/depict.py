"""Drawings of light curves, observations shaded by weight."""

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sciformer.adapter import Record
from sciformer.domains.lightcurve.curve import Curve

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Of Okabe & Ito (2008): told apart with and without colour vision."""
FAINTEST = 0.15
ORDER = "ugrizybv"


def depict(record: Record, weights: Sequence[float] | None = None) -> str | None:
    """An SVG element of the observations with their errors, one colour per band, magnitudes upside down.

    ``weights``, one per token, make an observation the more opaque the larger its weight is; that of a token about
    the whole object, if there is one, comes first and is not drawn. None for an unreadable record.
    """
    if record.data is None:
        return None
    curve: Curve = record.data
    axes = _axes(curve)
    start = curve.time[0] if len(curve) else 0.0
    shades = np.ones(len(curve)) if weights is None else _relative(weights, len(curve))
    _observations(axes, curve, start, shades)
    return _drawn(axes, record.key)


def depict_forecast(record: Record, later: Curve, said: pd.DataFrame) -> str:
    """The same with what came later as open marks, and what was said of it (``time``, ``band``, ``mean``, ``lower``,
    ``upper``) as a line in its interval."""
    curve: Curve = record.data
    axes, start = _axes(curve), curve.time[0]
    _observations(axes, curve, start, np.ones(len(curve)))
    for band, rows in said.groupby("band"):
        days, colour = rows["time"] - start, _colour(str(band))
        axes.fill_between(days, rows["lower"], rows["upper"], color=colour, alpha=0.18, linewidth=0)
        axes.plot(days, rows["mean"], color=colour, linewidth=0.8)
    for band in np.unique(later.band):
        rows = later.band == band
        axes.scatter(
            later.time[rows] - start,
            later.value[rows],
            s=9,
            facecolors="none",
            edgecolors=_colour(band),
            linewidths=0.7,
        )
    axes.axvline(curve.time[-1] - start, color="#5f6872", linewidth=0.7, linestyle=":")
    _limit(axes, np.concatenate([curve.value, later.value]))
    return _drawn(axes, record.key)


def _axes(curve: Curve) -> Any:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(3.6, 2.4), layout="constrained").add_subplot()
    if curve.quantity == "mag":
        axes.invert_yaxis()
    unit = curve.unit or curve.quantity
    axes.set_xlabel("days since the first observation", fontsize=7)
    axes.set_ylabel("magnitude" if curve.quantity == "mag" else f"flux [{unit}]", fontsize=7)
    axes.tick_params(labelsize=6)
    return axes


def _observations(axes: Any, curve: Curve, start: float, shades: np.ndarray) -> None:
    for band in sorted(set(curve.band.tolist()), key=_place):
        rows = curve.band == band
        days, values = curve.time[rows] - start, curve.value[rows]
        error = np.nan_to_num(curve.error[rows], nan=0.0)
        axes.errorbar(days, values, error, fmt="none", ecolor=_colour(band), alpha=0.25, linewidth=0.7)
        axes.scatter(days, values, s=9, color=_colour(band), alpha=shades[rows].tolist(), linewidths=0)
        axes.scatter([], [], s=9, color=_colour(band), label=str(band) or "one band")  # the legend, in full strength


def _limit(axes: Any, values: np.ndarray) -> None:
    """Measured values fill the height: a wide interval must not press them flat."""
    low, high = np.nanmin(values), np.nanmax(values)
    margin = 0.25 * ((high - low) or 1.0)
    bottom, top = axes.get_ylim()
    low, high = low - margin, high + margin
    axes.set_ylim((high, low) if bottom > top else (low, high))


def _drawn(axes: Any, key: str) -> str:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    axes.legend(fontsize=6, frameon=False, ncols=6, loc="lower left", bbox_to_anchor=(0, 1))
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": key, "svg.fonttype": "none"}):  # the same record, the same bytes
        FigureCanvasSVG(axes.figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return _element(buffer.getvalue(), key)


def _colour(band: str) -> str:
    return COLOURS[_place(band)[0] % len(COLOURS)]


def _place(band: str) -> tuple[int, str]:
    """Bands by wavelength, so that one has the same colour in every drawing; others by their first letter."""
    known = ORDER.find(band.strip().lower()[:1]) if band.strip() else 0
    return (known if known >= 0 else ord(band.strip()[0]), band)


def _relative(weights: Sequence[float], observations: int) -> np.ndarray:
    """Opacity by weight, of the largest 1; the weights of the last ``observations`` tokens are theirs."""
    if len(weights) < observations:
        raise ValueError(f"a weight is needed for each of {observations} observations, got {len(weights)}")
    shades = np.nan_to_num(np.asarray(weights, np.float64)[len(weights) - observations :]).clip(min=0)
    return FAINTEST + (1 - FAINTEST) * shades / max(shades.max(initial=0.0), np.finfo(np.float64).tiny)


def _element(svg: str, key: str) -> str:
    """The element alone, its ids made unique so that several drawings can share a page."""
    element = svg[svg.index("<svg") :]
    mark = re.sub(r"\W", "-", key)
    element = re.sub(r'(\bid="|url\(#|href="#)', lambda found: f"{found.group(1)}{mark}-", element)
    return re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
