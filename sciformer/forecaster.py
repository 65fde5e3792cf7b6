"""Trained models that forecast: records and places in, what would be measured there out."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
import torch

from sciformer import calibration, rollout
from sciformer.adapter import Record, SeriesAdapter
from sciformer.distributions import Real, join, take
from sciformer.ensemble import Ensemble, index_of, known_level, status
from sciformer.questions import QUANTILES, Case, asked, limits
from sciformer.tasks.forecast import Forecast
from sciformer.tokens import Batch, Example

if TYPE_CHECKING:
    from sciformer.backtest import Backtest


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
            or a file of one; where its values were not in memory, nor are the answers, which are computed when they are
            asked for.

        Raises ``ValueError`` where the source as a whole cannot be read, no record can be asked about a place, or
        ``level`` is not calibrated.
        """
        level = known_level(self.level if level is None else level)
        about = inspect.signature(self.adapter.questions).parameters
        places = {name: x for name, x in options.items() if name in about}
        columns = {name: x for name, x in options.items() if name not in about}
        records = self.read(source, **columns)
        records, cases = self._asked(records, places)
        return self._presented(source, records, cases, functools.partial(self.told, level=level), level)

    def rollout(
        self,
        source: Any,
        *,
        steps: int,
        samples: int = 20,
        seed: int = 0,
        level: float | int | None = None,
        **columns: Any,
    ) -> Iterator[Any]:
        """Forecast beyond the longest horizon, in ``steps`` stages of one horizon each.

        Of every record ``samples`` paths are followed. A path goes on with a draw from the calibrated answers to it,
        which its next stage reads as if it had been observed; what is drawn hangs together in time, space and variables
        as the past of the record does (``SeriesAdapter.shares``). Answers of a stage are those to all paths together,
        so what is doubtful early stays doubtful later. Only the first stage is calibrated for its leads.

        Args:
            source: As for ``forecast``; so are ``level`` and ``columns``, options of the reader.
            steps: Stages.
            samples: Paths of each record.
            seed: Of the draws: the same seed gives the same answers.

        Yields what ``forecast`` returns, once for each stage; the first is that of ``forecast`` itself. The column
        ``mean`` of later stages is the median of all paths.

        Raises ``ValueError`` as ``forecast`` does, and for records that can be asked about any time at once.
        """
        whole = all(isinstance(number, int | np.integer) for number in (steps, samples))
        if not whole or steps < 1 or samples < 2:
            raise ValueError(f"a rollout needs whole numbers, at least 1 step and 2 samples, got {steps} and {samples}")
        about = inspect.signature(self.adapter.questions).parameters
        if wrong := [name for name in columns if name in about]:
            raise ValueError(f"a rollout asks for all that follows, horizon by horizon: leave out `{wrong[0]}`")
        level, rng = known_level(self.level if level is None else level), np.random.default_rng(seed)
        records, cases = self._asked(self.read(source, **columns), {})
        for record, later in cases[:1]:  # what cannot be rolled on is refused at once
            self.adapter.shares(record, later, samples, rng)
        stages = rollout.stages(self, [record for record, _ in cases], samples, rng, level)

        def told(cases: Sequence[Case], where: pd.DataFrame, columns: Mapping[str, np.ndarray]) -> Any:
            table, place = self._table(where, columns, level), {record.key: i for i, (record, _) in enumerate(cases)}

            def answer(some: Sequence[Case]) -> pd.DataFrame:
                return table[table["case"].isin([place[record.key] for record, _ in some])]

            return self._presented(source, records, cases, answer, level)

        return (told(*stage) for stage in itertools.islice(stages, steps))

    def told(self, cases: Sequence[Case], level: float) -> pd.DataFrame:
        """What each question is about (see ``questions.asked``), and behind it the answer: ``mean``, ``lower``,
        ``upper``, the quantiles, ``unit`` and ``status``. ``attrs`` has the ``level``."""
        where = asked(self.adapter, cases)
        return self._table(where, self.columns(self.answer(cases), where, level), level)

    def _table(self, where: pd.DataFrame, columns: Mapping[str, np.ndarray], level: float) -> pd.DataFrame:
        units = {target.name: target.unit for target in self.answers}
        table = where.assign(**columns, unit=where["target"].map(units), status="ok")
        table.attrs["level"] = level
        return table

    def _presented(
        self,
        source: Any,
        records: Sequence[Record],
        cases: Sequence[Case],
        answer: Callable[[Sequence[Case]], pd.DataFrame],
        level: float,
    ) -> Any:
        """What ``answer`` says to ``cases`` in the form of the source; ``records`` are all that were read."""
        notes = self.notes(records, level)
        in_kind = self.adapter.present(source, records, cases, answer)
        if in_kind is not None:
            return in_kind.assign_attrs({"notes": "; ".join(notes)} if notes else {})
        told = answer(cases)
        counts = iter(np.split(np.arange(len(told)), np.cumsum(told["case"].value_counts(sort=False))[:-1]))
        rows = []
        for label, record in zip(index_of(self.adapter, source, records), records, strict=True):
            if record.ok:
                rows.append(self.adapter.places_as_told(record, told.iloc[next(counts)]).assign(record=label))
            else:
                rows.append(pd.DataFrame({"record": [label], "status": [status(record)]}))
        order = ["record", *self.adapter.places, *told.columns[told.columns.get_loc("mean") :]]
        table = pd.concat(rows, ignore_index=True).reindex(columns=order)
        table.attrs |= {"notes": notes, "point": self.task.kind.POINT}
        return table

    def backtest(self, source: Any, *, origins: int = 20, every: int | None = None, **columns: Any) -> "Backtest":
        """Forecast the last moments of every series of ``source``, each from what came before it, and score that.

        Args:
            source: Whatever the domain reads.
            origins: How many moments of each series are forecast from; the last horizon ends with the last observation.
            every: Steps from one to the next, by default the horizon.
            columns: Options of the domain's reader.

        Returns:
            Two tables: ``scores`` by target, model and metric with 95 % intervals (block bootstrap over moments), skill
            over climatology and persistence, and coverage and width of intervals, those of the checkpoint beside those
            that follow the series (``adaptive``); ``predictions`` with the ``origin`` of each. The attribute ``notes``
            of ``scores`` is a list of what else must be known.

        Raises ``ValueError`` where nothing is long enough, and for records that are no series (light curves).
        """
        from sciformer.backtest import backtest

        return backtest(self, self.read(source, **columns), origins, every)

    def adapted(self, source: Any, *, windows: int = 50, every: int | None = None, **columns: Any) -> "Forecaster":
        """The same forecaster with intervals that have followed the last ``windows`` of every series of ``source``,
        ``every`` steps apart (by default the horizon), for series that have changed since training; see
        ``adaptive.py``.

        Raises ``ValueError`` as ``backtest`` does.
        """
        from sciformer.backtest import adapted

        return adapted(self, self.read(source, **columns), windows, every)

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
        bounds = {x: self.interval(answer, asked, x) for x in {level, *QUANTILES.values()}}
        lower, upper = bounds[level]
        mean = np.clip(answer.mean.double().cpu().numpy(), *limits(self.adapter, asked))
        table = {"mean": mean, "lower": lower, "upper": upper}
        for p, central in QUANTILES.items():
            table[f"q{p:g}"] = bounds[central][int(p > 0.5)]
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
        found: dict[int, Real] = {}
        for rows, batch in self.batches(self.posed(*case) for case in cases):
            whole = self.task.kind.mixture([member.task.predict(member.model, batch) for member in self.members])
            counts = self._columns(batch)
            for i, start in zip(rows, np.cumsum([0, *counts[:-1]]), strict=True):
                found[i] = take(whole, start + self.adapter.answered(*cases[i]))
        if not found:
            return self.task.empty()
        return join([found[i] for i in range(len(cases))])

    def _columns(self, batch: Batch) -> list[int]:
        """How many answers there are to the questions of each row."""
        tokens = batch.tokens[self.adapter.name]
        asked = tokens.exists & ~tokens.observed[..., list(self.adapter.schema.measured)].any(-1)
        return (asked.sum(-1) * len(self.adapter.asked)).tolist()

    def weights(self, case: Case) -> np.ndarray:
        """How much of their reading the questions of a case spend on each token of what was seen; sums to 1."""
        ((_, batch),) = self.batches([self.posed(*case)])
        members = torch.stack([member.task.weights(member.model, batch) for member in self.members])
        return members.mean(0)[0].double().cpu().numpy()

    def posed(self, record: Record, asked: Any) -> Example:
        """A record with questions, as the model reads it."""
        return Example(key=record.key, tokens={self.adapter.name: self.adapter.ask(record, asked)})
