"""What pretraining is worth, on the same splits as training from scratch.

    SCIFORMER_MIRROR=... python benchmarks/transfer.py esol             # seven splits, four ways to start
    SCIFORMER_MIRROR=... python benchmarks/transfer.py lipophilicity freesolv
    python benchmarks/transfer.py --table                               # the table of what was measured so far

One model per split and way: from scratch, or from ``molecule-small`` with the task alone (head), with low-rank
updates (lora) or with all weights (full) learning. The settings are the same for all; what was chosen, and on which
parts, is in RESULTS.md. Results are appended to ``benchmarks/transfer.csv`` with date, threads and seconds.
"""

import dataclasses
from pathlib import Path

import molecules
from measure import main

from sciformer.data.splits import SplitConfig
from sciformer.domains.molecule.data import MoleculeData
from sciformer.finetuning import Start
from sciformer.recipe import Recipe

RESULTS = Path(__file__).with_suffix(".csv")
HEADLINE = {"esol": "RMSE", "lipophilicity": "RMSE", "freesolv": "RMSE"}
WAYS = ("scratch", "head", "lora", "full")


def splits(name: str) -> dict[str, Recipe]:
    """The recipe of every split of a data set, from scratch."""
    if name != "freesolv":
        return molecules.recipes(name)
    return {
        f"random{seed}": Recipe(
            title=f"FreeSolv random {seed}",
            data=MoleculeData(source="freesolv"),
            split=SplitConfig(kind="random", fractions=molecules.THREE_PARTS, seed=seed),
            seed=seed,
        )
        for seed in range(5)
    }


def recipes(name: str) -> dict[str, Recipe]:
    """Every split, started in every way."""
    return {
        f"{split} {way}": dataclasses.replace(recipe, start=Start(checkpoint="molecule-small", mode=way))
        for split, recipe in splits(name).items()
        for way in WAYS
    }


if __name__ == "__main__":
    main(__doc__, RESULTS, recipes, HEADLINE)
