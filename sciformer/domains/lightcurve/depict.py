"""Drawings of light curves, observations shaded by weight."""

import io
import re
from collections.abc import Sequence

import numpy as np

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
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    curve: Curve = record.data
    shades = np.ones(len(curve)) if weights is None else _relative(weights, len(curve))
    figure = Figure(figsize=(3.6, 2.4), layout="constrained")
    axes = figure.add_subplot()
    start = curve.time[0] if len(curve) else 0.0
    for band in sorted(set(curve.band.tolist()), key=_place):
        rows = curve.band == band
        colour = COLOURS[_place(band)[0] % len(COLOURS)]
        days, values = curve.time[rows] - start, curve.value[rows]
        error = np.nan_to_num(curve.error[rows], nan=0.0)
        axes.errorbar(days, values, error, fmt="none", ecolor=colour, alpha=0.25, linewidth=0.7)
        axes.scatter(days, values, s=9, color=colour, alpha=shades[rows].tolist(), linewidths=0)
        axes.scatter([], [], s=9, color=colour, label=str(band) or "one band")  # the legend, in full strength
    if curve.quantity == "mag":
        axes.invert_yaxis()
    unit = curve.unit or curve.quantity
    axes.set_xlabel("days since the first observation", fontsize=7)
    axes.set_ylabel("magnitude" if curve.quantity == "mag" else f"flux [{unit}]", fontsize=7)
    axes.tick_params(labelsize=6)
    axes.legend(fontsize=6, frameon=False, ncols=6, loc="lower left", bbox_to_anchor=(0, 1))
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": record.key, "svg.fonttype": "none"}):  # the same record, the same bytes
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    return _element(buffer.getvalue(), record.key)


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
