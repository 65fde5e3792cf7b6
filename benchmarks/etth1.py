"""ETTh1 by the protocol of the papers: 8640, 2880 and 2880 hours, values standardised by the first 8640, every window.

    SCIFORMER_MIRROR=... python benchmarks/etth1.py

One model answers all horizons and all shares of lost values; beside it stand kriging and ridge regression from the same
look-back. Windows of the validation and test parts begin one look-back before their part. With ``--part validation``
the validation part is scored instead; settings were chosen there. Every result is appended to ``benchmarks/etth1.csv``.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measure import load_recipe

import sciformer
from sciformer.adapter import Record
from sciformer.backtest import HeldOut
from sciformer.data.dataset import Dataset
from sciformer.distributions import Gaussian
from sciformer.domains.climate.data import ClimateData
from sciformer.domains.climate.series import Series
from sciformer.domains.climate.windows import windows
from sciformer.recipe import Recipe, RunOptions, train

BORDERS = {"train": (0, 8640), "validation": (8640, 11520), "test": (11520, 14400)}
HORIZONS = (96, 192, 336, 720)
LOST = (0.0, 0.3, 0.6)
RESULTS = Path(__file__).with_suffix(".csv")


@dataclasses.dataclass(frozen=True)
class Protocol(ClimateData):
    """The windows that training may see, and a few of the validation part to calibrate on."""

    def load(self, split_column: str | None = None) -> Dataset:
        whole = super().load()
        series = self.series()
        place = Record(key="ETTh1", data=series.between(0, 8640), group="ETTh1")
        records = windows([place], self.context, self.horizon, self.stride)
        later = Record(key="ETTh1", data=series.between(8640 - self.context, 11520), group="ETTh1")
        held = windows([later], self.context, self.horizon, self.horizon)
        labels = dict.fromkeys((r.key for r in records), "train")
        labels |= {record.key: ("validation", "calibration", "test")[i % 3] for i, record in enumerate(held)}
        return dataclasses.replace(whole, records=[*records, *held], labels=labels)

    def series(self) -> Series:
        from sciformer.data import cards
        from sciformer.domains.climate import reader

        source, options = cards.source("etth1")
        return next(reader.read(source, **options)).data


def recipe() -> Recipe:
    shipped = load_recipe("climate/etth1")
    assert isinstance(shipped.data, ClimateData)
    data = Protocol(**{field.name: getattr(shipped.data, field.name) for field in dataclasses.fields(ClimateData)})
    split = dataclasses.replace(shipped.split, kind="column", column="part")
    return dataclasses.replace(shipped, data=data, split=split)


def cases(series: Series, part: str, context: int, horizon: int, stride: int) -> list[Record]:
    start, end = BORDERS[part]
    place = Record(key="ETTh1", data=series.between(start - context, end), group="ETTh1")
    return windows([place], context, horizon, stride)


def lose(record: Record, share: float, context: int, seed: int) -> Record:
    """A random share of the numbers of the look-back lost."""
    series: Series = record.data.loaded()
    gone = np.random.default_rng((seed, 1)).random(series.values.shape) < share
    gone[context:] = False
    return dataclasses.replace(record, data=series.replaced(values=np.where(gone, np.nan, series.values)))


def scores(held: HeldOut, answer: Gaussian, spread: pd.Series, step: float) -> pd.DataFrame:
    """Mean squared and absolute error of standardised values by horizon, over all variables, steps and windows."""
    asked = held.asked
    error = (answer.mean.numpy() - asked["truth"].to_numpy()) / asked["target"].map(spread).to_numpy()
    lead = np.round(asked["ahead"].to_numpy() / step).astype(int)
    rows = [(h, np.mean(error[lead <= h] ** 2), np.mean(np.abs(error[lead <= h]))) for h in HORIZONS]
    return pd.DataFrame(rows, columns=["horizon", "MSE", "MAE"])


def measure(run: Path, part: str, stride: int, lost: Sequence[float]) -> pd.DataFrame:
    model = sciformer.load(run / "checkpoint")
    adapter = model.adapter
    series = Protocol(source="etth1").series()
    spread = pd.Series(np.nanstd(series.values[:8640], 0).ravel(), index=[v.name for v in series.variables])
    first = series.between(0, 8640)
    learned = windows([Record(key="ETTh1", data=first, group="ETTh1")], adapter.context, adapter.horizon, 24)
    models = {k: v for k, v in adapter.forecasts(learned).items() if k in ("kriging", "linear (ridge)", "climatology")}
    tables = []
    for share in lost:
        whole = cases(series, part, adapter.context, adapter.horizon, stride)
        held = HeldOut.of(adapter, [lose(r, share, adapter.context, i) for i, r in enumerate(whole)], 0.3)
        answers = {"sciformer": model.answer(held.cases), **held.classical(models)}
        for name, answer in answers.items():
            table = scores(held, answer, spread, adapter.step).assign(model=name, lost=share, windows=len(whole))
            tables.append(table)
    return pd.concat(tables, ignore_index=True).assign(part=part, stride=stride, context=adapter.context)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--run", type=Path, help="a run to score; by default the recipe is trained")
    parser.add_argument("--stride", type=int, default=1, help="hours from one window to the next")
    parser.add_argument("--lost", type=float, nargs="*", default=LOST)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = args.run
        if out is None:
            out = Path(scratch) / "etth1"
            train(recipe(), RunOptions(out=str(out), baselines=False))
        told = measure(out, args.part, args.stride, args.lost)
        seconds = pd.read_csv(out / "metrics.csv").groupby("member")["seconds"].last().sum()
    told = told.assign(date=date.today().isoformat(), seconds=round(float(seconds)), threads=torch.get_num_threads())
    print(told.to_string(index=False))
    told.to_csv(RESULTS, mode="a", index=False, header=not RESULTS.exists())
