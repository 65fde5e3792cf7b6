r"""Predict properties of proteins from a table of your own.

Question: what are the properties named in --data.targets (one per protein) or --data.labels (one per residue) of the
proteins in a table?
Data: --data.source FILE (FASTA, CSV, TSV, Parquet, PDB, mmCIF) or the name of a data card; without it, proteins that
the program simulates, for a look at how everything works.
Cost: 1,000 proteins of 150 residues take a few minutes on two CPU cores; variants read by their substitutions
alone (--data.substitutions true) take seconds.

    python recipes/protein/property.py --data.source my.csv --data.targets activity --out runs/mine
    python recipes/protein/property.py --data.source scan.csv --data.variant variant --data.wild_type wild.fasta \
        --data.substitutions true --data.targets fitness --out runs/scan
"""

from sciformer.data.batching import BatchConfig
from sciformer.domains.protein.data import ProteinData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Properties of proteins",
        data=ProteinData(),
        model=SciformerConfig(width=64, depth=3, heads=4, dropout=0.1, backbone="hybrid", context=1024),
        optim=OptimConfig(epochs=15, lr=1e-3),
        batch=BatchConfig(records=16, pool=256, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
