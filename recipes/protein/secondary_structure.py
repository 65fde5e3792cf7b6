"""Secondary structure in three states (NetSurfP-2.0, test set NEW364).

Question: is each residue part of a helix, of a strand, or of neither, given the sequence alone?
Data: data card flip_secondary_structure, 11,156 chains; the 364 of NEW364 are tested. Residues that are not resolved in
    the structure are neither learned nor scored.
Cost: about fifteen minutes on two CPU cores.
Score: share of resolved residues that are right (Q3); logistic regression on a window of 17 residues reaches .627,
    single-sequence methods .71 to .74.

    python recipes/protein/secondary_structure.py --out runs/secondary
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.protein.data import ProteinData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe


def recipe() -> Recipe:
    return Recipe(
        title="Secondary structure (NEW364)",
        data=ProteinData(source="flip_secondary_structure", labels="structure", mask="resolved"),
        split=SplitConfig(kind="column", column="SET"),
        model=SciformerConfig(width=128, depth=4, heads=8, backbone="hybrid", context=1024),
        optim=OptimConfig(epochs=4, lr=1e-3),
        batch=BatchConfig(records=64, tokens=4096, pool=1024, row=0),
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
