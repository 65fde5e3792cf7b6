"""A backbone for molecules, pretrained without labels.

Question: what can be learned of molecules before anyone has measured them?
Data: data card zinc_smiles, about 73,000 different molecules; those of the test sets in data_cards are left out.
Cost: about an hour on two CPU cores.
Score: the errors on held-out molecules are in the model card; what it is worth, in benchmarks/RESULTS.md.

    python recipes/molecule/pretrain.py --out runs/molecule-small
"""

from sciformer.data.batching import BatchConfig
from sciformer.domains.molecule.corpus import MoleculeCorpus
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Pretraining
from sciformer.streams import Stream

TESTED = "esol,freesolv,lipophilicity,bace,bbbp,clintox,tox21,photoswitch"


def recipe() -> Pretraining:
    molecules, batch = MoleculeCorpus(apart=TESTED), BatchConfig(records=64, row=64, pool=64)
    return Pretraining(
        title="molecule-small: molecules, pretrained",
        streams={
            "descriptors": Stream(molecules, objective="descriptors", weight=3.0, batch=batch),
            "masked": Stream(molecules, objective="masked", weight=1.0, batch=batch),
        },
        model=SciformerConfig(dropout=0.0),
        optim=OptimConfig(epochs=14, lr=1e-3),
        steps=500,
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
