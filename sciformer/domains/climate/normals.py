"""What is normal for the place, the season and the hour: a climatology of harmonics, from training steps alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from sciformer.domains.climate.series import YEAR, Series

ANNUAL, DIURNAL = 3, 3
"""Harmonics of the year and of the day."""
YEARS, DAYS = 1.5, 5.0
"""Length of the training part from which the cycle of the year, and of the day, is told from chance."""
RIDGE = 1e-3
"""Observations' share of belief that a harmonic is nothing."""
SLAB = 2**14
"""Lines that are solved at once."""


@dataclass(frozen=True)
class Cycles:
    """Which cycles a climatology has."""

    annual: int
    diurnal: int
    year: float = 365.2425

    @classmethod
    def of(cls, time: Float[np.ndarray, " n"], step: float, calendar: str) -> "Cycles":
        """Those that steps of this length over this time can show."""
        year, span = YEAR.get(calendar, YEAR["standard"]), float(np.ptp(time)) if len(time) else 0.0
        annual = min(ANNUAL, int(year / step / 2) - 1) if span >= YEARS * year else 0
        diurnal = min(DIURNAL, int(1 / step / 2) - 1) if step < 0.5 and span >= DAYS else 0
        return cls(max(annual, 0), max(diurnal, 0), year)

    @property
    def terms(self) -> int:
        return 1 + 2 * (self.annual + self.diurnal)

    def design(self, time: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b terms"]:
        """1, then cosine and sine of each harmonic of the year and of the day, at days since 1970."""
        angles = [2 * np.pi * k * (time / self.year) for k in range(1, self.annual + 1)]
        angles += [2 * np.pi * k * time for k in range(1, self.diurnal + 1)]
        return np.stack([np.ones_like(time), *(wave(angle) for angle in angles for wave in (np.cos, np.sin))], axis=-1)

    def usual(
        self, time: Float[np.ndarray, " n"], coefficients: Float[np.ndarray, "*cells terms"]
    ) -> Float[np.ndarray, "n *cells"]:
        """What is normal at some moments."""
        return np.einsum("nt,...t->n...", self.design(time), coefficients)


class Sums:
    """The normal equations of many lines (a variable at a place), summed over pieces of their steps in any order."""

    def __init__(self, cycles: Cycles, lines: int):
        self.cycles = cycles
        self.count, self.largest, self.base, self.y, self.yy = np.zeros((5, lines))
        self.xy = np.zeros((lines, cycles.terms))
        self.xx = np.zeros((lines, cycles.terms**2))

    def add(
        self, time: Float[np.ndarray, " n"], values: Float[np.ndarray, "n *lines"], lines: Integer[np.ndarray, "*lines"]
    ) -> "Sums":
        """These sums, with some steps (NaN where nothing was observed) of the lines of these numbers."""
        at, design = lines.ravel(), self.cycles.design(time)
        values = values.reshape(len(time), -1).astype(np.float64)
        seen = np.isfinite(values)
        values = np.where(seen, values, 0.0)
        n = seen.sum(0)
        # Pressures vary by a hundredth of what they are: squares are summed around a value of the line itself.
        self.base[at] = np.where(self.count[at] > 0, self.base[at], values.sum(0) / np.maximum(n, 1))
        self.largest[at] = np.maximum(self.largest[at], np.abs(values).max(0, initial=0.0))
        values = np.where(seen, values - self.base[at], 0.0)
        products = (design[:, :, None] * design[:, None]).reshape(len(time), -1)
        self.xx[at] += products.sum(0) if seen.all() else seen.T.astype(np.float64) @ products
        self.xy[at] += values.T @ design
        self.yy[at] += (values**2).sum(0)
        self.y[at] += values.sum(0)
        self.count[at] += n
        return self

    def solved(self) -> tuple[Float[np.ndarray, "lines terms"], Float[np.ndarray, " lines"]]:
        """Coefficients of every line, and the standard deviation of what is left. A line that was never observed has
        NaN."""
        terms = self.cycles.terms
        coefficients = np.full((len(self.count), terms), np.nan)
        spreads = np.full(len(self.count), np.nan)
        penalty = np.diag([0.0, *np.full(terms - 1, RIDGE)]) + 1e-9 * np.eye(terms)
        known = np.flatnonzero(self.count)
        for at in np.split(known, range(SLAB, len(known), SLAB)):
            count, level = self.count[at], self.y[at] / self.count[at]
            xx = self.xx[at].reshape(-1, terms, terms)
            xy = self.xy[at] - level[:, None] * xx[:, 0]  # of what is left above the mean
            found = np.linalg.solve(xx + count[:, None, None] * penalty, xy[..., None])[..., 0]
            square = self.yy[at] - count * level**2 - ((2 * xy - np.einsum("lij,lj->li", xx, found)) * found).sum(1)
            mean = -(xx[:, 0] * found).sum(1) / count
            spread = np.sqrt(np.maximum(square / count - mean**2, 0.0))
            spreads[at] = np.maximum(spread, 1e-6 * np.maximum(self.largest[at], 1e-30))
            found[:, 0] += level + self.base[at]
            coefficients[at] = found
        return coefficients, spreads


def fit(
    cycles: Cycles, time: Float[np.ndarray, " n"], values: Float[np.ndarray, "n lines"]
) -> tuple[Float[np.ndarray, "lines terms"], Float[np.ndarray, " lines"]]:
    """The same of lines that are in memory as a whole."""
    return Sums(cycles, values.shape[1]).add(time, values, np.arange(values.shape[1])).solved()


def elsewhere(
    cycles: Cycles,
    normals: Float[np.ndarray, "places y x v terms"],
    spread: Float[np.ndarray, "y x v"],
    series: Series,
) -> tuple[Float[np.ndarray, "y x v terms"], Float[np.ndarray, "y x v"]]:
    """What is normal at a place that nobody learned, and the spread around it: the seasons of the others around its own
    level. Of a variable that it never observed it is the level of the others, as unsure as these differ."""
    mean = known_mean(normals, 0)
    seasons = cycles.design(series.time)[:, None, None, None, 1:] * mean[None, ..., 1:]
    own = known_mean(np.asarray(series.values, dtype=float) - seasons.sum(-1), 0)
    silent, differ = np.isnan(own), np.sqrt(known_mean((normals[..., 0] - mean[..., 0]) ** 2, 0))
    mean[..., 0] = np.where(silent, mean[..., 0], own)
    return mean, np.where(silent, np.hypot(spread, differ), spread)


def known_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis) / np.maximum(count, 1), np.nan)
