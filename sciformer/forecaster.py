"""Trained models that forecast: records and places in, what would be measured there out."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch

from sciformer import calibration
from sciformer.adapter import Record, SeriesAdapter
from sciformer.distributions import Gaussian, join, take
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

    def forecast(self, source: Any, *, level: float | int | None = None, **options: Any) -> pd.DataFrame:
        """Answer questions about every record of ``source``, a row per question.

        Args:
            source: Whatever the domain reads: a path, a table, a list of records in native types.
            level: Share of truths that ``lower`` to ``upper`` shall hold; by default that of training.
            options: Where to ask, as the domain's ``questions`` takes it (``times`` and ``bands`` of light curves);
                all others are options of its reader.

        Returns:
            ``record`` (its label in the index of a table of answers), the place (``time``, ``band``), ``mean``,
            ``lower``, ``upper``, the quantiles ``q0.05`` to ``q0.95``, ``unit``, and ``status``: ``ok`` or the reason
            why a record has no answer, which then is one row. ``attrs["notes"]`` is a list of what else must be known.

        Raises ``ValueError`` where the source as a whole cannot be read, no record can be asked about a place, or
        ``level`` is not calibrated.
        """
        level = known_level(self.level if level is None else level)
        about = inspect.signature(self.adapter.questions).parameters
        places = {name: x for name, x in options.items() if name in about}
        columns = {name: x for name, x in options.items() if name not in about}
        records = self.read(source, **columns)
        records, cases = self._asked(records, places)
        answers = pd.DataFrame(self.columns(self.answer(cases), level))
        answers["unit"], answers["status"] = self.adapter.asked.unit, "ok"
        tables = [self.adapter.observations(asked).drop(columns=["value", "error"]) for _, asked in cases]
        told, start, rows = iter(tables), 0, []
        for label, record in zip(index_of(self.adapter, source, records), records, strict=True):
            if not record.ok:
                rows.append(pd.DataFrame({"record": [label], "status": [status(record)]}))
                continue
            place = next(told)
            answer = answers.iloc[start : start + len(place)].reset_index(drop=True)
            rows.append(pd.concat([place, answer], axis=1).assign(record=label))
            start += len(place)
        order = ["record", *self.adapter.places, *answers.columns]
        table = pd.concat(rows, ignore_index=True).reindex(columns=order)
        table.attrs["notes"] = self.notes(records, level)
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

    def columns(self, answer: Gaussian, level: float) -> dict[str, np.ndarray]:
        """The columns of ``forecast`` that hold numbers."""
        known = self.calibrations.get(self.adapter.asked.name)
        lower, upper = calibration.interval(known, answer, level)
        table = {"mean": answer.mean.double().cpu().numpy(), "lower": lower, "upper": upper}
        for p, central in QUANTILES.items():
            table[f"q{p:g}"] = calibration.interval(known, answer, central)[int(p > 0.5)]
        return table

    def answer(self, cases: Sequence[Case]) -> Gaussian:
        """Answers to all questions, case by case, in physical units."""
        examples = [self.posed(record, asked) for record, asked in cases]
        found: dict[int, Gaussian] = {}
        for rows, batch in self.batches(examples):
            whole = Gaussian.mixture([member.task.predict(member.model, batch) for member in self.members])
            counts = [len(self.adapter.observations(cases[i][1])) for i in rows]
            for i, places in zip(rows, np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1]), strict=True):
                found[i] = take(whole, places)
        if not found:
            return Gaussian(torch.zeros(0), torch.zeros(0))
        return join([found[i] for i in range(len(cases))])

    def posed(self, record: Record, asked: Any) -> Example:
        """A record with questions, as the model reads it."""
        return Example(key=record.key, tokens={self.adapter.name: self.adapter.ask(record, asked)})
