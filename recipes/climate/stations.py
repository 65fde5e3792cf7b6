"""Daily weather of five Canadian cities (ERA5).

Question: how warm, wet and windy will the next ten days be, given the last two months, gaps included?
Data: data card era5_cities, 1990 to 1993; or --data.source FILE for stations of your own.
Uncertainty: quantiles, for it does not rain on half of the days.
Cost: a few minutes on one CPU core.
Score: CRPS by variable beside climatology, persistence, damped persistence, kriging and a linear model; see
    benchmarks/RESULTS.md.

    python recipes/climate/stations.py --out runs/stations
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import ForecastConfig, Recipe, Uncertainty


def recipe() -> Recipe:
    return Recipe(
        title="Weather of stations",
        data=ClimateData(
            source="era5_cities", variables="tas,tasmax,tasmin,pr,ps", context=60, horizon=10, patch=5, stride=5
        ),
        forecast=ForecastConfig(),
        split=SplitConfig(kind="time", fractions=(0.5, 0.05, 0.2, 0.25)),
        uncertainty=Uncertainty(family="quantile"),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=15, lr=1e-3),
        batch=BatchConfig(row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
