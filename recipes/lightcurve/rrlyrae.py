"""RR Lyrae stars of type ab or c (Stripe 82, Sesar et al. 2010).

Question: does a star pulsate in its fundamental mode (ab) or first overtone (c), with its period withheld? The model
    finds the period itself and reads the folded curve.
Data: data card stripe82_rrlyrae, 483 stars; one of five stratified folds is tested.
Cost: about three minutes on one CPU core.
Score: see benchmarks/RESULTS.md.

    python recipes/lightcurve/rrlyrae.py --out runs/rrlyrae
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.lightcurve.augment import Augmentation
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe


def recipe() -> Recipe:
    return Recipe(
        title="RR Lyrae stars (Stripe 82)",
        data=LightCurveData(source="stripe82_rrlyrae", targets="type", augmentation=Augmentation(), fold=True),
        split=SplitConfig(kind="kfold", test="1/5", fractions=(0.7, 0.0, 0.1, 0.2)),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=20, lr=1e-3, ema=0.99),
        batch=BatchConfig(pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
