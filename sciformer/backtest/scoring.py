"""Scores of forecasts beside those of the classical models: in all, with gaps, by lead and by place."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from sciformer.adapter import Forecasting
from sciformer.backtest.held import HeldOut, predictions
from sciformer.backtest.resampling import resampled, summary
from sciformer.calibration import LEVELS
from sciformer.distributions import Real, take
from sciformer.evaluation import COVERAGE, CRPS, MODEL, REFERENCES, RELATIVE, SKILL, WIDTH, verdict
from sciformer.forecaster import Forecaster

DROPPED = (0.0, 0.3, 0.6)
"""Shares of what is seen that the gap curve leaves out at random."""
MOST_GAPPED = 100
"""Records on which the gap curve is measured: the classical forecasts are fitted anew to each of them."""
MOST_LEADS = 30
"""Groups of leads by which scores are told."""


def scored(
    table: pd.DataFrame, held: HeldOut, answers: Mapping[str, Real], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of every model over the records with 95 % bootstrap intervals, coverage, and paired differences, target by
    target.

    ``table`` holds the calibrated answers of the model (``predictions``). The two tables returned have the columns of
    ``evaluation.score``.
    """
    each = {model: held.losses(answer) for model, answer in answers.items()}
    told, compared = [], []
    for target, rows in held.asked.groupby("target", sort=False).indices.items():
        scores, differences = _scored(held, each, table, np.asarray(rows), seed)
        told.append(scores.assign(target=str(target)))
        compared.append(differences.assign(target=str(target)))
    scores, differences = (pd.concat(tables, ignore_index=True) for tables in (told, compared))
    first = ["part", "model", "target", "metric", "value", "lower", "upper", "n"]
    second = ["target", "metric", "baseline", "difference", "lower", "upper", "verdict"]
    return scores.assign(part="test")[first], differences.reindex(columns=second)


def _scored(
    held: HeldOut, losses: Mapping[str, pd.DataFrame], table: pd.DataFrame, rows: np.ndarray, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of the ``rows`` of one target."""
    inside = table["truth"].between(table["lower"], table["upper"]).astype(float)
    intervals = pd.DataFrame({COVERAGE: inside, WIDTH: table["upper"] - table["lower"]})
    drawn, n = draws(held, losses, rows, seed)
    drawn |= draws(held, {MODEL: intervals}, rows, seed)[0]
    scores = [(*key, *summary(draw), n) for key, draw in drawn.items()]
    compared = []
    for metric in (CRPS, RELATIVE):
        for model in losses:
            if model != MODEL:
                value, lower, upper = summary(drawn[MODEL, metric] - drawn[model, metric])
                compared.append((metric, model, value, lower, upper, verdict(metric, lower, upper)))
    told = pd.DataFrame(scores, columns=["model", "metric", "value", "lower", "upper", "n"])
    return told, pd.DataFrame(compared, columns=["metric", "baseline", "difference", "lower", "upper", "verdict"])


def draws(
    held: HeldOut, losses: Mapping[str, pd.DataFrame], rows: np.ndarray, seed: int
) -> tuple[dict[tuple[str, str], Float[np.ndarray, " r"]], int]:
    """By model and metric the mean over some rows, and over resamples that are the same for all, so that differences
    and skill are paired; and the number of what counts as one in them."""
    drawn = {}
    for model, loss in losses.items():
        for metric, values in held.means(loss, rows).items():
            draw = resampled(values, seed, held.block)
            drawn[model, str(metric)] = np.sqrt(draw) if metric == "RMSE" else draw
    for reference in (name for name in REFERENCES if (name, CRPS) in drawn):
        for model in (name for name in losses if name != reference):
            drawn[model, SKILL + reference] = 1 - drawn[model, CRPS] / drawn[reference, CRPS]
    return drawn, len(np.unique(held.groups[rows]))


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
    """Scores of every model by how far ahead its answers lie and their skill over ``REFERENCES``, with 95 % intervals,
    and coverage of the calibrated ones (``table``, see ``predictions``). Leads that are many are grouped."""
    lead = _leads(held.asked["ahead"])
    inside = table["truth"].between(table["lower"], table["upper"]).astype(float)
    each = {model: held.losses(answer)[[CRPS, "RMSE"]] for model, answer in answers.items()}
    each[MODEL] = each[MODEL].assign(**{COVERAGE: inside.to_numpy()})
    rows = []
    for (target, ahead), part in held.asked.groupby([held.asked["target"], lead.rename("lead")], sort=True):  # pyright: ignore
        places = part.index.to_numpy()
        drawn, n = draws(held, each, places, seed)
        for (model, metric), draw in drawn.items():
            rows.append((str(target), model, float(str(ahead)), metric, *summary(draw), n))
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
        score = held.losses(answer)[CRPS]
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
            draw = resampled(held.means(inside, np.asarray(places)), seed, held.block)
            rows.append((str(target), level, *summary(draw)))
    return pd.DataFrame(rows, columns=["target", "level", "value", "lower", "upper"])
