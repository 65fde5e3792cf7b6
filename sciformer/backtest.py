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

from sciformer.adapter import Forecasting, Record, SeriesAdapter
from sciformer.calibration import LEVELS, IntervalCalibration, LeadCalibration
from sciformer.data.sampler import random_stream
from sciformer.distributions import Gaussian, Real, take
from sciformer.evaluation import COVERAGE, CRPS, MODEL, RELATIVE, RESAMPLES, verdict
from sciformer.forecaster import Forecaster
from sciformer.questions import Case, asked, limits

DROPPED = (0.0, 0.3, 0.6)
"""Shares of what is seen that the gap curve leaves out at random."""
MOST_GAPPED = 100
"""Records on which the gap curve is measured: the classical forecasts are fitted anew to each of them."""
MOST_LEADS = 30
"""Groups of leads by which scores are told."""
SHOWN = 9
"""Records that are drawn, from the best to the worst."""


@dataclass(frozen=True)
class HeldOut:
    """Records cut in two: what is seen, and what came later."""

    adapter: SeriesAdapter
    cases: Sequence[Case]
    spreads: Sequence[Mapping[str, float]]
    """By what is measured, the standard deviation of what was seen of each record: relative scores are told in it."""

    @classmethod
    def of(cls, adapter: SeriesAdapter, records: Sequence[Record], share: float, most: int | None = None) -> "HeldOut":
        """The last ``share`` of the observations of each record held out, of at most ``most`` records."""
        if most is not None and len(records) > most:
            chosen = np.sort(np.random.default_rng(0).permutation(len(records))[:most])
            records = [records[i] for i in chosen]
        cases = [case for record in records if (case := adapter.divide(record, share))]
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

    @property
    def windows(self) -> bool:
        """Whether these are windows of longer series."""
        return any(record.span is not None for record, _ in self.cases)

    @cached_property
    def groups(self) -> np.ndarray:
        """Of each row, what counts as one: the record, or the records that are the same thing measured again."""
        units = np.array([record.group or record.key for record, _ in self.cases], dtype=object)
        return pd.factorize(units[self.asked["case"]])[0]

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

    def measured(self, answer: Real) -> Real:
        """What a measurement would give: the answer, scattered by the error of each observation."""
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


def remark(held: HeldOut, records: int, share: float) -> str:
    """In words, what the scores are about."""
    if held.windows:
        return (
            f"{len(held.cases)} of {records} windows of the test part are forecast. Intervals are calibrated lead by "
            "lead on the windows before: they hold as far as the future is like the past, which nothing can promise."
        )
    return (
        f"The last {share:.0%} of the observations of {len(held.cases)} of {records} test records are forecast. "
        "Intervals are calibrated record by record: they hold on average over records like those, not for each alone."
    )


def predictions(forecaster: Forecaster, held: HeldOut, answer: Real, part: str) -> pd.DataFrame:
    """One line per held-out observation: where, truth, calibrated answer."""
    said = held.measured(answer)
    lower, upper = forecaster.interval(said, held.asked, forecaster.level)
    answers = {
        "prediction": np.clip(said.mean.numpy(), *limits(held.adapter, held.asked)),
        "lower": lower,
        "upper": upper,
        "scale": said.std.numpy(),
    }
    table = held.asked.drop(columns="case").assign(part=part, **answers)
    first = ["key", "part", "target", "truth", "prediction", "lower", "upper", "scale"]
    return table[[*first, *(column for column in table.columns if column not in first)]]


def losses(held: HeldOut, answer: Real) -> pd.DataFrame:
    """Scores of each held-out observation by metric; ``RMSE`` is still a square here. No model is held to what it says
    beyond the limits of a variable."""
    said, truth = held.measured(answer), held.asked["truth"].to_numpy(np.float64)
    low, high = limits(held.adapter, held.asked)
    score = said.crps(*(torch.tensor(x) for x in (truth, low, high))).numpy()
    error = np.clip(said.mean.numpy(), low, high) - truth
    return pd.DataFrame(
        {CRPS: score, RELATIVE: score / held.asked["spread"].to_numpy(), "RMSE": error**2, "MAE": np.abs(error)}
    )


