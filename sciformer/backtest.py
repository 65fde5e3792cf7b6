"""Forecasts put to the test: the last observations of records are held out, forecast, and scored.

The unit is the record, not the observation: the observations of one object are alike, so every record counts alike in a
score, and resampling draws whole records.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from sciformer.adapter import Record, SeriesAdapter
from sciformer.calibration import LEVELS, IntervalCalibration, interval
from sciformer.data.sampler import random_stream
from sciformer.distributions import Gaussian, take
from sciformer.evaluation import COVERAGE, CRPS, MODEL, RELATIVE, RESAMPLES, verdict
from sciformer.forecaster import Case, Forecaster

DROPPED = (0.0, 0.3, 0.6)
"""Shares of what is seen that the gap curve leaves out at random."""
MOST_GAPPED = 100
"""Records on which the gap curve is measured: the classical forecasts are fitted anew to each of them."""
SHOWN = 9
"""Records that are drawn, from the best to the worst."""


@dataclass(frozen=True)
class HeldOut:
    """Records cut in two: what is seen, and what came later."""

    adapter: SeriesAdapter
    cases: Sequence[Case]
    spreads: Sequence[float]
    """Standard deviation of what was seen of each record, in which relative scores are told."""

    @classmethod
    def of(cls, adapter: SeriesAdapter, records: Sequence[Record], share: float, most: int | None = None) -> "HeldOut":
        """The last ``share`` of the observations of each record held out, of at most ``most`` records."""
        if most is not None and len(records) > most:
            chosen = np.sort(np.random.default_rng(0).permutation(len(records))[:most])
            records = [records[i] for i in chosen]
        cases = [case for record in records if (case := adapter.divide(record, share))]
        seen = (adapter.observations(record.data)["value"] for record, _ in cases)
        return cls(adapter, cases, [float(values.std(ddof=0)) or 1.0 for values in seen])

    def first(self, most: int) -> "HeldOut":
        return HeldOut(self.adapter, self.cases[:most], self.spreads[:most])

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per held-out observation: key, place, truth, error (0 where unknown), ``spread`` of what was seen, and
        how far ``ahead`` of it the observation lies."""
        clock, tables = self.adapter.clock.name, []
        for (record, later), spread in zip(self.cases, self.spreads, strict=True):
            seen, held = self.adapter.observations(record.data), self.adapter.observations(later)
            ahead = held[clock] - seen[clock].max()
            tables.append(held.assign(key=record.key, spread=spread, ahead=ahead))
        table = pd.concat(tables, ignore_index=True).rename(columns={"value": "truth"})
        return table.assign(error=table["error"].fillna(0.0))

    @cached_property
    def groups(self) -> np.ndarray:
        """The place of each row's record among the records."""
        return pd.factorize(self.table["key"])[0]

    def thinned(self, dropped: float) -> "HeldOut":
        """The same questions, and the same measure of their answers, with a random share of what was seen left out."""
        kept = [
            (self.adapter.thin(record, 1 - dropped, random_stream(0, round(100 * dropped), i)), later)
            for i, (record, later) in enumerate(self.cases)
        ]
        return HeldOut(self.adapter, kept, self.spreads)

    def classical(self) -> dict[str, Gaussian]:
        """What every classical forecast of the domain says of the light itself."""
        out = {}
        for name, forecast in self.adapter.forecasts().items():
            told = [forecast(record.data, later) for record, later in self.cases]
            mean, std = (np.concatenate(x) for x in zip(*told, strict=True))
            out[name] = Gaussian(torch.from_numpy(mean), torch.from_numpy(std))
        return out

    def measured(self, answer: Gaussian) -> Gaussian:
        """What a measurement would give: the answer, scattered by the error of each observation."""
        error = torch.tensor(self.table["error"].to_numpy(np.float64))
        return Gaussian(answer.mean.double(), torch.hypot(answer.std.double(), error).clamp(min=1e-12))


def calibrated(forecaster: Forecaster, held: HeldOut) -> Forecaster:
    """The same forecaster with intervals calibrated on records that are exchangeable with those asked about later."""
    if not held.cases:
        return forecaster
    answer = held.measured(forecaster.answer(held.cases))
    known = IntervalCalibration.fit(answer, held.table["truth"].to_numpy(np.float64), held.groups)
    return dataclasses.replace(forecaster, calibrations={forecaster.adapter.asked.name: known})


def remark(held: HeldOut, records: int, share: float) -> str:
    """In words, what the scores are about."""
    return (
        f"The last {share:.0%} of the observations of {len(held.cases)} of {records} test records are forecast. "
        "Intervals are calibrated record by record: they hold on average over records like those, not for each alone."
    )


def predictions(forecaster: Forecaster, held: HeldOut, answer: Gaussian, part: str) -> pd.DataFrame:
    """One line per held-out observation: where, truth, calibrated answer."""
    said = held.measured(answer)
    name = forecaster.adapter.asked.name
    lower, upper = interval(forecaster.calibrations.get(name), said, forecaster.level)
    answers = {"prediction": said.mean.numpy(), "lower": lower, "upper": upper, "scale": said.std.numpy()}
    table = held.table.assign(part=part, target=name, **answers)
    first = ["key", "part", "target", "truth", "prediction", "lower", "upper", "scale"]
    return table[[*first, *(column for column in table.columns if column not in first)]]


