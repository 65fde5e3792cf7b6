"""Forecasts of stations and grids beside classical ones, on the test part of the shipped recipes.

    SCIFORMER_MIRROR=... python benchmarks/climate.py cities enso pm25 grid
    python benchmarks/climate.py --table        # the tables of what was measured so far

``cities``: daily weather of ERA5, ten days ahead. ``enso``: the Niño 3.4 region of ERSST, nine months. ``pm25``: fine
dust in Beijing, a day by the hour. ``grid``: WFDE5 over Britain, a day by the hour. Scores by lead are appended to
``benchmarks/climate.csv``; scores with a share of the look-back lost, number by number or in outages, to
``benchmarks/climate_gaps.csv``. ETTh1 has its own protocol in ``etth1.py``.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import torch
from gappy import lose, losses
from measure import load_recipe

import sciformer
from sciformer import backtest
from sciformer.data.splits import SplitConfig, Splits
from sciformer.domains.climate.data import ClimateData
from sciformer.evaluation import MODEL
from sciformer.recipe import Recipe, RunOptions, train

HERE = Path(__file__).resolve().parent
LEADS, GAPS = HERE / "climate.csv", HERE / "climate_gaps.csv"
LOST = (0.0, 0.3, 0.6)
METRICS = ("CRPS", "RMSE", "coverage")
GAPPY = ("cities", "pm25")
"""Sets whose gap tables are measured."""
SHOWN = {"cities": (1, 3, 5, 10), "enso": (1, 3, 6, 9), "pm25": (1, 6, 12, 24), "grid": (1, 6, 12, 24)}
"""Leads of the table, in steps."""


def recipe(name: str) -> Recipe:
    if name != "pm25":
        return load_recipe({"cities": "climate/stations", "enso": "climate/enso", "grid": "climate/grid"}[name])
    stations = load_recipe("climate/stations")
    data = ClimateData(source="beijing_pm25", context=168, horizon=24, patch=12, stride=36)
    split = SplitConfig(kind="time", fractions=(0.58, 0.02, 0.2, 0.2), gap=False)
    optim = dataclasses.replace(stations.optim, epochs=6)
    return dataclasses.replace(stations, title="Fine dust in Beijing", data=data, split=split, optim=optim)


def measure(name: str, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    chosen, start = recipe(name), time.monotonic()
    train(chosen, RunOptions(out=str(out), overwrite=True))
    seconds = pd.read_csv(out / "metrics.csv").groupby("member")["seconds"].last().sum()
    step = sciformer.load(out / "checkpoint").adapter.step
    leads = pd.read_csv(out / "leads.csv").query("metric in @METRICS")
    leads["lead"] = (leads["ahead"] / step).round().astype(int)
    about = {"date": date.today().isoformat(), "set": name, "threads": torch.get_num_threads()}
    about |= {"training_seconds": round(float(seconds)), "total_seconds": round(time.monotonic() - start)}
    gaps = gap_table(chosen, out).assign(**about) if name in GAPPY else pd.DataFrame()
    return leads.drop(columns="ahead").assign(**about), gaps


def gap_table(chosen: Recipe, out: Path) -> pd.DataFrame:
    """Scores of the test part with more and more of the look-back lost."""
    model = sciformer.load(out / "checkpoint")
    records = {record.key: record for record in chosen.data.load().records}
    parts = {part: [records[key] for key in keys] for part, keys in Splits.load(out / "splits.json").parts.items()}
    assert chosen.forecast is not None
    held = backtest.HeldOut.of(model.adapter, parts["test"], chosen.forecast.ahead, chosen.forecast.most)
    beside, tables = model.adapter.forecasts(parts["train"]), []
    for share, kind in losses(LOST):
        cases = [
            (dataclasses.replace(record, data=lose(record.data, share, kind, i)), later)
            for i, (record, later) in enumerate(held.cases)
        ]
        gappy = backtest.HeldOut(model.adapter, cases, held.spreads)
        answers = {MODEL: model.answer(cases), **gappy.classical(beside)}
        table = backtest.predictions(model, gappy, answers[MODEL], "test")
        scores = backtest.scored(table, gappy, answers, 0)[0].query("metric in @METRICS")
        tables.append(scores.assign(lost=share, kind=kind))
    return pd.concat(tables, ignore_index=True).drop(columns="part")


def keep(table: pd.DataFrame, path: Path) -> None:
    if len(table):
        table.to_csv(path, mode="a", index=False, header=not path.exists(), float_format="%.5g")


def by_lead(results: pd.DataFrame, name: str, leads: Sequence[int]) -> str:
    """CRPS of every model and coverage by lead, as Markdown."""
    latest = results[results["set"] == name].drop_duplicates(["target", "model", "lead", "metric"], keep="last")
    models = list(dict.fromkeys(latest["model"]))
    lines = [f"| {name} | lead | {' | '.join(models)} | coverage |", "|---|---|" + "---|" * (len(models) + 1)]
    for (target, lead), rows in latest[latest["lead"].isin(list(leads))].groupby(["target", "lead"], sort=False):
        value = rows.set_index(["metric", "model"])["value"]
        cells = [f"{value['CRPS', model]:.3g}" for model in models]
        lines.append(f"| {target} | {lead} | {' | '.join(cells)} | {value['coverage', MODEL]:.3f} |")
    return "\n".join(lines)


def by_loss(gaps: pd.DataFrame, name: str, models: Mapping[str, str]) -> str:
    """CRPS by the share that is lost, as Markdown."""
    latest = gaps[(gaps["set"] == name) & (gaps["metric"] == "CRPS")].fillna({"kind": ""})
    latest = latest.drop_duplicates(["target", "model", "lost", "kind"], keep="last")
    lines = [f"| {name} | lost | {' | '.join(models)} |", "|---|---|" + "---|" * len(models)]
    for (target, lost, kind), rows in latest.groupby(["target", "lost", "kind"], sort=False):
        value = rows.set_index("model")["value"]
        cells = " | ".join(f"{value[model]:.3g}" for model in models.values())
        lines.append(f"| {target} | {lost:.0%} {kind} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[[], *SHOWN], help=", ".join(SHOWN))
    parser.add_argument("--table", action="store_true", help="print the tables of all results")
    parser.add_argument("--keep", type=Path, help="keep the run directories here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.sets:
            leads, gaps = measure(name, (args.keep or Path(scratch)) / name)
            keep(leads, LEADS)
            keep(gaps, GAPS)
    if args.table or args.sets:
        results, told = pd.read_csv(LEADS), pd.read_csv(GAPS) if GAPS.exists() else pd.DataFrame()
        for name in dict.fromkeys(results["set"]):
            print(by_lead(results, name, SHOWN[name]), end="\n\n")
        shown = {"sciformer": MODEL, "kriging": "kriging", "fill, then ridge": "linear (ridge)"}
        for name in dict.fromkeys(told.get("set", [])):
            print(by_loss(told, name, {**shown, "climatology": "climatology"}), end="\n\n")
