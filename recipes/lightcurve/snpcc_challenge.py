"""Type Ia supernovae without a spectrum, learned from those with one (SNPCC, Kessler et al. 2010).

Question: is a supernova of type Ia, where all that were ever typed are brighter and nearer?
Data: data card snpcc; train on the 1,103 supernovae with a spectrum (half of type Ia), test on the 4,000 without.
    Each training object is moved to larger redshifts, as the survey would have seen it there; probabilities and sets
    are calibrated on objects moved likewise, and tilted to the share of type Ia that the model finds among the test
    objects. Their light and host redshifts are used, their types are not.
Cost: three models in about ten minutes on two CPU cores.
Score: see benchmarks/RESULTS.md; ROC-AUC .937 and 87 % covered by sets of 90 %; without any of this .82 and 56 %.

    python recipes/lightcurve/snpcc_challenge.py --out runs/snpcc-challenge
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
        title="Type Ia supernovae without a spectrum (SNPCC)",
        data=LightCurveData(
            source="snpcc",
            targets="sim_type",
            against={"sim_type": "Ia"},
            augmentation=Augmentation(probability=1.0, recede=(1.0, 1.5), keep=(0.6, 1.0), noise=0.3),
        ),
        split=SplitConfig(kind="holdout", column="sntype", test="-9", fractions=(0.7, 0.0, 0.1, 0.2)),
        model=SciformerConfig(width=96, depth=3, heads=6),
        uncertainty=Uncertainty(members=3, variants=10, adapt=True),
        optim=OptimConfig(epochs=30, lr=1e-3),
        batch=BatchConfig(pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
