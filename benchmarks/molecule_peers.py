"""chemprop on the folds and training molecules of a comparison, beside what that comparison found.

    sciformer compare molecule/esol --start.checkpoint molecule-small --seeds 5 --sizes 100 --out runs/few
    python benchmarks/molecule_peers.py runs/few --chemprop .../bin/chemprop

chemprop's own command in an environment of its own, with its default settings, epochs apart: the same training
molecules, the epoch chosen on the same validation molecules. Scores and paired differences are computed as in the
comparison and printed.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml
from measure import load_recipe
from rdkit import Chem

from sciformer.adapter import Record
from sciformer.comparison import plan
from sciformer.comparison.statistics import Trial, compared
from sciformer.data.splits import Splits
from sciformer.evaluation import Answers
from sciformer.preparation import usable
from sciformer.recipe import load

PEER = "chemprop"


def table_of(records: Sequence[Record], target: str) -> pd.DataFrame:
    """Molecules and their answers, as chemprop reads them."""
    smiles = [Chem.MolToSmiles(record.data) for record in records]
    return pd.DataFrame({"smiles": smiles, "truth": [record.targets[target] for record in records]})


def answers_of_chemprop(command: str, parts: Mapping[str, pd.DataFrame], seed: int, epochs: int) -> pd.Series:
    """Train on the ``train`` and ``validation`` molecules, and answer for those of ``test``."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {part: Path(folder) / f"{part}.csv" for part in parts}
        for part, table in parts.items():
            table.to_csv(paths[part], index=False)
        settings = ["--smiles-columns", "smiles", "--target-columns", "truth"]
        settings += ["--pytorch-seed", str(seed), "--epochs", str(epochs)]
        here = ["--accelerator", "cpu", "--num-workers", "0", "--output-dir", folder]
        subprocess.run([command, "train", "--data-path", *paths.values(), *settings, *here], check=True)
        return pd.read_csv(Path(folder) / "model_0" / "test_predictions.csv")["truth"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path, help="directory that `sciformer compare` wrote, of one size")
    parser.add_argument("--recipe", default="molecule/esol", help="what was compared")
    parser.add_argument("--chemprop", default="chemprop", help="its command")
    parser.add_argument("--epochs", type=int, default=50, help="of chemprop; 50 is its default")
    args = parser.parse_args()
    found = pd.read_parquet(args.comparison / "predictions.parquet")
    settings = yaml.safe_load((args.comparison / "config.yaml").read_text(encoding="utf-8"))
    recipe = load_recipe(args.recipe)
    dataset = load(recipe)
    (target,) = dataset.targets
    records = {record.key: record for record in usable(dataset)}
    (size,) = found["size"].unique()
    trials: list[Trial] = []
    for fold in range(settings["seeds"]):
        seed = recipe.seed + fold
        parts = Splits.load(args.comparison / f"splits-{fold}.json").parts
        order = plan.nested([records[key] for key in parts["train"]], dataset.targets, seed)
        chosen = {"train": order[: int(size)], "validation": parts["validation"], "test": parts["test"]}
        tables = {part: table_of([records[key] for key in keys], target.name) for part, keys in chosen.items()}
        here = found[found["seed"] == seed]
        for way, rows in here.groupby("way"):
            answers = Answers(target, rows["truth"].to_numpy(), rows["prediction"].to_numpy())
            trials.append(Trial(str(way), size, int(size), fold, answers))
        own = answers_of_chemprop(args.chemprop, tables, seed, args.epochs)
        answers = Answers(target, tables["test"]["truth"].to_numpy(), own.to_numpy())
        trials.append(Trial(PEER, size, int(size), fold, answers))
    forest = next(way for way in found["way"].unique() if "forest" in way)
    scores, differences = compared(trials, [PEER, forest], range(settings["seeds"]), "scratch")
    print(scores.to_string(), differences.to_string(), sep="\n")


if __name__ == "__main__":
    main()
