"""A backbone for light curves, pretrained without labels.

Question: what can be learned of changing light before anyone has said what shines?
Data: the supernovae of data card snpcc, the stars of stripe82_rrlyrae, and 6,000 simulated objects, a part of them seen
    in one band alone. No label is read. The stars of data card debosscher are left out.
Cost: about an hour on one CPU core.
Score: the errors on held-out objects are in the model card; what it is worth, in benchmarks/RESULTS.md.

    python recipes/lightcurve/pretrain.py --out runs/lightcurve-small
"""

from sciformer.data.batching import BatchConfig
from sciformer.domains.lightcurve.corpus import LightCurveCorpus
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Pretraining
from sciformer.streams import Stream


def recipe() -> Pretraining:
    curves, batch = LightCurveCorpus(simulated=6000), BatchConfig(records=16, row=0, pool=256)
    return Pretraining(
        title="lightcurve-small: light curves, pretrained",
        streams={
            "descriptors": Stream(curves, objective="descriptors", weight=2.0, batch=batch),
            "forecast": Stream(curves, objective="forecast", weight=1.0, batch=batch),
        },
        model=SciformerConfig(width=96, depth=3, heads=6, dropout=0.0),
        optim=OptimConfig(epochs=10, lr=1e-3),
        steps=500,
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
