"""Classification of light curves beside classical features, on the same folds.

    SCIFORMER_MIRROR=... python benchmarks/lightcurves.py snpcc debosscher stripe82_rrlyrae
    python benchmarks/lightcurves.py --table        # the table of what was measured so far

The shipped recipes as they are, one of five stratified folds tested at a time, and for SNPCC also the recipe of the
challenge: train on the supernovae with a spectrum, test on those without. Every result is appended to
``benchmarks/lightcurves.csv``.
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


def recipes(name: str) -> dict[str, Recipe]:
    """The recipe of every split of a data set."""
    shipped = _shipped(FILES[name])
    splits = {f"fold{i}": SplitConfig(kind="kfold", test=f"{i}/5", fractions=FRACTIONS) for i in range(1, 6)}
    found = {split: dataclasses.replace(shipped, split=config) for split, config in splits.items()}
    return found | ({"challenge": _shipped("snpcc_challenge")} if name == "snpcc" else {})


def _shipped(stem: str) -> Recipe:
    spec = importlib.util.spec_from_file_location(stem, RECIPES / f"{stem}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.recipe()


if __name__ == "__main__":
    main(__doc__, RESULTS, recipes, HEADLINE)
