"""What the adapter learns from the training part: what is normal, how far things stray from it, for how long."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sciformer.domains.climate import memory, normals
from sciformer.domains.climate.memory import Memory
from sciformer.domains.climate.normals import Cycles
from sciformer.domains.climate.series import Series

LINES = 300
"""Cells of a grid on which a variable's memory is measured, drawn at random."""
DIGITS = 6
"""Of what is written to the checkpoint."""


@dataclass(frozen=True)
class Fitted:
    names: tuple[str, ...]
    cycles: Cycles
    normals: Float[np.ndarray, "places y x v terms"]
    spreads: Float[np.ndarray, "places y x v"]
    memories: tuple[Memory, ...]


def fit(windows: Iterable[Series], context: int, horizon: int) -> Fitted:
    """From training windows, which may overlap: every step counts once."""
    whole = {name: merged(parts) for name, parts in _by_place(windows).items()}
    first = next(iter(whole.values()))
    longest = max(whole.values(), key=lambda series: np.ptp(series.time))
    cycles = Cycles.of(longest.time, first.pace, first.calendar)
    coefficients, spreads, anomalies = [], [], []
    for series in whole.values():
        values = np.asarray(series.values, dtype=np.float64)
        flat = values.reshape(len(series), -1)
        found, spread = normals.fit(cycles, series.time, flat)
        anomaly = (flat - cycles.design(series.time) @ found.T) / spread
        coefficients.append(found.reshape(*values.shape[1:], cycles.terms))
        spreads.append(spread.reshape(values.shape[1:]))
        anomalies.append((steps(series), anomaly.reshape(values.shape)))
    memories = tuple(
        _memory([(place, anomaly[..., j]) for place, anomaly in anomalies], context, horizon)
        for j in range(len(first.variables))
    )
    return Fitted(tuple(whole), cycles, np.stack(coefficients), np.stack(spreads), memories)


def plain(numbers: Float[np.ndarray, "*b"]) -> tuple[float, ...]:
    """Rounded, for the checkpoint; 0 where nothing is known."""
    return tuple(float(f"{x:.{DIGITS}g}") for x in np.nan_to_num(numbers).ravel())


def _by_place(windows: Iterable[Series]) -> Mapping[str, list[Series]]:
    out: dict[str, list[Series]] = {}
    for window in windows:
        out.setdefault(window.place, []).append(window)
    return out


def merged(windows: Sequence[Series]) -> Series:
    """One series of all steps of some windows of it."""
    parts, end = [], -np.inf
    for window in sorted(windows, key=lambda w: (w.time[0], w.time[-1])):
        start = int(np.searchsorted(window.time, end, side="right"))
        if start < len(window):
            parts.append(window.between(start, len(window)))
            end = window.time[-1]
    time = np.concatenate([part.time for part in parts])
    values = np.concatenate([np.asarray(part.values) for part in parts])
    return windows[0].replaced(time=time, values=values)


def steps(series: Series) -> np.ndarray:
    """The number of each step, counted from the first."""
    return np.round((series.time - series.time[0]) / series.pace).astype(int)


def _memory(parts: Sequence[tuple[np.ndarray, np.ndarray]], context: int, horizon: int) -> Memory:
    lines = []
    rng = np.random.default_rng(0)
    for place, anomaly in parts:
        flat = anomaly.reshape(len(anomaly), -1)
        known = np.flatnonzero(np.isfinite(flat).any(0))
        for cell in np.sort(rng.permutation(known)[: max(LINES // len(parts), 1)]):
            line = np.full(place[-1] + 1, np.nan)
            line[place] = flat[:, cell]
            lines.append(line)
    return memory.fit(lines, context, horizon)
