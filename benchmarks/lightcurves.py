"""Classification of light curves beside classical features, on the same folds.

    SCIFORMER_MIRROR=... python benchmarks/lightcurves.py snpcc debosscher stripe82_rrlyrae
    python benchmarks/lightcurves.py --table        # the table of what was measured so far

The shipped recipes as they are, one of five stratified folds tested at a time, and for SNPCC also the challenge: train
on the supernovae with a spectrum, test on those without. ``scrambled`` is fold1 of Debosscher, whose time scales betray
the instrument, with a random origin of time for every star: the score must be that of fold1. Every result is appended
to ``benchmarks/lightcurves.csv``.
"""

import dataclasses
import importlib.util
from pathlib import Path

from measure import main

from sciformer.data.splits import SplitConfig
from sciformer.recipe import Recipe

RESULTS = Path(__file__).with_suffix(".csv")
RECIPES = Path(__file__).resolve().parent.parent / "recipes" / "lightcurve"
FILES = {"snpcc": "snpcc", "debosscher": "debosscher", "stripe82_rrlyrae": "rrlyrae"}
HEADLINE = {"snpcc": "ROC-AUC", "debosscher": "macro F1", "stripe82_rrlyrae": "accuracy"}
FRACTIONS = (0.7, 0.0, 0.1, 0.2)
SCRAMBLED = 100_000.0
"""Days: more than all time scales differ by."""
CHALLENGE = SplitConfig(kind="holdout", column="sntype", test="-9", fractions=FRACTIONS)


def recipes(name: str) -> dict[str, Recipe]:
    """The recipe of every split of a data set."""
    path = RECIPES / f"{FILES[name]}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shipped = module.recipe()
    splits = {f"fold{i}": SplitConfig(kind="kfold", test=f"{i}/5", fractions=FRACTIONS) for i in range(1, 6)}
    splits |= {"challenge": CHALLENGE} if name == "snpcc" else {}
    found = {split: dataclasses.replace(shipped, split=config) for split, config in splits.items()}
    if name == "debosscher":
        data = dataclasses.replace(shipped.data, scramble=SCRAMBLED)
        found["scrambled"] = dataclasses.replace(found["fold1"], data=data)
    return found


if __name__ == "__main__":
    main(__doc__, RESULTS, recipes, HEADLINE)