def scored(
    table: pd.DataFrame, held: HeldOut, answers: Mapping[str, Real], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of every model over the records with 95 % bootstrap intervals, coverage, and paired differences, target by
    target.

    ``table`` holds the calibrated answers of the model (``predictions``). The two tables returned have the columns of
    ``evaluation.score``.
    """
    each = {model: losses(held, answer) for model, answer in answers.items()}
    told, compared = [], []
    for target, rows in held.asked.groupby("target", sort=False).indices.items():
        parts = {model: loss.iloc[rows].groupby(held.groups[rows]).mean() for model, loss in each.items()}
        scores, differences = _scored(parts, table.iloc[rows], held.groups[rows], seed)
        told.append(scores.assign(target=str(target)))
        compared.append(differences.assign(target=str(target)))
    scores, differences = (pd.concat(tables, ignore_index=True) for tables in (told, compared))
    first = ["part", "model", "target", "metric", "value", "lower", "upper", "n"]
    second = ["target", "metric", "baseline", "difference", "lower", "upper", "verdict"]
    return scores.assign(part="test")[first], differences.reindex(columns=second)


def _scored(
    losses: Mapping[str, pd.DataFrame], table: pd.DataFrame, groups: np.ndarray, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of one target: ``losses`` are means over what counts as one, by metric."""
    draws, scores = {}, []
    for model, loss in losses.items():
        for metric, values in loss.items():
            draw = np.sqrt(_resampled(values, seed)) if metric == "RMSE" else _resampled(values, seed)
            draws[model, metric] = draw
            scores.append((model, metric, *_summary(draw), len(values)))
    inside = table["truth"].between(table["lower"], table["upper"]).astype(float)
    for metric, column in ((COVERAGE, inside), ("interval width", table["upper"] - table["lower"])):
        values = column.groupby(groups).mean()
        scores.append((MODEL, metric, *_summary(_resampled(values, seed)), len(values)))
    rows = []
    for metric in (CRPS, RELATIVE):
        for model in losses:
            if model != MODEL:
                value, lower, upper = _summary(draws[MODEL, metric] - draws[model, metric])
                rows.append((metric, model, value, lower, upper, verdict(metric, lower, upper)))
    told = pd.DataFrame(scores, columns=["model", "metric", "value", "lower", "upper", "n"])
    return told, pd.DataFrame(rows, columns=["metric", "baseline", "difference", "lower", "upper", "verdict"])


def _resampled(values: "pd.Series[float]", seed: int) -> Float[np.ndarray, " r"]:
    """The mean over all records, and over records drawn with replacement; the same seed draws the same records."""
    n = len(values)
    rows = np.vstack([np.arange(n), np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))])
    return values.to_numpy()[rows].mean(1)


def _summary(draw: Float[np.ndarray, " r"]) -> tuple[float, float, float]:
    """Value and 95 % interval of what ``_resampled`` gives."""
    lower, upper = np.quantile(draw[1:], [0.025, 0.975])
    return float(draw[0]), float(lower), float(upper)


def gap_curve(
    forecaster: Forecaster,
    held: HeldOut,
    answers: Mapping[str, Real],
    models: Mapping[str, Forecasting],
    seed: int,
) -> pd.DataFrame:
    """The scores of every model with more and more of what is seen left out at random, the questions unchanged.
    ``answers`` are those to the whole of ``held``; the classical ``models`` are asked again."""
    some, tables = held.first(MOST_GAPPED), []
    whole = {name: take(answer, np.arange(len(some.asked))) for name, answer in answers.items()}
    for dropped in DROPPED:
        thinned, told = some, whole
        if dropped:
            thinned = some.thinned(dropped)
            told = {MODEL: forecaster.answer(thinned.cases), **thinned.classical(models)}
        scores, _ = scored(predictions(forecaster, thinned, told[MODEL], "test"), thinned, told, seed)
        tables.append(scores.assign(dropped=dropped))
    return pd.concat(tables, ignore_index=True).drop(columns="part")


