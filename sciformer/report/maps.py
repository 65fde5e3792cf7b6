"""Maps of skill, in plain degrees: no coast is drawn, cells where nothing is measured stay empty."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sciformer.evaluation import CRPS, MODEL
from sciformer.report.canvas import STYLE, Plot, finished
from sciformer.report.files import RunFiles
from sciformer.report.svg import GRID, INK
from sciformer.report.words import number

COLOURS = "PuOr"
"""From brown, worse, to violet, better; told apart by colour-blind readers."""
FEWEST, LARGEST = 0.1, 1.0
"""Bounds of the skill at which colours are strongest."""
NARROWEST = 0.1
"""Degrees of latitude that a map of stations shows at least."""
SHARP = 200
"""Dots per inch of cells, which are drawn as an image: paths of many of them would make the page heavy."""


def plots(files: RunFiles, target: dict, anchor: str, references: Sequence[str]) -> list[Plot]:
    """A map for each reference that was asked; nothing where places are not known."""
    rows = files.table("places", target=str(target.get("name", "")))
    rows = rows[np.isfinite(rows[["lat", "lon", CRPS]]).all(axis=1)]
    scores = rows.pivot_table(index=["lat", "lon"], columns="model", values=CRPS)
    if len(scores) < 2 or MODEL not in scores:
        return []
    return [_map(anchor, scores, name) for name in references if name in scores]


@mpl.rc_context(STYLE)
def _map(anchor: str, scores: pd.DataFrame, reference: str) -> Plot:
    skill = (1 - scores[MODEL] / scores[reference].where(scores[reference] > 0)).dropna()
    lat, lon = (skill.index.get_level_values(name).to_numpy(float) for name in ("lat", "lon"))
    lon = joined(lon)
    strongest = float(np.clip(skill.abs().quantile(0.95) if len(skill) else 0.0, FEWEST, LARGEST))
    colours = {"cmap": COLOURS, "norm": Normalize(-strongest, strongest)}
    ax = Figure(figsize=(4.0, 3.2), layout="constrained", dpi=SHARP).add_subplot()
    if gridded(lat, lon):
        drawn = _cells(ax, lat, lon, skill.to_numpy(), **colours)
    else:
        drawn = ax.scatter(lon, lat, c=skill, s=60, edgecolors=INK, linewidths=0.6, **colours)
        _room(ax, lon, lat)
    _degrees(ax, lat)
    beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    extend = beyond[bool((skill < -strongest).any()), bool((skill > strongest).any())]
    place = {"location": "bottom", "shrink": 0.8, "aspect": 28, "pad": 0.03}
    bar = ax.figure.colorbar(drawn, ax=ax, extend=extend, ticks=MaxNLocator(5), **place)
    bar.set_label(f"skill over {reference}")
    bar.outline.set_visible(False)
    what = "cells" if gridded(lat, lon) else "places"
    told = (
        f"1 − CRPS / CRPS of {reference}, over all times ahead: above 0 (violet) the transformer is better, in "
        f"{(skill > 0).sum()} of {len(skill)} {what}; median {number(float(skill.median()))}."
    )
    told += " Grey: nothing is measured there." if what == "cells" else ""
    return finished(f"{anchor}-map-{reference}", ax, f"Skill over {reference} by place", told)


def _cells(ax: Axes, lat: np.ndarray, lon: np.ndarray, skill: Float[np.ndarray, " n"], **colours):
    """The sea is of the colour of the ground, which is not that of no skill."""
    table = pd.Series(skill, pd.MultiIndex.from_arrays([lat, lon])).unstack()
    rows, columns = whole(table.index.to_numpy(float)), whole(table.columns.to_numpy(float))
    table = table.reindex(index=rows, columns=columns)
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, color=GRID, linewidth=0, zorder=0))
    ax.grid(visible=False)
    return ax.pcolormesh(columns, rows, table.to_numpy(), shading="nearest", rasterized=True, **colours)


def gridded(lat: np.ndarray, lon: np.ndarray) -> bool:
    """Whether places share rows and columns, as cells do and stations do not."""
    return len(lat) >= 2 * max(len(np.unique(lat)), len(np.unique(lon)))


def whole(centres: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """Even coordinates with those between, which may all be sea; uneven ones as they are."""
    step = np.diff(centres).min()
    places = (centres - centres[0]) / step
    if np.abs(places - places.round()).max() > 0.05 or places[-1] > 10 * len(centres):
        return centres
    full = centres[0] + np.arange(round(places[-1]) + 1) * np.ptp(centres) / round(places[-1])
    full[places.round().astype(int)] = centres  # exactly, so that they are found
    return full


def joined(lon: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Longitudes that go on eastward across the seam, from behind the widest gap; right round, from 180 degrees."""
    around = np.sort(np.unique(lon % 360))
    gaps = np.diff(around, append=around[0] + 360)
    west = around[(gaps.argmax() + 1) % len(around)]
    if gaps.max() < 1.5 * np.median(gaps):
        west = around[np.searchsorted(around, 180) % len(around)]
    east = (lon - west) % 360 + west
    return east - 360 * round((east.min() + east.max()) / 720)


def _room(ax: Axes, lon: np.ndarray, lat: np.ndarray) -> None:
    """Limits round the dots of a few stations: neither side, as it is on the ground, is below half of the other."""
    shrunk = np.cos(np.deg2rad(np.clip((lat.min() + lat.max()) / 2, -75, 75)))
    sides = np.array([np.ptp(lon) * shrunk, np.ptp(lat)])
    wide, high = 1.3 * np.maximum(sides, max(sides.max() / 2, NARROWEST)) / [shrunk, 1.0]
    ax.set_xlim(*((lon.min() + lon.max()) / 2 + np.array([-wide, wide]) / 2))
    ax.set_ylim(*((lat.min() + lat.max()) / 2 + np.array([-high, high]) / 2))


def _degrees(ax: Axes, lat: np.ndarray) -> None:
    """Degrees of both axes are of about equal length on the ground, in the middle of the map."""
    middle = np.deg2rad(np.clip((lat.min() + lat.max()) / 2, -75, 75))
    ax.set_aspect(min(1 / np.cos(middle), 2.5), adjustable="box" if np.ptp(lat) > 0 else "datalim")
    (west, east), (south, north) = ax.get_xlim(), ax.get_ylim()
    narrow = (east - west) * np.cos(middle) < 0.6 * (north - south)
    ax.xaxis.set_major_locator(MaxNLocator(2 if narrow else 4))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _compass((x + 180) % 360 - 180, "EW")))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _compass(y, "NS")))


def _compass(degrees: float, names: str) -> str:
    """``4.5°W``"""
    sign = "" if degrees == 0 else names[int(degrees < 0)]
    return f"{abs(degrees):g}°{sign}"
