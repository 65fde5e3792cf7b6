"""Proteins beside their peers, on the published splits.

    SCIFORMER_MIRROR=... python benchmarks/proteins.py gb1 avgfp solubility secondary_structure
    python benchmarks/proteins.py --table           # the table of what was measured so far

The shipped recipes as they are, trained from scratch; GB1 on all five splits of FLIP. ``whole`` of the solubility set
keeps the test proteins that also occur in training, as published figures do; ``shipped`` takes them out of training.
Every result is appended to ``benchmarks/proteins.csv``.
"""

import dataclasses
from pathlib import Path

from measure import load_recipe, main

from sciformer.data.splits import SplitConfig
from sciformer.domains.protein.data import ProteinData
from sciformer.recipe import Recipe

RESULTS = Path(__file__).with_suffix(".csv")
HEADLINE = {"gb1": "Spearman", "avgfp": "Spearman", "solubility": "R2", "secondary_structure": "accuracy"}
SHOWN = {
    "sciformer": "sciformer",
    "ridge": "ridge",
    "boosting": "boosting",
    "forest": "forest",
    "window of 17": "window",
}
GB1 = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "low_vs_high", "sampled")


def recipes(name: str) -> dict[str, Recipe]:
    """The recipe of every split of a data set."""
    shipped = load_recipe(f"protein/{name}")
    if name == "gb1":
        assert isinstance(shipped.data, ProteinData)
        parts = {part: dataclasses.replace(shipped.data, part=part) for part in GB1}
        return {part: dataclasses.replace(shipped, data=data) for part, data in parts.items()}
    if name == "solubility":
        whole = SplitConfig(kind="column", column="set")
        return {"shipped": shipped, "whole": dataclasses.replace(shipped, split=whole)}
    return {"shipped": shipped}


if __name__ == "__main__":
    main(__doc__, RESULTS, recipes, HEADLINE, SHOWN)
