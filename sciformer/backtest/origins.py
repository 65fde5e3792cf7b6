"""Rolling origins: the last moments of long series, each forecast from what came before it and nothing else."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from sciformer import adaptive
from sciformer.adapter import Record
from sciformer.backtest.held import HeldOut, basis, predictions
from sciformer.backtest.resampling import summary
from sciformer.backtest.scoring import draws, scored
from sciformer.calibration import LeadCalibration
from sciformer.distributions import Real, take
from sciformer.evaluation import ADAPTIVE, COVERAGE, MODEL, REFERENCES, WIDTH
from sciformer.forecaster import Forecaster

NAMED = 3
"""Series without any forecast that are named."""


class Backtest(NamedTuple):
    """Tables of ``Forecaster.backtest``."""

    scores: pd.DataFrame
    predictions: pd.DataFrame


def backtest(
    forecaster: Forecaster, records: Sequence[Record], origins: int, every: int | None, until: float | None = None
) -> Backtest:
    """See ``Forecaster.backtest``. ``until``: the last moment that training or calibration asked about, if known."""
    held = _held(forecaster, records, origins, every)
    answer, models = forecaster.answer(held.cases), forecaster.adapter.forecasts(())
    answers = {MODEL: answer, **held.classical({name: models[name] for name in REFERENCES if name in models})}
    table = predictions(forecaster, held, answer, "test")
    table["lower_adaptive"], table["upper_adaptive"] = _followed(forecaster, held, answer)
    scores, _ = scored(table, held, answers, 0)
    scores = pd.concat([scores, _adaptive_scores(held, table)]).drop(columns="part").reset_index(drop=True)
    order = [target.name for target in forecaster.answers]
    scores = scores.sort_values("target", key=lambda x: x.map(order.index), kind="stable", ignore_index=True)
    scores.attrs["notes"] = [*_missing(held, records, origins), _about(held, until), basis(held)]
    return Backtest(scores, _dated(held, table))


def adapted(forecaster: Forecaster, records: Sequence[Record], windows: int, every: int | None) -> Forecaster:
    """See ``Forecaster.adapted``."""
    held = _held(forecaster, records, windows, every)
    said, calibrations = held.measured(forecaster.answer(held.cases)), dict(forecaster.calibrations)
    for name, rows in held.asked.groupby("target", sort=False).indices.items():
        places = np.asarray(rows)
        calibrations[str(name)] = adaptive.follow(*_sequence(forecaster, held, said, str(name), places))[1][-1]
    return dataclasses.replace(forecaster, calibrations=calibrations)


def _held(forecaster: Forecaster, records: Sequence[Record], origins: int, every: int | None) -> HeldOut:
    adapter, readable = forecaster.adapter, [record for record in records if record.ok]
    if origins < 1 or (every is not None and every < 1):
        raise ValueError(f"origins must be 1 or more and lie a step or more apart, got {origins} every {every}")
    if not readable:
        why = f"{records[0].key}: {records[0].problem}" if records else "there are no records"
        raise ValueError(f"nothing can be read: {why}")
    windows = adapter.origins(readable, origins, every)
    held, some = HeldOut.of(adapter, windows, 0.5), f"none of {len(readable)} series, first {readable[0].key!r},"
    if not windows:
        raise ValueError(f"{some} is as long as one window up to its last observation")
    if not held.cases:
        raise ValueError(f"{some} was observed both before and after an origin of its last windows")
    return held


def _sequence(
    forecaster: Forecaster, held: HeldOut, said: Real, name: str, rows: np.ndarray
) -> tuple[LeadCalibration, Real, np.ndarray, np.ndarray, np.ndarray]:
    """What ``adaptive.follow`` takes, of the rows of one target."""
    truth, time, ahead = (held.asked[x].to_numpy(np.float64)[rows] for x in ("truth", held.adapter.clock.name, "ahead"))
    known = forecaster.calibrations.get(name)
    start = known if isinstance(known, LeadCalibration) else LeadCalibration.unknown(ahead)
    return start, take(said, rows), truth, time, ahead


def _followed(forecaster: Forecaster, held: HeldOut, answer: Real) -> np.ndarray:
    """Lower and upper bounds of all answers, adapted to what was known when they were given."""
    said, bounds = held.measured(answer), np.empty((2, len(held.asked)))
    for name, rows in held.asked.groupby("target", sort=False).indices.items():
        places = np.asarray(rows)
        bounds[:, places] = adaptive.intervals(*_sequence(forecaster, held, said, str(name), places), forecaster.level)
    return bounds


def _adaptive_scores(held: HeldOut, table: pd.DataFrame) -> pd.DataFrame:
    lower, upper = table["lower_adaptive"], table["upper_adaptive"]
    inside = table["truth"].between(lower, upper).astype(float)
    intervals = pd.DataFrame({ADAPTIVE + COVERAGE: inside, ADAPTIVE + WIDTH: upper - lower})
    rows = []
    for name, places in held.asked.groupby("target", sort=False).indices.items():
        drawn, n = draws(held, {MODEL: intervals}, np.asarray(places), 0)
        rows += [("test", model, str(name), metric, *summary(draw), n) for (model, metric), draw in drawn.items()]
    return pd.DataFrame(rows, columns=["part", "model", "target", "metric", "value", "lower", "upper", "n"])


def _missing(held: HeldOut, records: Sequence[Record], origins: int) -> list[str]:
    """In words, how many of the moments that were asked for are not there, and of whom there is none."""
    moments = len({record.group for record, _ in held.cases})
    told = {record.key.removesuffix(f" {record.group}") for record, _ in held.cases}
    silent = [record.key for record in records if record.ok and record.key not in told]
    if moments == origins and not silent:
        return []
    named = ", ".join(silent[:NAMED]) + (f" and {len(silent) - NAMED} more" if len(silent) > NAMED else "")
    return [
        f"Forecast are {moments} of {origins} moments asked for, all at which something was observed before and after"
        f"{f'; none of {named}' if silent else ''}."
    ]


def _about(held: HeldOut, until: float | None) -> str:
    """In words, what was forecast, and whether it was new."""
    spans = [record.span for record, _ in held.cases if record.span]
    met = sum(cut <= until for _, cut, _ in spans) if until is not None else 0
    told = (
        f"{len(spans)} windows are forecast from what came before each. Adaptive intervals follow the truths that were "
        "known by then; the others are those of the checkpoint, which hold as far as this time is like that of the "
        "calibration part."
    )
    if met:
        told += f" LEAK: {met} windows begin within the time that training or calibration asked about: too good."
    return told


def _dated(held: HeldOut, table: pd.DataFrame) -> pd.DataFrame:
    """With the ``origin``, the last moment that was seen, and times as users know them."""
    adapter, clock = held.adapter, held.adapter.clock.name
    units = {target.name: target.unit for target in adapter.quantities}
    table = table.assign(origin=table[clock] - table["ahead"], unit=table["target"].map(units)).drop(columns="part")
    parts = []
    for i, rows in table.groupby(held.asked["case"].to_numpy(), sort=False):
        record, _ = held.cases[int(str(i))]
        origin = adapter.places_as_told(record, rows[["origin"]].rename(columns={"origin": clock}))[clock]
        parts.append(adapter.places_as_told(record, rows).assign(origin=origin))
    dated = pd.concat(parts, ignore_index=True)
    return dated[["key", "origin", *(name for name in dated if name not in ("key", "origin"))]]
