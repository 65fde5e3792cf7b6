"""What the adapter learns from the training part: what is normal, how far things stray from it, for how long."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from sciformer.domains.climate import memory, normals
from sciformer.domains.climate.memory import Memory
from sciformer.domains.climate.normals import Cycles
from sciformer.domains.climate.series import Series

LINES = 300
"""Cells, of all places, on which a variable's memory is measured, drawn at random."""
DIGITS = 6
"""Of what is written to the checkpoint."""


@dataclass(frozen=True)
class Fitted:
    names: tuple[str, ...]
    cycles: Cycles
    normals: Float[np.ndarray, "places y x v terms"]
    spreads: Float[np.ndarray, "places y x v"]
    memories: tuple[Memory, ...]
    lat: tuple[float | None, ...]
    """Degrees of every row of every place; None where nobody said."""
    lon: tuple[float | None, ...]

    @property
    def tables(self) -> Float[np.ndarray, "v k"]:
        """Of every variable nugget, reach, and the covariance at each lag."""
        return np.array([(known.nugget, known.reach, *known.covariance) for known in self.memories])


def fit(windows: Iterable[Series], context: int, horizon: int) -> Fitted:
    """From training windows, which may overlap: every step counts once. Values on disk are read piece by piece."""
    whole = {name: merged(parts) for name, parts in _by_place(windows).items()}
    first = next(iter(whole.values()))
    longest = max(whole.values(), key=lambda series: np.ptp(series.time))
    cycles = Cycles.of(longest.time, first.pace, first.calendar)
    coefficients, spreads = [], []
    for series in whole.values():
        found, spread = _summed(cycles, series).solved()
        coefficients.append(found.reshape(*series.values.shape[1:], cycles.terms))
        spreads.append(spread.reshape(series.values.shape[1:]))
    normal, spread = np.stack(coefficients), np.stack(spreads)
    lines = _anomalies(list(whole.values()), cycles, normal, spread)
    memories = tuple(memory.fit(each, context, horizon) for each in lines)
    lat, lon = (_degrees([getattr(series, axis) for series in whole.values()]) for axis in ("lat", "lon"))
    return Fitted(tuple(whole), cycles, normal, spread, memories, lat, lon)


def _degrees(places: Sequence[Float[np.ndarray, " p"]]) -> tuple[float | None, ...]:
    return tuple(x if np.isfinite(x) else None for x in np.concatenate(places).tolist())


def _summed(cycles: Cycles, series: Series) -> normals.Sums:
    """Of every line of a series, in the order of its values. A piece on disk is read once and then let go: the next is
    added to the sums of those before it, one at a time, or memory would hold as many as there are processors."""
    lines = np.arange(np.prod(series.values.shape[1:])).reshape(series.values.shape[1:])
    sums = normals.Sums(cycles, lines.size)
    if isinstance(series.values, np.ndarray):
        return sums.add(series.time, series.values, lines)
    from dask.array.core import slices_from_chunks
    from dask.delayed import delayed

    add, total = delayed(normals.Sums.add), delayed(sums)
    pieces = zip(slices_from_chunks(series.values.chunks), series.values.to_delayed().ravel(), strict=True)
    for (steps, *cells), values in pieces:
        total = add(total, series.time[steps], values, lines[tuple(cells)])
    return total.compute(scheduler="synchronous")


def _anomalies(
    places: Sequence[Series],
    cycles: Cycles,
    normal: Float[np.ndarray, "places y x v terms"],
    spread: Float[np.ndarray, "places y x v"],
) -> list[list[Float[np.ndarray, " n"]]]:
    """By variable, anomalies of some lines at regular steps. The cells are drawn before anything of them is read."""
    chosen = sorted(np.random.default_rng(0).permutation(len(places))[:LINES].tolist())
    drawn = [_drawn(spread[chosen][..., j], max(LINES // len(chosen), 1)) for j in range(spread.shape[-1])]
    lines: list[list[np.ndarray]] = [[] for _ in drawn]
    for i, place in enumerate(chosen):
        series, step = places[place], steps(places[place])
        v = np.repeat(np.arange(len(drawn)), [len(cells[i]) for cells in drawn])
        y, x = np.divmod(np.concatenate([cells[i] for cells in drawn]), spread.shape[2])
        usual = cycles.design(series.time) @ normal[place, y, x, v].T
        anomaly = (_picked(series.values, y, x, v) - usual) / spread[place, y, x, v]
        for j, values in zip(v.tolist(), anomaly.T, strict=True):
            line = np.full(step[-1] + 1, np.nan)
            line[step] = values
            lines[j].append(line)
    return lines


def _drawn(spread: Float[np.ndarray, "places y x"], most: int) -> list[Integer[np.ndarray, " cells"]]:
    """Of each place the numbers of some cells where something is known."""
    rng, known = np.random.default_rng(0), [np.flatnonzero(np.isfinite(cells)) for cells in spread]
    return [np.sort(rng.permutation(cells)[:most]) for cells in known]


def _picked(values: Any, y: np.ndarray, x: np.ndarray, v: np.ndarray) -> Float[np.ndarray, "n lines"]:
    """The lines at these cells."""
    if isinstance(values, np.ndarray):
        return values[:, y, x, v]
    return values.vindex[:, y, x, v].compute(scheduler="synchronous").T


def plain(numbers: Float[np.ndarray, "*b"]) -> tuple[float, ...]:
    """Rounded, for the checkpoint; 0 where nothing is known."""
    return tuple(float(f"{x:.{DIGITS}g}") for x in np.nan_to_num(numbers).ravel())


def _by_place(windows: Iterable[Series]) -> Mapping[str, list[Series]]:
    out: dict[str, list[Series]] = {}
    for window in windows:
        out.setdefault(window.place, []).append(window)
    return out


def merged(windows: Sequence[Series]) -> Series:
    """One series of all steps of some windows of it, on disk if they are."""
    parts, end = [], -np.inf
    for window in sorted(windows, key=lambda w: (w.time[0], w.time[-1])):
        start = int(np.searchsorted(window.time, end, side="right"))
        if start < len(window):
            parts.append(window.between(start, len(window)))
            end = window.time[-1]
    time, values = (np.concatenate(x) for x in zip(*((part.time, part.values) for part in parts), strict=True))
    return windows[0].replaced(time=time, values=values)


def steps(series: Series) -> np.ndarray:
    """The number of each step, counted from the first."""
    return np.round((series.time - series.time[0]) / series.pace).astype(int)