def by_lead(held: HeldOut, answers: Mapping[str, Real], table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Scores of every model by how far ahead its answers lie, with 95 % intervals over what counts as one, and coverage
    of the calibrated ones (``table``, see ``predictions``). Leads that are many are grouped."""
    lead = _leads(held.asked["ahead"])
    inside = table["truth"].between(table["lower"], table["upper"]).astype(float)
    each = {model: losses(held, answer)[[CRPS, "RMSE"]] for model, answer in answers.items()}
    each[MODEL] = each[MODEL].assign(**{COVERAGE: inside.to_numpy()})
    rows = []
    for (target, ahead), part in held.asked.groupby([held.asked["target"], lead.rename("lead")], sort=True):  # pyright: ignore
        places = part.index.to_numpy()
        for model, loss in each.items():
            for metric, values in loss.iloc[places].groupby(held.groups[places]).mean().items():
                draw = _resampled(values, seed)
                told = _summary(np.sqrt(draw) if metric == "RMSE" else draw)
                rows.append((str(target), model, float(str(ahead)), metric, *told, len(values)))
    return pd.DataFrame(rows, columns=["target", "model", "ahead", "metric", "value", "lower", "upper", "n"])


def _leads(ahead: "pd.Series[float]") -> "pd.Series[float]":
    """The middle of the group of each lead; at most ``MOST_LEADS`` of equal width."""
    leads = ahead.round(6)
    if leads.nunique() <= MOST_LEADS:
        return leads
    group, edges = pd.cut(leads, MOST_LEADS, labels=False, retbins=True)
    return pd.Series((edges[:-1] + edges[1:])[group] / 2, index=leads.index)


def by_place(held: HeldOut, answers: Mapping[str, Real]) -> pd.DataFrame:
    """Mean CRPS of every model in every cell of a grid; empty where there is no grid."""
    asked = held.asked
    if not {"lat", "lon"} <= set(asked) or len(asked[["lat", "lon"]].drop_duplicates()) < 2:
        return pd.DataFrame(columns=["target", "model", "lat", "lon", CRPS])
    tables = []
    for model, answer in answers.items():
        score = losses(held, answer)[CRPS]
        means = score.groupby([asked["target"], asked["lat"], asked["lon"]]).mean()
        tables.append(means.reset_index().assign(model=model))
    return pd.concat(tables, ignore_index=True)[["target", "model", "lat", "lon", CRPS]]


def reliability(forecaster: Forecaster, held: HeldOut, answer: Real, seed: int) -> pd.DataFrame:
    """Coverage of the calibrated intervals at every level, over records, target by target."""
    said, truth = held.measured(answer), held.asked["truth"].to_numpy(np.float64)
    rows = []
    for level in LEVELS:
        lower, upper = forecaster.interval(said, held.asked, level)
        inside = pd.Series(((lower <= truth) & (truth <= upper)).astype(float))
        for target, places in held.asked.groupby("target", sort=False).indices.items():
            means = inside.iloc[places].groupby(held.groups[places]).mean()
            rows.append((str(target), level, *_summary(_resampled(means, seed))))
    return pd.DataFrame(rows, columns=["target", "level", "value", "lower", "upper"])


def examples(forecaster: Forecaster, held: HeldOut, answer: Real) -> list[dict[str, Any]]:
    """Records from the best forecast to the worst by relative CRPS, drawn with what came later."""
    ranked = losses(held, answer)[RELATIVE].groupby(held.asked["case"].to_numpy()).mean().sort_values(kind="stable")
    chosen = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int))]
    out = []
    for i, score in chosen.items():
        record, later = held.cases[int(i)]  # pyright: ignore[reportArgumentType]
        svg = forecaster.adapter.depict_forecast(record, later, lambda case: said(forecaster, case))
        out.append({"key": record.key, "target": RELATIVE, "score": float(score), "svg": svg})
    return out


def said(forecaster: Forecaster, case: Case) -> pd.DataFrame:
    """Places of a case with the columns of ``Forecaster.forecast`` that hold numbers."""
    where = asked(forecaster.adapter, [case])
    answers = pd.DataFrame(forecaster.columns(forecaster.answer([case]), where, forecaster.level))
    return pd.concat([where, answers], axis=1)
