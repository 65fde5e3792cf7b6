"""Records cut in two, and what a forecaster says of the part that it did not see."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from sciformer.adapter import Forecasting, Record, SeriesAdapter
from sciformer.backtest.resampling import block_length
from sciformer.backtest.rules import crps
from sciformer.calibration import IntervalCalibration, LeadCalibration
from sciformer.data.sampler import random_stream
from sciformer.distributions import Gaussian, Real, take
from sciformer.evaluation import CRPS, RELATIVE
from sciformer.forecaster import Forecaster
from sciformer.questions import Case, asked, limits

ROUGH = 10
"""Independent blocks below which resampling them tells little."""
SHOWN = 9
"""Records that are drawn, from the best to the worst."""
ROWS = 10_000_000
"""Held-out numbers at most: fewer windows are drawn of grids with many cells."""


@dataclass(frozen=True)
class HeldOut:
    """Records cut in two: what is seen, and what came later."""

    adapter: SeriesAdapter
    cases: Sequence[Case]
    spreads: Sequence[Mapping[str, float]]
    """By what is measured, the standard deviation of what was seen of each record: relative scores are told in it."""

    @classmethod
    def of(cls, adapter: SeriesAdapter, records: Sequence[Record], share: float, most: int | None = None) -> "HeldOut":
        """The last ``share`` of the observations of each record held out, of at most ``most`` records and about
        ``ROWS`` observations, drawn at random."""
        order = np.random.default_rng(0).permutation(len(records))[:most]
        first = next((case for i in order if (case := adapter.divide(records[i], share))), None)
        if first is not None:
            order = order[: max(ROWS // max(len(adapter.observations(first[1])), 1), 1)]
        cases = [case for i in np.sort(order) if (case := adapter.divide(records[i], share))]
        return cls(adapter, cases, [_spreads(adapter, record) for record, _ in cases])

    def first(self, most: int) -> "HeldOut":
        return HeldOut(self.adapter, self.cases[:most], self.spreads[:most])

    @cached_property
    def asked(self) -> pd.DataFrame:
        """As ``forecaster.asked`` tells it, with ``key``, ``truth``, error (0 where unknown) and ``spread``."""
        table = asked(self.adapter, self.cases).rename(columns={"value": "truth"})
        pairs = zip(table["case"], table["target"], strict=True)
        spread = [self.spreads[i].get(target, 1.0) for i, target in pairs]
        keys = np.array([record.key for record, _ in self.cases], dtype=object)[table["case"]]
        return table.assign(error=table["error"].fillna(0.0), key=keys, spread=spread)

    @cached_property
    def within(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest that each answer can be."""
        return limits(self.adapter, self.asked)

    @property
    def windows(self) -> bool:
        """Whether these are windows of longer series."""
        return any(record.span is not None for record, _ in self.cases)

    @cached_property
    def groups(self) -> np.ndarray:
        """Of each row, what counts as one: the record, or the records that are the same thing measured again; windows
        in the order of their time."""
        units = pd.Series([record.group or record.key for record, _ in self.cases], dtype=object)
        when = pd.Series([record.span[1] if record.span else 0.0 for record, _ in self.cases], dtype=float)
        ordered = when.groupby(units, sort=False).min().sort_values(kind="stable").index
        return ordered.get_indexer(pd.Index(units))[self.asked["case"]]

    @cached_property
    def block(self) -> int:
        """How many neighbours are drawn together where means are resampled: windows share their weather, records
        nothing."""
        return block_length(np.array([record.span for record, _ in self.cases if record.span])) if self.windows else 1

    @cached_property
    def weights(self) -> np.ndarray:
        """Of each row: in a grid the cosine of the latitude, with which the area of its cells shrinks; else 1."""
        if "lat" not in self.asked:
            return np.ones(len(self.asked))
        cells = self.asked.groupby("case")["lat"].transform("nunique") > 1
        return np.where(cells, np.cos(np.deg2rad(self.asked["lat"])), 1.0)

    def means(self, values: Any, rows: np.ndarray) -> Any:
        """Weighted means of some rows of a table or column over what counts as one."""
        groups, some = self.groups[rows], values.iloc[rows]
        weights = pd.Series(self.weights[rows], some.index)
        return some.mul(weights, axis=0).groupby(groups).sum().div(weights.groupby(groups).sum(), axis=0)

    def thinned(self, dropped: float) -> "HeldOut":
        """The same questions, and the same measure of their answers, with a random share of what was seen left out."""
        kept = [
            (self.adapter.thin(record, 1 - dropped, random_stream(0, round(100 * dropped), i)), later)
            for i, (record, later) in enumerate(self.cases)
        ]
        return HeldOut(self.adapter, kept, self.spreads)

    def classical(self, models: Mapping[str, Forecasting]) -> dict[str, Gaussian]:
        """What every classical forecast of the domain says of the things themselves."""
        out = {}
        for name, forecast in models.items():
            told = [forecast(record.data, later) for record, later in self.cases]
            mean, std = (np.concatenate(x) for x in zip(*told, strict=True))
            out[name] = Gaussian(torch.from_numpy(mean), torch.from_numpy(std))
        return out

    def losses(self, answer: Real) -> pd.DataFrame:
        """Scores of each held-out observation by metric; ``RMSE`` is still a square here. No model is held to what it
        says beyond the limits of a variable."""
        said, truth = self.measured(answer), self.asked["truth"].to_numpy(np.float64)
        score, error = crps(said, truth, *self.within), np.clip(said.mean.numpy(), *self.within) - truth
        spread = self.asked["spread"].to_numpy(np.float64)
        return pd.DataFrame({CRPS: score, RELATIVE: score / spread, "RMSE": error**2, "MAE": np.abs(error)})

    def measured(self, answer: Real) -> Real:
        """What measurements would give, each with its own error."""
        exact = type(answer)(**{name: x.double() for name, x in vars(answer).items()})
        return exact.widened(torch.tensor(self.asked["error"].to_numpy(np.float64)).clamp(min=1e-12))


