"""Classes of variable stars (Debosscher et al. 2007).

Question: of which of 22 classes is a star, given its light curve in one band? Its period is found, not given.
Data: data card debosscher, 1,392 stars; classes of fewer than ten stars are left out; one of five stratified folds is
    tested. The mean magnitude is given, as to the classical features; in these data it betrays the instrument
    (--data.level false withholds it).
Cost: about ten minutes on one CPU core: three models, averaged.
Score: see benchmarks/RESULTS.md; classical features with a forest reach a macro-F1 of .635.

    python recipes/lightcurve/debosscher.py --out runs/debosscher
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.lightcurve.augment import Augmentation
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe, Uncertainty


def recipe() -> Recipe:
    return Recipe(
        title="Variable stars (Debosscher)",
        data=LightCurveData(
            source="debosscher",
            targets="label",
            fewest=10,
            augmentation=Augmentation(probability=0.8, keep=(0.2, 0.8)),
            fold=True,
            level=True,
        ),
        split=SplitConfig(kind="kfold", test="1/5", fractions=(0.7, 0.0, 0.1, 0.2)),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=12, lr=1e-3, ema=0.99, balance=0.5),
        uncertainty=Uncertainty(members=3),
        batch=BatchConfig(records=16, pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
