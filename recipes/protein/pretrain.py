"""A backbone for proteins, pretrained without labels.

Question: what can be learned of proteins from their sequences alone?
Data: data card proteomes, the proteins of six microbes; those of Escherichia coli, on which solubility is tested, and
    of Plasmodium falciparum, which are cut, are left out.
Cost: about an hour on one CPU core.
Score: the share of hidden residues that is found, among proteins that were not learned from, is in the model card; what
    it is worth, in benchmarks/RESULTS.md.

    python recipes/protein/pretrain.py --out runs/protein-small
"""

from sciformer.data.batching import BatchConfig
from sciformer.domains.protein.corpus import ProteinCorpus
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Pretraining
from sciformer.streams import Stream


def recipe() -> Pretraining:
    proteins = ProteinCorpus(apart={"species": "Escherichia coli,Plasmodium falciparum"})
    return Pretraining(
        title="protein-small: proteins, pretrained",
        streams={
            "masked": Stream(proteins, objective="masked", batch=BatchConfig(records=16, tokens=8192, pool=256, row=0))
        },
        model=SciformerConfig(dropout=0.0, backbone="hybrid", context=1024),
        optim=OptimConfig(epochs=10, lr=1e-3),
        steps=500,
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
