"""Type Ia supernovae among simulated ones (SNPCC, Kessler et al. 2010).

Question: is a supernova of type Ia, given its light in four bands and the redshift of its host?
Data: data card snpcc, 5,103 supernovae; one of five stratified folds is tested.
    The harder question of the challenge, to learn from those with a spectrum and answer for the others, is
    recipes/lightcurve/snpcc_challenge.py.
    --data.augmentation.until [0.1,1.0] trains on supernovae cut at random moments too; the report then has the accuracy
    by days since the first detection.
Cost: about ten minutes on two CPU cores.
Score: see benchmarks/RESULTS.md; classical features with a forest reach ROC-AUC .982.

    python recipes/lightcurve/snpcc.py --out runs/snpcc
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
        title="Type Ia supernovae (SNPCC)",
        data=LightCurveData(
            source="snpcc", targets="sim_type", against={"sim_type": "Ia"}, augmentation=Augmentation(keep=(0.6, 1.0))
        ),
        split=SplitConfig(kind="kfold", test="1/5", fractions=(0.7, 0.0, 0.1, 0.2)),
        model=SciformerConfig(width=96, depth=3, heads=6),
        optim=OptimConfig(epochs=30, lr=1e-3),
        batch=BatchConfig(pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
