"""Hourly weather over Britain and Ireland on a grid (WFDE5).

Question: how warm, humid and windy is it in every cell in the next 24 hours, given the last two days?
Data: data card wfde5_uk, January 2017, 20 x 28 cells, of which 55 % are sea and never measured; or --data.source FILE.
Cost: about four minutes on one CPU core.
Score: CRPS by variable beside climatology (of the hour), persistence and kriging; see benchmarks/RESULTS.md.

    python recipes/climate/grid.py --out runs/grid
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import ForecastConfig, Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Weather on a grid (WFDE5)",
        data=ClimateData(source="wfde5_uk", context=48, horizon=24, patch=6, block=4, stride=3),
        forecast=ForecastConfig(future=0.9, cut=(0.5, 0.8)),
        split=SplitConfig(kind="time", fractions=(0.55, 0.05, 0.2, 0.2), gap=False),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=10, lr=1e-3),
        batch=BatchConfig(row=0, records=4),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
