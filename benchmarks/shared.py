"""One backbone for four domains beside backbones of one domain, at equal steps of each domain.

    SCIFORMER_MIRROR=... python benchmarks/shared.py pretrain --domains shared,molecule,protein,lightcurve,climate
    SCIFORMER_MIRROR=... python benchmarks/shared.py measure            # a question of each domain
    python benchmarks/shared.py table

``recipes/mixed/pretrain.py``, which makes ``sciformer-small``, and the same with the streams of one domain alone and a
quarter of the steps: same shape, same data, same batches, same schedule. Each then starts a model for a question of its
domain, all weights learning, beside the same shape from scratch. Results are appended to ``benchmarks/shared.csv``.
"""

import argparse
import dataclasses
from pathlib import Path

import lightcurves
import molecules
import pandas as pd
import proteins
from measure import load_recipe, measure

from sciformer.domains.climate.data import ClimateData
from sciformer.finetuning import Start
from sciformer.pretraining import Pretraining, PretrainOptions, pretrain
from sciformer.recipe import Recipe, Uncertainty

RESULTS = Path(__file__).with_suffix(".csv")
WAYS = ("scratch", "single", "shared")
DOMAINS = ("molecule", "protein", "lightcurve", "climate")
PROTEIN_EPOCHS = 4
QUESTIONS = {
    "molecule": ("esol", ("rand0", "rand1", "rand2"), "RMSE"),
    "protein": ("solubility", ("shipped",), "R2"),
    "lightcurve": ("debosscher", ("fold1",), "macro F1"),
    "climate": ("era5_cities", ("tas",), "CRPS"),
}
"""By domain the data set, its splits and the score."""


def backbone(domain: str) -> Pretraining:
    """The recipe of all domains, or of one of them; ``domain`` is "shared" or its name."""
    mixed = load_recipe("mixed/pretrain")
    assert isinstance(mixed, Pretraining)
    if domain == "shared":
        return mixed
    streams = {name: stream for name, stream in mixed.streams.items() if name.startswith(domain)}
    steps = mixed.steps // len(DOMAINS)
    return dataclasses.replace(mixed, title=f"{domain} alone", streams=streams, steps=steps)


def question(domain: str, split: str) -> Recipe:
    """What is asked of a model of a domain: one model each, and proteins for fewer epochs than in the recipe."""
    if domain == "molecule":
        return molecules.recipes("esol")[split]
    if domain == "protein":
        shipped = proteins.recipes("solubility")[split]
        optim = dataclasses.replace(shipped.optim, epochs=PROTEIN_EPOCHS)
        return dataclasses.replace(shipped, optim=optim, uncertainty=Uncertainty())
    if domain == "lightcurve":
        return dataclasses.replace(lightcurves.recipes("debosscher")[split], uncertainty=Uncertainty())
    stations = load_recipe("climate/stations")
    assert isinstance(stations.data, ClimateData)
    data = dataclasses.replace(stations.data, variables=split, context=64, horizon=8, patch=8, stride=4)
    apart = dataclasses.replace(stations.split, fractions=(0.5, 0.1, 0.15, 0.25))  # windows of 64 days fit in each
    return dataclasses.replace(stations, data=data, split=apart)


def start(way: str, domain: str, out: Path) -> Start:
    """From scratch, from the backbone of the domain, or from the one of all."""
    backbone = out / ("shared" if way == "shared" else domain) / "checkpoint"
    return Start(checkpoint=str(backbone), mode="scratch" if way == "scratch" else "full")


def table(results: pd.DataFrame) -> str:
    """The score of each question by way, as Markdown."""
    lines = [f"| domain | question | score | {' | '.join(WAYS)} |", "|---|---|---|" + "---|" * len(WAYS)]
    for domain, (name, splits, metric) in QUESTIONS.items():
        rows = results[(results["set"] == name) & (results["metric"] == metric) & (results["model"] == "sciformer")]
        for split in splits:
            found = [rows[rows["split"] == f"{split} {way}"]["value"] for way in WAYS]
            cells = " | ".join(f"{x.iloc[-1]:.3f}" if len(x) else "" for x in found)
            lines.append(f"| {domain} | {name} {split} | {metric} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pretrain", "measure", "table"))
    parser.add_argument("--domains", default=",".join(DOMAINS), help="only these, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("runs/shared"), help="where the backbones are")
    args = parser.parse_args()
    domains = args.domains.split(",")
    if args.what == "pretrain":
        for name in domains:
            pretrain(backbone(name), PretrainOptions(out=str(args.out / name)))
    elif args.what == "measure":
        for domain in domains:
            name, splits, _ = QUESTIONS[domain]
            for split in splits:
                for way in WAYS:
                    recipe = dataclasses.replace(question(domain, split), start=start(way, domain, args.out))
                    scores = measure(name, f"{split} {way}", recipe, None)
                    scores.to_csv(RESULTS, mode="a", index=False, header=not RESULTS.exists())
    if args.what != "pretrain":
        print(table(pd.read_csv(RESULTS)))


if __name__ == "__main__":
    main()
