"""Fluorescence of variants of green fluorescent protein (avGFP).

Question: how well do variants of up to three substitutions tell how those with four and more shine?
Data: data card avgfp, 54,024 variants, 27,217 of them tested.
Cost: about ten minutes on two CPU cores: only the substituted residues are read.
Score: rank correlation (Spearman); ridge regression on one-hot sites reaches .683.

    python recipes/protein/avgfp.py --out runs/avgfp
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.protein.data import ProteinData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe, Uncertainty


def recipe() -> Recipe:
    return Recipe(
        title="Fluorescence of avGFP variants",
        data=ProteinData(source="avgfp", substitutions=True),
        split=SplitConfig(kind="mutations", test="3", fractions=(0.8, 0.1, 0.1, 0.0)),
        model=SciformerConfig(width=128, depth=1, heads=4, dropout=0.0),
        optim=OptimConfig(epochs=16, lr=1e-3),
        uncertainty=Uncertainty(members=5),
        batch=BatchConfig(records=128, pool=128, row=32),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
