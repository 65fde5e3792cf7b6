"""What all benchmarks share: train a recipe, keep its test scores, print the table of what was measured so far."""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from sciformer.recipe import Recipe, RunOptions, train

MODELS = {"sciformer": "sciformer", "gradient boosting": "boosting", "forest": "forest"}
"""Columns of the table, and what the name of a model there contains."""

Recipes = Callable[[str], Mapping[str, Recipe]]
"""The recipe of every split of a data set, by name."""


def load_recipe(name: str) -> Recipe:
    """A shipped recipe by its name, such as ``lightcurve/snpcc``."""
    path = Path(__file__).resolve().parent.parent / "recipes" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.recipe()


def keep_gaps(curve: pd.DataFrame) -> None:
    """Append the scores with more and more of what is seen left out."""
    path = Path(__file__).with_name("gaps.csv")
    curve.to_csv(path, mode="a", index=False, header=not path.exists())


def measure(name: str, split: str, recipe: Recipe, keep: Path | None) -> pd.DataFrame:
    """Train on one split and return its test scores, baselines beside them."""
    with tempfile.TemporaryDirectory() as scratch:
        out = (keep or Path(scratch)) / f"{name}-{split}"
        start = time.monotonic()
        train(recipe, RunOptions(out=str(out), overwrite=True))
        seconds = pd.read_csv(out / "metrics.csv").groupby("member")["seconds"].last().sum()
        scores = pd.read_csv(out / "scores.csv")
        if (out / "gaps.csv").exists():
            keep_gaps(pd.read_csv(out / "gaps.csv").assign(date=date.today().isoformat(), set=name, split=split))
    columns = {"date": date.today().isoformat(), "set": name, "split": split}
    scores = scores.assign(**columns, epochs=recipe.optim.epochs, threads=torch.get_num_threads())
    scores["training_seconds"] = round(float(seconds), 1)
    scores["total_seconds"] = round(time.monotonic() - start, 1)
    return scores.drop(columns="part")


def table(results: pd.DataFrame, headline: Mapping[str, str], shown: Mapping[str, str] = MODELS) -> str:
    """``headline`` metric of each set, coverage and training time by data set and split, as Markdown."""
    latest = results.drop_duplicates(["set", "split", "model", "target", "metric"], keep="last")
    lines = [
        f"| set | split | metric | {' | '.join(shown)} | coverage | seconds |",
        "|---|---|---|" + "---|" * (len(shown) + 2),
    ]
    for (name, split), rows in latest.groupby(["set", "split"], sort=False):
        metric = headline[str(name)]

        def cell(part: str, metric: str = metric, rows: pd.DataFrame = rows) -> str:
            found = rows[rows["model"].str.contains(part) & (rows["metric"] == metric)]["value"]
            return f"{found.iloc[-1]:.3f}" if len(found) else ""

        models = " | ".join(cell(part) for part in shown.values())
        seconds = rows["training_seconds"].iloc[-1]
        lines.append(f"| {name} | {split} | {metric} | {models} | {cell('sciformer', 'coverage')} | {seconds:.0f} |")
    return "\n".join(lines)


def main(
    doc: str | None, results: Path, recipes: Recipes, headline: Mapping[str, str], shown: Mapping[str, str] = MODELS
) -> None:
    """The command line of a benchmark."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[[], *headline], help=", ".join(headline))
    parser.add_argument("--splits", default="", help="only these splits, separated by commas")
    parser.add_argument("--table", action="store_true", help="print the table of all results")
    parser.add_argument("--keep", type=Path, help="keep the run directories here")
    args = parser.parse_args()
    for name in args.sets:
        for split, recipe in recipes(name).items():
            if args.splits and split not in args.splits.split(","):
                continue
            scores = measure(name, split, recipe, args.keep)
            scores.to_csv(results, mode="a", index=False, header=not results.exists())
    if args.table or args.sets:
        print(table(pd.read_csv(results), headline, shown))
