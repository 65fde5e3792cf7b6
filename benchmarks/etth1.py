"""ETTh1 by the protocol of the papers: 8640, 2880 and 2880 hours, values standardised by the first 8640, every window.

    SCIFORMER_MIRROR=... python benchmarks/etth1.py
    SCIFORMER_MIRROR=... python benchmarks/etth1.py --lost 0.3 0.6 --stride 13

One model answers all horizons and all shares of lost values; beside it stand kriging and ridge regression from the same
look-back. Windows of the validation and test parts begin one look-back before their part, and for each horizon all
windows count that lie in it. With ``--part validation`` the validation part is scored instead; settings were chosen
there. ``--lost`` takes a share of the look-back away, number by number and in outages of a day. Every result is
appended to ``benchmarks/etth1.csv``.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from gappy import lose, losses
from measure import load_recipe

import sciformer
from sciformer.adapter import Record
from sciformer.backtest import HeldOut
from sciformer.data.dataset import Dataset
from sciformer.distributions import Real
from sciformer.domains.climate.data import ClimateData
from sciformer.domains.climate.series import Series
from sciformer.domains.climate.windows import windows
from sciformer.evaluation import MODEL
from sciformer.forecaster import Forecaster
from sciformer.questions import Case
from sciformer.recipe import Recipe, RunOptions, train

BORDERS = {"train": (0, 8640), "validation": (8640, 11520), "test": (11520, 14400)}
HORIZONS = (96, 192, 336, 720)
MODELS = (MODEL, "kriging", "linear (ridge)", "climatology")
AT_ONCE = 50
"""Windows that are answered at once."""
RESULTS = Path(__file__).with_suffix(".csv")


@dataclasses.dataclass(frozen=True)
class Protocol(ClimateData):
    """The windows that training may see, and windows of the validation part to calibrate on."""

    def load(self, split_column: str | None = None) -> Dataset:
        whole = super().load()
        series = self.series()
        place = Record(key="ETTh1", data=series.between(0, 8640), group="ETTh1")
        records = windows([place], self.context, self.horizon, self.stride)
        later = Record(key="ETTh1", data=series.between(8640 - self.context, 11520), group="ETTh1")
        held = windows([later], self.context, self.horizon, 72)
        labels = dict.fromkeys((r.key for r in records), "train")
        parts = ("calibration", "calibration", "validation", "test")  # the test part is scored apart, by the protocol
        labels |= {record.key: parts[i % 4] for i, record in enumerate(held)}
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


def cases(series: Series, part: str, context: int, stride: int, share: float = 0.0, kind: str = "random") -> list[Case]:
    """Look-backs of a part and what came after, as far as it lies in the part: windows of shorter horizons are more."""
    start, end = BORDERS[part]
    out = []
    for i, cut in enumerate(range(start, end - min(HORIZONS) + 1, stride)):
        seen = lose(series.between(cut - context, cut), share, kind, i)
        record = Record(key=str(cut), data=seen, group="ETTh1")
        out.append((record, series.between(cut, min(cut + max(HORIZONS), end))))
    return out


def errors(
    model: Forecaster, learned: Sequence[Record], asked: Sequence[Case], spread: pd.Series, names: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Of some windows at a time: a row per model, window and horizon that lies in the part, with the mean squared and
    absolute error of standardised values over all variables and steps, and the coverage of 90 % intervals."""
    beside = {name: forecast for name, forecast in model.adapter.forecasts(learned).items() if name in names}
    for first in range(0, len(asked), AT_ONCE):
        some = asked[first : first + AT_ONCE]
        held = HeldOut(model.adapter, some, [{}] * len(some))
        lead = np.round(held.asked["ahead"].to_numpy() / model.adapter.step).astype(int)
        unit = held.asked["target"].map(spread).to_numpy()
        case, truth = (held.asked[name].to_numpy() for name in ("case", "truth"))
        length = np.array([len(later) for _, later in some])[case]
        answers: dict[str, Real] = {MODEL: model.answer(held.cases)} if MODEL in names else {}
        for name, answer in {**answers, **held.classical(beside)}.items():
            wrong = (answer.mean.numpy() - truth) / unit
            table = pd.DataFrame({"window": first + case, "MSE": wrong**2, "MAE": np.abs(wrong)})
            if name == MODEL:
                lower, upper = model.interval(answer, held.asked, 0.9)
                table["coverage"] = ((lower <= truth) & (truth <= upper)).astype(float)
            for horizon in HORIZONS:
                inside = table[(lead <= horizon) & (length >= horizon)]
                yield inside.groupby("window", as_index=False).mean().assign(model=name, horizon=horizon)


def measure(run: Path, part: str, stride: int, lost: Sequence[float], names: Sequence[str] = MODELS) -> pd.DataFrame:
    model = sciformer.load(run / "checkpoint")
    context, series = model.adapter.context, Protocol(source="etth1").series()
    spread = pd.Series(np.nanstd(series.values[:8640], 0).ravel(), index=[v.name for v in series.variables])
    first = Record(key="ETTh1", data=series.between(0, 8640), group="ETTh1")
    learned = windows([first], context, model.adapter.horizon, 2)  # as many as the ridge regression has room for
    tables = []
    for share, kind in losses(lost):
        asked = cases(series, part, context, stride, share, kind or "random")
        told = pd.concat(errors(model, learned, asked, spread, names), ignore_index=True)
        scores = told.reindex(columns=["model", "horizon", "MSE", "MAE", "coverage"])
        means = scores.groupby(["model", "horizon"], as_index=False).mean()
        counts = told.groupby(["model", "horizon"])["window"].nunique().to_numpy()
        tables.append(means.assign(lost=share, kind=kind, windows=counts))
    return pd.concat(tables, ignore_index=True).assign(part=part, stride=stride, context=context)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--run", type=Path, help="a run to score; by default the recipe is trained")
    parser.add_argument("--stride", type=int, default=1, help="hours from one window to the next")
    parser.add_argument("--lost", type=float, nargs="*", default=[0.0])
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = args.run
        if out is None:
            out = Path(scratch) / "etth1"
            train(recipe(), RunOptions(out=str(out), baselines=False))
        told = measure(out, args.part, args.stride, args.lost, args.models)
        seconds = pd.read_csv(out / "metrics.csv").groupby("member")["seconds"].last().sum()
    told = told.assign(date=date.today().isoformat(), seconds=round(float(seconds)), threads=torch.get_num_threads())
    print(told.to_string(index=False))
    told.to_csv(RESULTS, mode="a", index=False, header=not RESULTS.exists())
