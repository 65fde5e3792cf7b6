"""How often intervals or sets held the truth, and what that says of the level they were made for."""

import math
from dataclasses import dataclass

from sciformer.calibration import records_needed
from sciformer.evaluation import proportion
from sciformer.report.words import MISSING

FEW = 30
"""Test records below which nothing can be said for coverage; against it, the odds are computed for any number."""
IN_LINE, BELOW, ABOVE = "in line with", "BELOW", "above"
UNJUDGED, UNPROMISED = "too few test records to judge", "not calibrated"
OUTSIDE = "beyond what was calibrated"


@dataclass(frozen=True)
class Coverage:
    """How many true values the intervals or sets held, with a binomial interval.

    Of records that ask many questions each, as forecasts do, ``measured`` is the mean share that was held, with its
    interval over records; ``hits`` is then that share in whole records, and all judgements scatter like these: the
    shares themselves scatter less.
    """

    hits: int
    n: int
    level: float
    calibrated: int | None = None
    """Number of records they were calibrated on, None where the run does not say."""
    measured: tuple[float, float, float] | None = None
    beyond: bool = False
    """Whether the test part lies beyond what was calibrated, so that nothing promises the level there."""

    @classmethod
    def of_shares(cls, share: tuple[float, float, float], n: int, level: float) -> "Coverage":
        """From the mean share of the questions of ``n`` records that were held, with its interval."""
        return cls(round(share[0] * n), n, level, measured=share)

    @property
    def share(self) -> tuple[float, float, float]:
        return self.measured or proportion(self.hits, self.n)

    @property
    def judgement(self) -> str:
        """Whether as many hits may come of a method that keeps its level: in 95 of 100 runs they do. Where nothing
        promises the level, many hits are no success of the calibration and few are no failure of it."""
        if self.beyond:
            return OUTSIDE
        if self.calibrated is not None and self.calibrated < records_needed(self.level):
            return UNPROMISED
        low, high = self.expected
        if low <= self.hits <= high:
            return IN_LINE if self.n >= FEW else UNJUDGED
        return BELOW if self.hits < low else ABOVE

    @property
    def expected(self) -> tuple[float, float]:
        """Between how many hits 95 of 100 runs are that keep their level."""
        from scipy.stats import betabinom, binom

        if self.calibrated is None:
            scatter = binom(self.n, self.level)
        else:  # coverage given one calibration part scatters as Beta(k, n + 1 - k) (Vovk 2012, arXiv:1209.2673)
            rank = math.ceil((self.calibrated + 1) * self.level - 1e-9)
            scatter = betabinom(self.n, rank, self.calibrated + 1 - rank)
        low, high = scatter.ppf([0.025, 0.975])
        return float(low), float(high)

    def why(self, counted: str) -> str:
        """A sentence where the level is outside the interval of the share and yet it is in line with it, else ""."""
        _, low, high = self.share
        if self.judgement != IN_LINE or not (self.level < low or self.level > high):
            return ""
        few, many = (100 * hits / self.n for hits in self.expected)
        basis = f"{self.n} test" + (f" and {self.calibrated} calibration" if self.calibrated is not None else "")
        return (
            f" The level is outside that interval, which knows nothing of the scatter of the calibration part: with "
            f"{basis} {counted}s, {few:.0f} to {many:.0f} % are to be expected of intervals that keep it."
        )

    @property
    def told(self) -> str:
        """The judgement as the end of a sentence."""
        if self.judgement == UNJUDGED:
            return "too few test records to judge it against the stated level"
        if self.judgement == OUTSIDE:
            return "on a test part beyond what was calibrated, so nothing holds it to the stated level"
        if self.judgement == UNPROMISED:
            return "not calibrated, so nothing holds it to the stated level"
        return f"{self.judgement} the stated level"

    @property
    def bounds(self) -> tuple[str, str, str]:
        """Share and interval in percent, with a second decimal where the first would hide which side of the
        level the share is on."""
        hidden = f"{100 * self.share[0]:.1f}" == f"{100 * self.level:.1f}" and self.share[0] != self.level
        told = (f"{100 * x:.{2 if hidden else 1}f}" if math.isfinite(x) else MISSING for x in self.share)
        share, low, high = told
        return share, low, high

    def __str__(self) -> str:
        share, low, high = self.bounds
        return f"{share} % [{low}, {high}]"
