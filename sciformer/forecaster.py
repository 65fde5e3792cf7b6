"""Trained models that forecast: records and places in, what would be measured there out."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from sciformer import calibration
from sciformer.adapter import Record, SeriesAdapter
from sciformer.distributions import Real, join, take
from sciformer.ensemble import Ensemble, index_of, known_level, status
from sciformer.tasks.forecast import Forecast
from sciformer.tokens import Example

QUANTILES = {0.05: 0.9, 0.25: 0.5, 0.75: 0.5, 0.95: 0.9}
"""Quantiles that are answered beside the mean, and the level of the central interval that each is an end of."""

Case = tuple[Record, Any]
"""A readable record and questions about it, in the native type of its domain."""


@dataclass(frozen=True)
class Forecaster(Ensemble[Forecast]):
    """A trained ensemble of forecast models.

    Answers are about what the object does. A measurement of it scatters more, by its own error.
    """

    adapter: SeriesAdapter

    def forecast(self, source: Any, *, level: float | int | None = None, **options: Any) -> Any:
        """Answer questions about every record of ``source``, a row per question.

        Args:
            source: Whatever the domain reads: a path, a table, a list of records in native types.
            level: Share of truths that ``lower`` to ``upper`` shall hold; by default that of training.
            options: Where to ask, as the domain's ``questions`` takes it (``times`` and ``bands`` of light curves);
                all others are options of its reader.

        Returns:
            ``record`` (its label in the index of a table of answers), the place (``time``, ``band``), ``mean``,
            ``lower``, ``upper``, the quantiles ``q0.05`` to ``q0.95``, ``unit``, and ``status``: ``ok`` or the reason
            why a record has no answer, which then is one row. ``mean`` is the point answer, which of a model that
            answers with quantiles is the median: ``attrs["point"]`` says so. ``attrs["notes"]`` is a list of what else
            must be known.
            Domains whose data are no tables answer in kind: climate with an ``xarray.Dataset`` where it was given one,
            or a file of one.

        Raises ``ValueError`` where the source as a whole cannot be read, no record can be asked about a place, or
        ``level`` is not calibrated.
        """
        level = known_level(self.level if level is None else level)
        about = inspect.signature(self.adapter.questions).parameters
        places = {name: x for name, x in options.items() if name in about}
        columns = {name: x for name, x in options.items() if name not in about}
        records = self.read(source, **columns)
        records, cases = self._asked(records, places)
        where = asked(self.adapter, cases)
        answers = pd.DataFrame(self.columns(self.answer(cases), where, level))
        units = {target.name: target.unit for target in self.answers}
        answers["unit"], answers["status"] = where["target"].map(units), "ok"
        answers.attrs["level"], notes = level, self.notes(records, level)
        in_kind = self.adapter.present(source, records, cases, answers)
        if in_kind is not None:
            return in_kind.assign_attrs({"notes": "; ".join(notes)} if notes else {})
        told = pd.concat([where[list(self.adapter.places)], answers], axis=1)
        counts = iter(np.split(np.arange(len(told)), np.cumsum(where["case"].value_counts(sort=False))[:-1]))
        rows = []
        for label, record in zip(index_of(self.adapter, source, records), records, strict=True):
            if record.ok:
                rows.append(self.adapter.places_as_told(record, told.iloc[next(counts)]).assign(record=label))
            else:
                rows.append(pd.DataFrame({"record": [label], "status": [status(record)]}))
        order = ["record", *self.adapter.places, *answers.columns]
        table = pd.concat(rows, ignore_index=True).reindex(columns=order)
        table.attrs |= {"notes": notes, "point": self.task.kind.POINT}
        return table

    def _asked(self, records: Sequence[Record], places: Mapping[str, Any]) -> tuple[list[Record], list[Case]]:
        """The records, those that cannot be asked with the reason why, and the questions about the others.

        Raises ``ValueError`` where no record can be asked.
        """
        out, cases, refused = list(records), [], []
        for i, record in enumerate(records):
            try:
                cases += [(record, self.adapter.questions(record, **places))] if record.ok else []
            except ValueError as error:
                refused.append(error)
                out[i] = replace(record, data=None, problem=str(error))
        if refused and not cases:
            raise refused[0]
        return out, cases

    def predict(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("this checkpoint forecasts records and predicts no properties: use .forecast(...)")

    def columns(self, answer: Real, asked: pd.DataFrame, level: float) -> dict[str, np.ndarray]:
        """The columns of ``forecast`` that hold numbers; ``asked`` says what each answer is about."""
        lower, upper = self.interval(answer, asked, level)
        mean = np.clip(answer.mean.double().cpu().numpy(), *limits(self.adapter, asked))
        table = {"mean": mean, "lower": lower, "upper": upper}
        for p, central in QUANTILES.items():
            table[f"q{p:g}"] = self.interval(answer, asked, central)[int(p > 0.5)]
        return table

    def interval(self, answer: Real, asked: pd.DataFrame, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated bounds, of each target by its own calibration, within what it can be: that loses no truth."""
        lower, upper = np.full((2, len(asked)), np.nan)
        for name, rows in asked.groupby("target", sort=False).indices.items():
            ahead = asked["ahead"].to_numpy(float)[rows]
            known = self.calibrations.get(str(name))
            lower[rows], upper[rows] = calibration.interval(known, take(answer, np.asarray(rows)), level, ahead)
        low, high = limits(self.adapter, asked)
        return np.clip(lower, low, high), np.clip(upper, low, high)

    def answer(self, cases: Sequence[Case]) -> Real:
        """Answers to all questions, case by case, in physical units."""
        examples = [self.posed(record, asked) for record, asked in cases]
        found: dict[int, Real] = {}
        for rows, batch in self.batches(examples):
            whole = self.task.kind.mixture([member.task.predict(member.model, batch) for member in self.members])
            counts = [self._columns(examples[i]) for i in rows]
            for i, start in zip(rows, np.cumsum([0, *counts[:-1]]), strict=True):
                found[i] = take(whole, start + self.adapter.answered(*cases[i]))
        if not found:
            return self.task.empty()
        return join([found[i] for i in range(len(cases))])

    def _columns(self, example: Example) -> int:
        """How many answers there are to the questions of an example."""
        tokens = example.tokens[self.adapter.name]
        asked = ~tokens.observed[..., list(self.adapter.schema.measured)].any(-1)
        return int(asked.sum()) * len(self.adapter.asked)

    def posed(self, record: Record, asked: Any) -> Example:
        """A record with questions, as the model reads it."""
        return Example(key=record.key, tokens={self.adapter.name: self.adapter.ask(record, asked)})


def asked(adapter: SeriesAdapter, cases: Sequence[Case]) -> pd.DataFrame:
    """A row per question: ``case``, place, ``value`` and ``error`` where they are known, the ``target`` it is about,
    and how far ``ahead`` of all that was seen it lies, in the unit of the clock."""
    clock, tables = adapter.clock.name, []
    for i, (record, later) in enumerate(cases):
        table = adapter.observations(later)
        last = adapter.observations(record.data)[clock].max()
        tables.append(table.assign(case=i, ahead=table[clock] - last))
    if not tables:
        return pd.DataFrame(columns=["case", *adapter.places, "value", "error", "target", "ahead"])
    whole = pd.concat(tables, ignore_index=True)
    return whole.assign(target=whole[adapter.kind] if adapter.kind else adapter.quantities[0].name)


def limits(adapter: SeriesAdapter, asked: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest that each answer can be."""
    low = {target.name: -np.inf if target.lower is None else target.lower for target in adapter.quantities}
    high = {target.name: np.inf if target.upper is None else target.upper for target in adapter.quantities}
    return asked["target"].map(low).to_numpy(np.float64), asked["target"].map(high).to_numpy(np.float64)
