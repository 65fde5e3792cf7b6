"""Forecast series of your own: stations or grids, gaps included, with honest intervals.

Question: given the last --data.context steps, what comes in the next --data.horizon, and what is hidden in the gaps?
Data: --data.source FILE (netCDF, zarr, CSV, Parquet) or the name of a data card; without it, weekly carbon dioxide on
    Mauna Loa, 1958 to 2001, which comes with statsmodels.
Cost: a minute or two on one CPU core.
Score: CRPS beside climatology, persistence, kriging and a linear model.

    python recipes/climate/forecast.py --data.source weather.nc --data.horizon 24 --out runs/weather
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import ForecastConfig, Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Forecast of series",
        data=ClimateData(context=104, horizon=24, patch=8, stride=4),
        forecast=ForecastConfig(),
        split=SplitConfig(kind="time", fractions=(0.6, 0.05, 0.15, 0.2), gap=False),
        model=SciformerConfig(width=64, depth=2, heads=4),
        optim=OptimConfig(epochs=20, lr=1e-3),
        batch=BatchConfig(row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
