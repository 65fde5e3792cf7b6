"""Aqueous solubility of small molecules (ESOL, Delaney 2004).

Question: how well is log10 solubility predicted for molecules that the model has not seen?
Data: data card esol, 1,128 molecules; --split.kind scaffold asks the harder question about new scaffolds.
Cost: about two minutes on two CPU cores.
Score: see benchmarks/RESULTS.md for the seven splits on which peers were measured.

    python recipes/molecule/esol.py --out runs/esol
"""

from sciformer.data.splits import SplitConfig
from sciformer.domains.molecule.data import MoleculeData
from sciformer.recipe import Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Aqueous solubility (ESOL)",
        data=MoleculeData(source="esol"),
        split=SplitConfig(fractions=(0.8, 0.1, 0.0, 0.1)),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
