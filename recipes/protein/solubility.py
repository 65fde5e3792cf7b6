"""Solubility of proteins of Escherichia coli (eSOL).

Question: what share of a protein stays in solution when it is made without chaperones?
Data: data card esol_proteins, 3,147 proteins; the 783 of the published test part are tested, and those of the training
    part that equal one of them are left out.
Cost: about fifteen minutes on two CPU cores: three models, averaged.
Score: coefficient of determination (R2); a random forest on the composition reaches .422, GraphSol .483.

    python recipes/protein/solubility.py --out runs/solubility
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.protein.data import ProteinData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe, Uncertainty


def recipe() -> Recipe:
    return Recipe(
        title="Solubility of proteins (eSOL)",
        data=ProteinData(source="esol_proteins"),
        split=SplitConfig(kind="holdout", column="set", test="test", fractions=(0.8, 0.1, 0.1, 0.0)),
        model=SciformerConfig(width=64, depth=3, heads=4, dropout=0.3, backbone="hybrid", context=1024),
        optim=OptimConfig(epochs=9, lr=1e-3),
        uncertainty=Uncertainty(members=3),
        batch=BatchConfig(records=16, pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
