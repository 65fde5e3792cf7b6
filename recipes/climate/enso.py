"""El Niño: the warmth of the tropical Pacific, month by month (ERSST v5).

Question: given two years of sea surface temperature in boxes of the tropical Pacific, what will they be in the next
    nine months, Niño 3.4 first of all?
Data: data card ersst, 2010 to 2020, of which two years are tested: far too few to rank models; or --data.source FILE
    with a longer record (boxes are means over a grid, --data.columns.boxes).
Cost: a minute on one CPU core.
Score: CRPS and RMSE by lead beside climatology, persistence and damped persistence; see benchmarks/RESULTS.md.

    python recipes/climate/enso.py --out runs/enso
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import ForecastConfig, Recipe

BOXES = {
    "nino34": "-5:5,190:240",
    "nino4": "-5:5,160:210",
    "nino3": "-5:5,210:270",
    "nino12": "-10:0,270:280",
    "warm_pool": "-5:5,130:160",
    "north": "10:20,180:240",
    "south": "-20:-10,180:240",
    "meridional": "15:25,200:240",
}
"""The Niño regions, the warm pool, and the flanks from which events are thought to be set off."""


def recipe() -> Recipe:
    boxes = "; ".join(f"{name}={box}" for name, box in BOXES.items())
    return Recipe(
        title="El Niño from the tropical Pacific",
        data=ClimateData(source="ersst", columns={"boxes": boxes}, context=24, horizon=9, patch=3, stride=1),
        forecast=ForecastConfig(cut=(0.5, 0.8)),
        split=SplitConfig(kind="time", fractions=(0.69, 0.0, 0.12, 0.19), gap=False),
        model=SciformerConfig(width=32, depth=2, heads=4, dropout=0.2),
        optim=OptimConfig(epochs=20, lr=5e-4),
        batch=BatchConfig(row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
