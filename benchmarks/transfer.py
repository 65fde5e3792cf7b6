"""What pretraining is worth, on the same splits as training from scratch.

    SCIFORMER_MIRROR=... python benchmarks/transfer.py esol             # seven splits, four ways to start
    SCIFORMER_MIRROR=... python benchmarks/transfer.py debosscher --splits "fold1 full,fold2 full"
    python benchmarks/transfer.py --table                               # the table of what was measured so far

The same recipes as from scratch, each split from a shipped checkpoint: with the task alone (head), with low-rank
updates (lora) or with all weights (full) learning; scratch is the shape of the checkpoint without its weights. The
settings are those of the recipe for all ways; what was chosen, and on which parts, is in RESULTS.md. Results are
appended to ``benchmarks/transfer.csv`` with date, threads and seconds.
"""

import dataclasses
from pathlib import Path

import lightcurves
import molecules
import proteins
from measure import main

from sciformer.data.splits import SplitConfig
from sciformer.domains.molecule.data import MoleculeData
from sciformer.finetuning import Start
from sciformer.recipe import Recipe

RESULTS = Path(__file__).with_suffix(".csv")
CHECKPOINTS = {
    "esol": "molecule-small",
    "lipophilicity": "molecule-small",
    "freesolv": "molecule-small",
    "secondary_structure": "protein-small",
    "solubility": "protein-small",
    "avgfp": "protein-small",
    "debosscher": "lightcurve-small",
    "snpcc": "lightcurve-small",
}
HEADLINE = {
    **dict.fromkeys(("esol", "lipophilicity", "freesolv"), "RMSE"),
    **{name: proteins.HEADLINE[name] for name in ("secondary_structure", "solubility", "avgfp")},
    **{name: lightcurves.HEADLINE[name] for name in ("debosscher", "snpcc")},
}
WAYS = ("scratch", "head", "lora", "full")


def splits(name: str) -> dict[str, Recipe]:
    """The recipe of every split of a data set, from scratch."""
    if name == "freesolv":
        return {
            f"random{seed}": Recipe(
                title=f"FreeSolv random {seed}",
                data=MoleculeData(source="freesolv"),
                split=SplitConfig(kind="random", fractions=molecules.THREE_PARTS, seed=seed),
                seed=seed,
            )
            for seed in range(5)
        }
    module = proteins if name in proteins.HEADLINE else lightcurves if name in lightcurves.HEADLINE else molecules
    return module.recipes(name)


def recipes(name: str) -> dict[str, Recipe]:
    """Every split, started in every way."""
    return {
        f"{split} {way}": dataclasses.replace(recipe, start=Start(checkpoint=CHECKPOINTS[name], mode=way))
        for split, recipe in splits(name).items()
        for way in WAYS
    }


if __name__ == "__main__":
    main(__doc__, RESULTS, recipes, HEADLINE)