def crps(answer: Gaussian, truth: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Of a Gaussian, in closed form (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102, 359, section 4.2)."""
    from scipy.stats import norm

    std = answer.std.numpy()
    z = (truth - answer.mean.numpy()) / std
    return std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)


def losses(held: HeldOut, answer: Gaussian) -> pd.DataFrame:
    """Mean scores of each record, ``[records]`` per metric; ``RMSE`` is still a square here."""
    said, truth = held.measured(answer), held.table["truth"].to_numpy(np.float64)
    score, error = crps(said, truth), said.mean.numpy() - truth
    each = {CRPS: score, RELATIVE: score / held.table["spread"], "RMSE": error**2, "MAE": np.abs(error)}
    return pd.DataFrame(each).groupby(held.groups).mean()


def scored(
    table: pd.DataFrame, held: HeldOut, answers: Mapping[str, Gaussian], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of every model over the records with 95 % bootstrap intervals, coverage, and paired differences.

    ``table`` holds the calibrated answers of the model (``predictions``). The two tables returned have the columns of
    ``evaluation.score``.
    """
    target = str(table["target"].iloc[0])
    draws, scores = {}, []
    for model, answer in answers.items():
        for metric, values in losses(held, answer).items():
            draw = np.sqrt(_resampled(values, seed)) if metric == "RMSE" else _resampled(values, seed)
            draws[model, metric] = draw
            scores.append((model, metric, *_summary(draw), len(values)))
    inside = table["truth"].between(table["lower"], table["upper"]).astype(float)
    for metric, column in ((COVERAGE, inside), ("interval width", table["upper"] - table["lower"])):
        values = column.groupby(held.groups).mean()
        scores.append((MODEL, metric, *_summary(_resampled(values, seed)), len(values)))
    rows = []
    for metric in (CRPS, RELATIVE):
        for model in answers:
            if model != MODEL:
                value, lower, upper = _summary(draws[MODEL, metric] - draws[model, metric])
                rows.append((target, metric, model, value, lower, upper, verdict(metric, lower, upper)))
    columns = ["model", "metric", "value", "lower", "upper", "n"]
    told = pd.DataFrame(scores, columns=columns).assign(part="test", target=target)
    compared = ["target", "metric", "baseline", "difference", "lower", "upper", "verdict"]
    return told[["part", "model", "target", *columns[1:]]], pd.DataFrame(rows, columns=compared)


def _resampled(values: "pd.Series[float]", seed: int) -> Float[np.ndarray, " r"]:
    """The mean over all records, and over records drawn with replacement; the same seed draws the same records."""
    n = len(values)
    rows = np.vstack([np.arange(n), np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))])
    return values.to_numpy()[rows].mean(1)


def _summary(draw: Float[np.ndarray, " r"]) -> tuple[float, float, float]:
    """Value and 95 % interval of what ``_resampled`` gives."""
    lower, upper = np.quantile(draw[1:], [0.025, 0.975])
    return float(draw[0]), float(lower), float(upper)


def gap_curve(forecaster: Forecaster, held: HeldOut, answers: Mapping[str, Gaussian], seed: int) -> pd.DataFrame:
    """The scores of every model with more and more of what is seen left out at random, the questions unchanged.
    ``answers`` are those to the whole of ``held``; classical models are asked again if they are among them."""
    some, tables = held.first(MOST_GAPPED), []
    whole = {name: take(answer, np.arange(len(some.table))) for name, answer in answers.items()}
    for dropped in DROPPED:
        thinned, told = some, whole
        if dropped:
            thinned = some.thinned(dropped)
            told = {MODEL: forecaster.answer(thinned.cases), **(thinned.classical() if len(whole) > 1 else {})}
        scores, _ = scored(predictions(forecaster, thinned, told[MODEL], "test"), thinned, told, seed)
        tables.append(scores.assign(dropped=dropped))
    return pd.concat(tables, ignore_index=True).drop(columns="part")


def reliability(forecaster: Forecaster, held: HeldOut, answer: Gaussian, seed: int) -> pd.DataFrame:
    """Coverage of the calibrated intervals at every level, over records."""
    said, truth = held.measured(answer), held.table["truth"]
    known = forecaster.calibrations.get(forecaster.adapter.asked.name)
    rows = []
    for level in LEVELS:
        inside = truth.between(*interval(known, said, level)).astype(float)  # pyright: ignore[reportArgumentType]
        rows.append((level, *_summary(_resampled(inside.groupby(held.groups).mean(), seed))))
    return pd.DataFrame(rows, columns=["level", "value", "lower", "upper"])


def examples(forecaster: Forecaster, held: HeldOut, answer: Gaussian) -> list[dict[str, Any]]:
    """Records from the best forecast to the worst by relative CRPS, drawn with what came later."""
    ranked = losses(held, answer)[RELATIVE].sort_values(kind="stable")
    chosen = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int))]
    out = []
    for i, score in chosen.items():
        record, later = held.cases[int(i)]  # pyright: ignore[reportArgumentType]
        svg = forecaster.adapter.depict_forecast(record, later, lambda case: said(forecaster, case))
        out.append({"key": record.key, "target": RELATIVE, "score": float(score), "svg": svg})
    return out


def said(forecaster: Forecaster, case: Case) -> pd.DataFrame:
    """Places of a case with the columns of ``Forecaster.forecast`` that hold numbers."""
    answers = pd.DataFrame(forecaster.columns(forecaster.answer([case]), forecaster.level))
    return pd.concat([forecaster.adapter.observations(case[1]), answers], axis=1)
