"""Forecast light curves: what will be measured, when and in which band, with honest intervals.

Question: given the first part of a light curve, what are the values at later times (or in its gaps)?
Data: --data.source FILE with one row per observation, or the name of a data card (snpcc, stripe82_rrlyrae); without
    it, a simulated sky. No labels are needed. The last --forecast.ahead of each test object's observations is held out.
Cost: the 1,000 simulated curves take about a quarter of an hour on one CPU core, the 483 stars of Stripe 82 seven
    minutes.
Score: CRPS beside a Gaussian process and the constant; see benchmarks/RESULTS.md.

    python recipes/lightcurve/forecast.py --data.source observations.csv --out runs/forecast
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.lightcurve.augment import Augmentation
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import ForecastConfig, Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Forecast of light curves",
        data=LightCurveData(augmentation=Augmentation(noise=0.0)),
        forecast=ForecastConfig(),
        split=SplitConfig(kind="random"),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=30, lr=1e-3),
        batch=BatchConfig(pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
