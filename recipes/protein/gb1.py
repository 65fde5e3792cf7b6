"""Binding of variants of protein GB1 at four sites (FLIP).

Question: how well do variants of up to three substitutions tell which of those with four bind?
Data: data card flip_gb1, 8,733 variants; --data.part one_vs_rest, two_vs_rest or low_vs_high asks the other questions
    of FLIP, with the validation parts that it gives.
Cost: a few minutes on two CPU cores: only the substituted residues are read.
Score: rank correlation (Spearman); ridge regression on one-hot sites reaches .755 on the part three_vs_rest.

    python recipes/protein/gb1.py --out runs/gb1
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.protein.data import ProteinData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe, Uncertainty


def recipe() -> Recipe:
    return Recipe(
        title="Binding of GB1 variants (FLIP)",
        data=ProteinData(source="flip_gb1", part="three_vs_rest", substitutions=True),
        split=SplitConfig(kind="column", column="set"),
        model=SciformerConfig(width=64, depth=2, heads=4),
        optim=OptimConfig(epochs=40, lr=1e-3),
        uncertainty=Uncertainty(members=3),
        batch=BatchConfig(records=32),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
