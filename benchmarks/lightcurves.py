"""Classification of light curves beside classical features, on the same folds.

    SCIFORMER_MIRROR=... python benchmarks/lightcurves.py snpcc debosscher stripe82_rrlyrae
    python benchmarks/lightcurves.py --table        # the table of what was measured so far

The shipped recipes as they are, one of five stratified folds tested at a time, and for SNPCC also the recipe of the
challenge: train on the supernovae with a spectrum, test on those without. ``scrambled`` is fold1 of Debosscher, whose
time scales betray the instrument, with a random origin of time for every star: the score must be that of fold1. Every
result is appended to ``benchmarks/lightcurves.csv``.
"""

import dataclasses
from pathlib import Path

from measure import load_recipe, main

from sciformer.data.splits import SplitConfig
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.recipe import Recipe

RESULTS = Path(__file__).with_suffix(".csv")
FILES = {"snpcc": "snpcc", "debosscher": "debosscher", "stripe82_rrlyrae": "rrlyrae"}
HEADLINE = {"snpcc": "ROC-AUC", "debosscher": "macro F1", "stripe82_rrlyrae": "accuracy"}
FRACTIONS = (0.7, 0.0, 0.1, 0.2)
SCRAMBLED = 100_000.0
"""Days: more than all time scales differ by."""


def recipes(name: str) -> dict[str, Recipe]:
    """The recipe of every split of a data set."""
    shipped = load_recipe(f"lightcurve/{FILES[name]}")
    splits = {f"fold{i}": SplitConfig(kind="kfold", test=f"{i}/5", fractions=FRACTIONS) for i in range(1, 6)}
    found = {split: dataclasses.replace(shipped, split=config) for split, config in splits.items()}
    if name == "snpcc":
        found["challenge"] = load_recipe("lightcurve/snpcc_challenge")
    if name == "debosscher":
        assert isinstance(shipped.data, LightCurveData)
        data = dataclasses.replace(shipped.data, scramble=SCRAMBLED)
        found["scrambled"] = dataclasses.replace(found["fold1"], data=data)
    return found


if __name__ == "__main__":
    main(__doc__, RESULTS, recipes, HEADLINE)
