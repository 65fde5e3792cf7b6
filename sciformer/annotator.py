"""Trained models that answer about every token: records in, a row per residue out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch

from sciformer.adapter import Record
from sciformer.answers import Known, PropertyEnsemble, spread
from sciformer.distributions import Distribution, join, take
from sciformer.ensemble import index_of, known_level, status
from sciformer.tasks.token_property import TokenProperty
from sciformer.tokens import Target, collate


@dataclass(frozen=True)
class Annotator(PropertyEnsemble[TokenProperty]):
    """A trained ensemble that labels the parts of a record (``DomainAdapter.parts``), the residues of a protein."""

    def residues(self, source: Any, *, level: float | int | None = None, **columns: Any) -> pd.DataFrame:
        """A long table with a row per part of every record of ``source``.

        Args:
            source: Whatever the domain reads: a path, a DataFrame, a list of records in native types.
            level: Share of truths that intervals and sets shall hold; by default that of training.
            columns: Options of the domain's reader.

        Returns:
            ``record`` (its label in the index of ``predict``), what the domain calls the part (``chain``, ``position``
            and ``residue`` of proteins), the columns of each target as ``Predictor.predict`` tells them, and
            ``status``. An unreadable record has one row, with the reason. ``attrs["notes"]`` is a list of what else
            must be known.

        Raises ``ValueError`` where the source as a whole cannot be read or ``level`` is not calibrated.
        """
        level = known_level(self.level if level is None else level)
        records = self.read(source, **columns)
        table = self._long(records, index_of(self.adapter, source, records), level)
        table.attrs["notes"] = self.notes(records, level)
        return table

    def predict(self, source: Any, *, level: float | int | None = None, **columns: Any) -> pd.DataFrame:
        """A row per record: of each target the answers of all its parts, joined to a text where all classes are single
        letters, else a list; and ``status``. ``residues`` has probabilities and intervals."""
        level = known_level(self.level if level is None else level)
        records = self.read(source, **columns)
        long = self._long(records, range(len(records)), level)  # labels of an index need not differ
        rows = long.groupby("record").indices
        table: dict[str, list[Any]] = {}
        for target in self.targets:
            letters = bool(target.classes) and all(len(name) == 1 for name in target.classes)
            every, join = long[target.name], "".join if letters else list
            table[target.name] = [join(every.iloc[rows.get(i, [])]) if r.ok else None for i, r in enumerate(records)]
        table["status"] = [status(record) for record in records]
        answers = pd.DataFrame(table, index=index_of(self.adapter, source, records), dtype=object)
        answers.attrs["notes"] = self.notes(records, level)
        return answers

    def _long(self, records: Sequence[Record], labels: Iterable[Any], level: float) -> pd.DataFrame:
        """A row per part of every readable record and one per unreadable record, which ``labels`` name."""
        found = self.answer([record for record in records if record.ok])
        rows = []
        for label, record in zip(labels, records, strict=True):
            part = self.adapter.parts(record).drop(columns="token") if record.ok else pd.DataFrame(index=[0])
            part.insert(0, "record", [label] * len(part))
            rows.append(part.assign(status=status(record)))
        table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["record", "status"])
        why = table.pop("status")
        for target in self.targets:
            for name, values in self.columns(target, found[target.name], level).items():
                table[name] = spread(values, (why == "ok").to_numpy(dtype=bool))
        return table.assign(status=why)

    def forecast(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("this checkpoint labels the parts of records and forecasts nothing: use .residues(...)")

    def scan(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("this checkpoint labels the parts of records and knows no effects of variants")

    mutate = scan

    def answer(self, records: Sequence[Record]) -> dict[str, Distribution]:
        """Distributions by target for the parts of readable records, end to end in their order, in physical units."""
        pieces: list[dict[str, Distribution]] = []
        owners: list[int] = []
        for some, batch in self.batches(self.example(record) for record in records):
            each = [member.task.predict(member.model, batch) for member in self.members]
            width = sum(tokens.size for tokens in batch.tokens.values())
            places = [i * width + self._places(records[row]) for i, row in enumerate(some)]
            owners += [row for row, place in zip(some, places, strict=True) for _ in place]
            rows = np.concatenate(places)
            pieces.append(
                {t.name: take(type(each[0][t.name]).mixture([x[t.name] for x in each]), rows) for t in self.targets}
            )
        if not pieces:
            return {target.name: self.task.empty(target) for target in self.targets}
        back = np.argsort(np.array(owners, dtype=np.int64), kind="stable")
        return {t.name: take(join([piece[t.name] for piece in pieces]), back) for t in self.targets}

    def known(self, records: Sequence[Record], target: Target) -> Known:
        truth = [self._truth(record, target) for record in records]
        keys = [record.key for record, values in zip(records, truth, strict=True) for _ in values]
        every = np.concatenate(truth) if truth else np.zeros(0)
        rows = np.flatnonzero(~np.isnan(every))
        return Known(rows, every[rows], [keys[i] for i in rows])

    def called(self, records: Sequence[Record], known: Known) -> pd.DataFrame:
        parts = [self.adapter.parts(record).drop(columns="token") for record in records]
        return pd.concat(parts, ignore_index=True).iloc[known.rows].reset_index(drop=True) if parts else pd.DataFrame()

    def _places(self, record: Record) -> np.ndarray:
        """The tokens that stand for parts of the record."""
        return self.adapter.parts(record)["token"].to_numpy(dtype=np.int64)

    def _truth(self, record: Record, target: Target) -> np.ndarray:
        """What the record says of each of its parts; NaN where it says nothing."""
        problem = self.task.pose(collate([self.example(record)]))
        truth, known = problem.truth[target.name].float(), problem.known[target.name]
        found = torch.where(known, truth, torch.nan).numpy()[self._places(record)]
        return found.astype(str).astype(np.float64)  # 0.3 and not the 0.30000001192 that float32 makes of it