def _spreads(adapter: SeriesAdapter, record: Record) -> dict[str, float]:
    table = asked(adapter, [(record, record.data)])
    spread = table.groupby("target")["value"].std(ddof=0)
    return {str(name): float(x) or 1.0 for name, x in spread.items()}


def calibrated(forecaster: Forecaster, held: HeldOut) -> Forecaster:
    """The same forecaster with intervals calibrated on records that are exchangeable with those asked about later; of
    windows in time, lead by lead."""
    if not held.cases:
        return forecaster
    answer, known = held.measured(forecaster.answer(held.cases)), {}
    truth, ahead = (held.asked[name].to_numpy(np.float64) for name in ("truth", "ahead"))
    for name, rows in held.asked.groupby("target", sort=False).indices.items():
        part = take(answer, np.asarray(rows)), truth[rows], held.groups[rows]
        known[str(name)] = LeadCalibration.fit(*part, ahead[rows]) if held.windows else IntervalCalibration.fit(*part)
    return dataclasses.replace(forecaster, calibrations=known)


def remark(held: HeldOut, records: int, share: float, known: HeldOut) -> str:
    """In words, what the scores are about; ``known``: what intervals are calibrated on."""
    if held.windows:
        ends, starts = ([record.span[i] for record, _ in x.cases if record.span] for x, i in ((known, 2), (held, 1)))
        earlier = max(ends, default=-np.inf) <= min(starts, default=np.inf)
        hold = (
            "earlier windows: they hold as far as the future is like the past, which nothing can promise."
            if earlier
            else "windows of the calibration part, which are not all earlier: of the future they promise less."
        )
        return (
            f"{len(held.cases)} of {records} windows of the test part are forecast. Intervals are calibrated lead by "
            f"lead on {hold} {basis(held)}"
        )
    return (
        f"The last {share:.0%} of the observations of {len(held.cases)} of {records} test records are forecast. "
        "Intervals are calibrated record by record: they hold on average over records like those, not for each alone."
    )


def basis(held: HeldOut) -> str:
    """In words, what scores of windows are means over, and how far these are known."""
    moments = len(np.unique(held.groups))
    blocks = moments // held.block
    rough = f", too few for more than a rough idea ({ROUGH} are few)" if blocks < ROUGH else ""
    area = " in which cells of the grid count by the cosine of their latitude" if (held.weights < 1).any() else ""
    return (
        f"Scores are means over {moments} moments{area}. Their 95 % intervals resample blocks of {held.block} moments "
        f"in a row, because neighbouring windows share their weather: as many as {blocks} independent blocks{rough}."
    )


def predictions(forecaster: Forecaster, held: HeldOut, answer: Real, part: str) -> pd.DataFrame:
    """One line per held-out observation: where, truth, calibrated answer."""
    said = held.measured(answer)
    lower, upper = forecaster.interval(said, held.asked, forecaster.level)
    middle = np.clip(said.mean.numpy(), *held.within)
    answers = {"prediction": middle, "lower": lower, "upper": upper, "scale": said.std.numpy()}
    table = held.asked.drop(columns="case").assign(part=part, **answers)
    first = ["key", "part", "target", "truth", "prediction", "lower", "upper", "scale"]
    return table[[*first, *(column for column in table.columns if column not in first)]]


def examples(forecaster: Forecaster, held: HeldOut, answer: Real) -> list[dict[str, Any]]:
    """Records from the best forecast to the worst by relative CRPS, drawn with what came later."""
    ranked = held.losses(answer)[RELATIVE].groupby(held.asked["case"].to_numpy()).mean().sort_values(kind="stable")
    chosen = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int))]
    out = []
    for i, score in chosen.items():
        record, later = held.cases[int(i)]  # pyright: ignore[reportArgumentType]
        weights = forecaster.weights((record, later)).tolist()
        svg = forecaster.adapter.depict_forecast(record, later, lambda case: said(forecaster, case), weights)
        out.append({"key": record.key, "target": RELATIVE, "score": float(score), "svg": svg})
    return out


def said(forecaster: Forecaster, case: Case) -> pd.DataFrame:
    """Places of a case with the columns of ``Forecaster.forecast`` that hold numbers."""
    where = asked(forecaster.adapter, [case])
    answers = pd.DataFrame(forecaster.columns(forecaster.answer([case]), where, forecaster.level))
    return pd.concat([where, answers], axis=1)
