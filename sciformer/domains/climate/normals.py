"""What is normal for the place, the season and the hour: a climatology of harmonics, from training steps alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sciformer.domains.climate.series import YEAR

ANNUAL, DIURNAL = 3, 3
"""Harmonics of the year and of the day."""
YEARS, DAYS = 1.5, 5.0
"""Length of the training part from which the cycle of the year, and of the day, is told from chance."""
RIDGE = 1e-3
"""Observations' share of belief that a harmonic is nothing."""


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


def fit(
    cycles: Cycles, time: Float[np.ndarray, " n"], values: Float[np.ndarray, "n lines"]
) -> tuple[Float[np.ndarray, "lines terms"], Float[np.ndarray, " lines"]]:
    """Coefficients of every line (a variable at a place; NaN where nothing was observed), and the standard deviation of
    what is left. A line that was never observed has NaN."""
    design = cycles.design(time)
    penalty = np.diag([0.0, *np.full(cycles.terms - 1, RIDGE)])
    coefficients = np.full((values.shape[1], cycles.terms), np.nan)
    spreads = np.full(values.shape[1], np.nan)
    for j, line in enumerate(values.T):
        seen = np.isfinite(line)
        if not seen.any():
            continue
        x, y = design[seen], line[seen].astype(float)
        level = y.mean()
        normal = x.T @ x + len(y) * penalty + 1e-9 * len(y) * np.eye(cycles.terms)
        coefficients[j] = np.linalg.solve(normal, x.T @ (y - level))
        coefficients[j, 0] += level
        left = y - x @ coefficients[j]
        spreads[j] = max(float(left.std()), 1e-6 * max(float(np.abs(y).max()), 1e-30))
    return coefficients, spreads
