r"""Classify light curves, or estimate a property of their objects, from a table of your own.

Question: what are the properties named in --data.targets of the objects that were observed?
Data: --data.source FILE (a long table, FITS, SNANA, VOTable, or a folder of such files) with one row per observation,
--data.objects FILE with one row per object and its labels; or the name of a data card; without it, a simulated sky.
Cost: the 1,000 simulated curves, of some 260 observations each, take about seven minutes on two CPU cores.

    python recipes/lightcurve/property.py --data.source observations.csv --data.objects objects.csv \
        --data.targets type --out runs/mine
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Properties of variable objects",
        data=LightCurveData(),
        split=SplitConfig(kind="random"),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=20, lr=1e-3),
        batch=BatchConfig(pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
