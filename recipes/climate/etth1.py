"""Loads and oil temperature of a power transformer (ETTh1), hourly.

Question: given two weeks of seven series, gaps included, what are they in the next hours, up to 30 days ahead?
Data: data card etth1. Divided in time, 60, 20 and 20 %, as in the literature; benchmarks/etth1.py has its protocol to
    the letter.
Cost: about five minutes on one CPU core.
Score: mean squared error beside ridge regression and kriging; see benchmarks/RESULTS.md.

    python recipes/climate/etth1.py --out runs/etth1
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import ForecastConfig, Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Electricity transformer (ETTh1)",
        data=ClimateData(source="etth1", context=336, horizon=720, patch=24, stride=7),
        forecast=ForecastConfig(future=0.9, cut=(0.25, 0.8), apart=True),
        split=SplitConfig(kind="time", fractions=(0.6, 0.05, 0.15, 0.2), gap=False),
        model=SciformerConfig(width=64, depth=2, heads=4),
        optim=OptimConfig(epochs=3, lr=1e-3),
        batch=BatchConfig(row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
