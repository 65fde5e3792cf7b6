r"""Predict properties of molecules from a table of your own.

Question: what are the properties named in --data.targets of the molecules in a table?
Data: --data.source FILE (CSV, TSV, Parquet, .smi, SDF) or the name of a data card; without it, molecules
that the program simulates, for a look at how everything works.
Cost: 2,000 molecules take about five minutes on two CPU cores.

    python recipes/molecule/property.py --data.source my.csv --data.smiles smiles --data.targets logS,logP \
        --split.kind scaffold --out runs/mine
"""

from sciformer.domains.molecule.data import MoleculeData
from sciformer.recipe import Recipe


def recipe() -> Recipe:
    return Recipe(title="Properties of molecules", data=MoleculeData())


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
