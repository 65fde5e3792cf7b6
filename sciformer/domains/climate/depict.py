"""Drawings of climate series along their dates: a panel for each variable, at most ``MOST`` of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cftime
import numpy as np
import pandas as pd
from jaxtyping import Float

from sciformer import svg
from sciformer.adapter import Record
from sciformer.domains.climate.adapter import Climate
from sciformer.domains.climate.questions import date
from sciformer.domains.climate.series import EPOCH, Series
from sciformer.tokens import AXES

MOST = 4
"""Variables that are drawn."""
PAST = 3
"""What was seen is drawn so many times as far back as the forecast goes ahead."""
TICKS = 6
"""Dates along the axis, at most."""
INK, MUTED, BLUE, VERMILLION = "#1b1f24", "#6a737d", "#0072b2", "#d55e00"
"""The last two of Okabe & Ito (2008): told apart with and without colour vision."""
BANDS = {"90 %": ("q0.05", "q0.95", 0.16), "50 %": ("q0.25", "q0.75", 0.34)}
"""The columns of a forecast between which so many truths shall lie, and how strongly that is shaded."""
STRONGEST = 0.4
"""Shade of the times that were read most."""
FLAT = 0.2
"""How far above an even share, relative to it, the largest weight must be for any shade."""
READ = "read more"
LEGEND = ("seen", "came later", "forecast", *reversed(BANDS), "normal", READ)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOURS = (1, 3, 6, 12, 24, 48, 120, 240)
SEVERAL_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
"""What may lie between two dates of the axis."""


@dataclass(frozen=True)
class Panel:
    """One variable at one place."""

    axes: Any
    label: str
    scale: float = 1.0
    """What numbers are divided by: ticks have no room for 101325 or 0.00002."""

    def line(self, time: np.ndarray, value: np.ndarray, step: float, **style: Any) -> None:
        """Broken where nothing was observed."""
        after = np.flatnonzero(np.diff(time) > 1.5 * step) + 1
        x, y = np.insert(time, after, np.nan), np.insert(value / self.scale, after, np.nan)
        self.axes.plot(x, y, **style)

    def band(self, time: np.ndarray, lower: np.ndarray, upper: np.ndarray, alpha: float) -> None:
        style = {"color": BLUE, "alpha": alpha, "linewidth": 0}
        lower, upper = lower / self.scale, upper / self.scale
        if len(time) > 1:
            self.axes.fill_between(time, lower, upper, **style)
        else:  # no width to fill
            self.axes.vlines(time, lower, upper, color=BLUE, alpha=2 * alpha, linewidth=4)

    def limit(self, seen: np.ndarray, band: np.ndarray) -> None:
        """Measured values fill the height: a wide band may add as much again on each side, but not press them flat."""
        low, high = np.nanmin(seen), np.nanmax(seen)
        room = (high - low) or max(abs(high), self.scale) * 0.01
        known = band[np.isfinite(band)]
        ends = known.clip(low - room, high + room)
        low, high = min(low, ends.min(initial=low)), max(high, ends.max(initial=high))
        self.axes.set_ylim((low - 0.08 * room) / self.scale, (high + 0.08 * room) / self.scale)


def depict_forecast(
    adapter: Climate,
    record: Record,
    later: Series,
    ask: Callable[[tuple[Record, Any]], pd.DataFrame],
    weights: Sequence[float] | None = None,
) -> str:
    """An SVG element: the end of what was seen, what came later, and the mean and the 50 % and 90 % intervals of what
    ``ask`` says of it, with what is normal as a thin line. With ``weights``, one per token, past times are the more
    shaded the more than an even share was read of them. Of a grid, one cell in its middle: intervals of a mean over
    cells cannot be told from those of the cells."""
    cell = middle(np.isfinite(later.values).any(-1).sum(0))
    known = np.isfinite(later.values[:, *cell]).any(0)
    chosen = np.flatnonzero(known)[:MOST]
    questions = adapter.questions(record, variables=[adapter.variables[j] for j in chosen])
    asked = np.full_like(questions.values, np.nan)
    asked[:, *cell] = questions.values[:, *cell]
    said = ask((record, questions.replaced(values=asked)))
    seen = _end(record.data.take(adapter.variables), PAST * (questions.time[-1] - questions.time[0] + later.step))
    usual = _usual(adapter, record, np.concatenate([seen.time, questions.time]), cell)
    panels = _panels([later.variables[j] for j in chosen], [seen.values[:, *cell, j] for j in chosen])
    shades = None if weights is None else _shades(adapter, record, weights)
    for panel, j in zip(panels, chosen, strict=True):
        if shades is not None:
            _shade(panel, shades, int(j), adapter.layout.patch * adapter.step)
        rows = said[said["variable"] == adapter.variables[j]].sort_values("time")
        _fan(panel, seen, later, rows, cell, int(j))
        panel.axes.plot(usual[0], usual[1][:, j] / panel.scale, color=MUTED, linewidth=0.7, label="normal")
    note = _counted(len(chosen), int(known.sum())) + _named(later, cell)
    return _drawn(panels, seen.time[0], max(later.time[-1], questions.time[-1]), later, note, record.key)


def _fan(panel: Panel, seen: Series, later: Series, said: pd.DataFrame, cell: tuple[int, int], j: int) -> None:
    time = said["time"].to_numpy(float)
    for name, (lower, upper, alpha) in BANDS.items():
        panel.band(time, said[lower].to_numpy(float), said[upper].to_numpy(float), alpha)
        panel.axes.fill([], [], color=BLUE, alpha=alpha, linewidth=0, label=name)  # the legend
    before, after = seen.values[:, *cell, j], later.values[:, *cell, j]
    panel.line(seen.time, before, seen.step, color=INK, linewidth=0.9, marker=".", markersize=2, label="seen")
    open_marks = {"marker": "o", "markersize": 2.6, "fillstyle": "none", "markeredgewidth": 0.7}
    panel.line(later.time, after, seen.step, color=VERMILLION, linewidth=0.7, label="came later", **open_marks)
    panel.line(time, said["mean"].to_numpy(float), np.inf, color=BLUE, linewidth=1.2, label="forecast")
    panel.axes.axvline(seen.time[-1], color=MUTED, linewidth=0.7, linestyle=":")
    panel.limit(np.concatenate([before, after]), said[["q0.05", "q0.95"]].to_numpy(float).ravel())


def depict(adapter: Climate, record: Record, weights: Sequence[float] | None = None) -> str | None:
    """An SVG element of the series, of a grid its mean over cells; with ``weights``, one per token, times are the more
    shaded the more than an even share of the weight their tokens have. None where nothing was read or observed."""
    if record.data is None:
        return None
    series = _end(record.data.take(adapter.variables), (adapter.span - 0.5) * adapter.step)
    mean = over_cells(np.asarray(series.values, dtype=float), series.lat)
    known = np.flatnonzero(np.isfinite(mean).any(0))
    if not known.size:
        return None
    shades = None if weights is None else _shades(adapter, record, weights)
    if shades is not None:  # the variables that were read most
        order = shades.groupby("variable")["weight"].sum().reindex(known, fill_value=0.0)
        known = known[np.argsort(-order.to_numpy(), kind="stable")]
    chosen = np.sort(known[:MOST])
    panels = _panels([series.variables[j] for j in chosen], [mean[:, j] for j in chosen])
    for panel, j in zip(panels, chosen, strict=True):
        style = {"color": INK, "linewidth": 0.9, "marker": ".", "markersize": 2}
        panel.line(series.time, mean[:, j], series.step, label="seen", **style)
        panel.limit(mean[:, j], np.zeros(0))
        if shades is not None:
            _shade(panel, shades, int(j), adapter.layout.patch * adapter.step)
    note = _counted(len(chosen), len(known)) + ("; mean over cells" if series.gridded else "")
    return _drawn(panels, series.time[0], series.time[-1], series, note, record.key)


def _shades(adapter: Climate, record: Record, weights: Sequence[float]) -> pd.DataFrame:
    """The ``weight`` of each moment (``start``, a little before the first step of a patch) and variable, over all
    blocks of cells, and how much more than an even share was ``read``: 1 of the largest, 0 where all are about even."""
    tokens = adapter.tokenize(record)
    if len(weights) != tokens.size:
        raise ValueError(f"a weight is needed for each of {tokens.size} tokens, got {len(weights)}")
    origin = _end(record.data, (adapter.span - 0.5) * adapter.step).time[0]
    start = origin + (tokens.coords[:, AXES.index("time")].double().numpy() - 0.5) * adapter.step
    variable = [adapter.variables.index(adapter.kinds[kind - 1]) for kind in tokens.ids[:, 0].tolist()]
    table = pd.DataFrame({"variable": variable, "start": start, "weight": np.nan_to_num(weights)})
    whole = table.groupby(["variable", "start"], as_index=False)["weight"].sum()
    even = whole["weight"].mean()
    above = (whole["weight"] - even).clip(lower=0)
    return whole.assign(read=above / above.max() if above.max() > FLAT * even else 0.0)


def _shade(panel: Panel, shades: pd.DataFrame, j: int, width: float) -> None:
    """Grey, since blue is the forecast."""
    read = shades[shades["read"] > 0]
    for start, shade in read.loc[read["variable"] == j, ["start", "read"]].to_numpy():
        panel.axes.axvspan(start, start + width, color=MUTED, alpha=STRONGEST * shade, linewidth=0)
    if len(read):
        panel.axes.fill([], [], color=MUTED, alpha=STRONGEST, linewidth=0, label=READ)


# What is drawn.


def _end(series: Series, days: float) -> Series:
    """The last so many days."""
    start = np.searchsorted(series.time, series.time[-1] - days - 1e-6)
    return series.between(int(start), len(series)).loaded()


def middle(counts: np.ndarray) -> tuple[int, int]:
    """The cell nearest to the middle among those with the largest of ``counts``."""
    rows, columns = np.nonzero(counts == counts.max())
    far = (rows - (counts.shape[0] - 1) / 2) ** 2 + (columns - (counts.shape[1] - 1) / 2) ** 2
    return int(rows[far.argmin()]), int(columns[far.argmin()])


def over_cells(values: Float[np.ndarray, "n y x v"], lat: Float[np.ndarray, " y"]) -> Float[np.ndarray, "n v"]:
    """Means weighted by area; of the cells that were observed, NaN where none was."""
    known = np.isfinite(values)
    weight = known * np.cos(np.deg2rad(np.nan_to_num(lat)))[:, None, None]
    total = weight.sum((1, 2))
    mean = (np.where(known, values, 0.0) * weight).sum((1, 2)) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.nan)


def _usual(
    adapter: Climate, record: Record, time: np.ndarray, cell: tuple[int, int]
) -> tuple[np.ndarray, Float[np.ndarray, "n v"]]:
    """What is normal at all steps between the first and the last of these times."""
    steps = np.linspace(time[0], time[-1], round((time[-1] - time[0]) / adapter.step) + 1)
    coefficients, _ = adapter.normal(record.data.take(adapter.variables))
    return steps, adapter.cycles.usual(steps, coefficients[cell])


# How it is drawn.


def _panels(variables: Sequence[Any], values: Sequence[np.ndarray]) -> list[Panel]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 1.3 + 1.1 * len(variables)), layout="constrained")
    every = figure.subplots(len(variables), sharex=True, squeeze=False)[:, 0]
    panels = []
    for axes, variable, seen in zip(every, variables, values, strict=True):
        scale, power = scaled(np.abs(seen[np.isfinite(seen)]).max(initial=0.0))
        unit = " ".join(part for part in (power, variable.unit) if part)
        axes.set_title(f"{variable.name} [{unit}]" if unit else variable.name, fontsize=7, loc="left", pad=2)
        axes.tick_params(labelsize=6)
        axes.locator_params(axis="y", nbins=4)
        axes.ticklabel_format(axis="y", useOffset=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        panels.append(Panel(axes, variable.name, scale))
    return panels


def scaled(largest: float | np.floating) -> tuple[float, str]:
    """A power of 1000 to divide by, and its name, so that numbers fit beside an axis."""
    if largest == 0 or 1e-2 <= largest < 1e4:
        return 1.0, ""
    power = 3 * int(np.floor(np.log10(largest) / 3))
    return 10.0**power, "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _counted(drawn: int, known: int) -> str:
    return f"; {drawn} of {known} variables, {known - drawn} left out" if known > drawn else ""


def _named(series: Series, cell: tuple[int, int]) -> str:
    if not series.gridded:
        return ""
    lat, lon = float(series.lat[cell[0]]), float(series.lon[cell[1]])
    lon = (lon + 180) % 360 - 180
    if not np.isfinite([lat, lon]).all():
        return f"; row {cell[0] + 1}, column {cell[1] + 1} of the grid"
    return f"; the cell at {abs(lat):.4g}° {'SN'[lat >= 0]}, {abs(lon):.4g}° {'WE'[lon >= 0]}"


def _drawn(panels: Sequence[Panel], first: float, last: float, series: Series, note: str, key: str) -> str:
    """Closed with dates below the last panel and a legend above the first."""
    below, figure = panels[-1].axes, panels[0].axes.figure
    places, labels = dates(first, last, series.calendar)
    below.set_xticks(places, labels)
    margin = 0.02 * (last - first or 1.0)
    below.set_xlim(first - margin, last + margin)
    other = "" if series.calendar in ("standard", "proleptic_gregorian") else f" (calendar {series.calendar})"
    below.set_xlabel(f"{date(first, series)} to {date(last, series)}{other}{note}", fontsize=7)
    marks = {"borderaxespad": 0.2, "handletextpad": 0.4, "handlelength": 1.2, "columnspacing": 1.0}
    known = dict(zip(*reversed(panels[0].axes.get_legend_handles_labels()), strict=True))
    names = [name for name in LEGEND if name in known]
    style = {"fontsize": 6, "frameon": False, "ncols": len(LEGEND), "loc": "outside upper left"}
    figure.legend([known[name] for name in names], names, **style, **marks)
    return svg.element(figure, key)


def dates(first: float, last: float, calendar: str) -> tuple[list[float], list[str]]:
    """Round dates between two days since 1970 of a calendar, and how they are written."""
    hours = next((h for h in HOURS if (last - first) * 24 / h <= TICKS), None)
    if hours is None:
        return _months(first, last, calendar)
    places = np.arange(np.ceil(first * 24 / hours - 1e-6), np.floor(last * 24 / hours + 1e-6) + 1) * hours / 24
    moments = cftime.num2date(places + 1e-6, f"days since {EPOCH}", calendar=calendar)
    told = [f"{x.hour:02d}:00" if x.hour else f"{x.day} {MONTHS[x.month - 1]}" for x in moments]
    return places.tolist(), told


def _months(first: float, last: float, calendar: str) -> tuple[list[float], list[str]]:
    begin, end = (cftime.num2date(x, f"days since {EPOCH}", calendar=calendar) for x in (first, last))
    low, high = (12 * x.year + x.month - 1 for x in (begin, end))
    fitting = (m for m in SEVERAL_MONTHS if (high - low) / m <= TICKS)
    every = next(fitting, SEVERAL_MONTHS[-1])
    places, told = [], []
    for month in range(-(-low // every) * every, high + 1, every):
        moment = cftime.datetime(month // 12, month % 12 + 1, 1, calendar=calendar)
        place = float(cftime.date2num(moment, f"days since {EPOCH}", calendar=calendar))
        if place >= first - 1e-6:
            places.append(place)
            told.append(f"{month // 12}" if every >= 12 else f"{MONTHS[month % 12]} {month // 12}")
    return places, told
