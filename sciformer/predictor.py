"""The analysis-code interface: a checkpoint becomes an object that answers tables with tables.

Nothing global is touched: no seed, no logging, no thread count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch

from sciformer import calibration
from sciformer.adapter import Record
from sciformer.distributions import Categorical, Distribution, Real, join, take
from sciformer.ensemble import Ensemble, index_of, known_level, status
from sciformer.tasks.property import Property
from sciformer.tokens import Example, Target


@dataclass(frozen=True)
class Predictor(Ensemble[Property]):
    """A trained ensemble of property models: records in, a table with a row per record out."""

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.task.targets

    def predict(self, source: Any, *, level: float | int | None = None, **columns: Any) -> pd.DataFrame:
        """Predict every row of ``source``, in its order.

        The index is that of a table, 0, 1, ... for a list, and the keys of the records for a file.

        Args:
            source: Whatever the domain reads: a path, a DataFrame, a list of records in native types.
            level: Share of truths that intervals and sets shall hold; by default that of training.
            columns: Options of the domain's reader, such as ``smiles="SMILES"``.

        Returns:
            For a regression target its name, ``_lower`` and ``_upper``; for classes the likeliest class,
            ``_p_<class>`` for each class and ``_set`` (classes joined by ``|``); last ``status``: ``ok`` or
            the reason why a row has no answer. ``attrs["notes"]`` is a list of what else must be known.

        Raises ``ValueError`` where the source as a whole cannot be read or ``level`` is not calibrated.
        """
        level = known_level(self.level if level is None else level)
        records = self.read(source, **columns)
        found = self.answer([record for record in records if record.ok])
        readable = np.array([record.ok for record in records], dtype=bool)
        table: dict[str, np.ndarray] = {}
        for target in self.targets:
            table |= {
                name: _spread(values, readable)
                for name, values in self.columns(target, found[target.name], level).items()
            }
        table["status"] = np.array([status(record) for record in records], dtype=object)
        answers = pd.DataFrame(table, index=index_of(self.adapter, source, records))
        answers.attrs["notes"] = self.notes(records, level)
        return answers

    def forecast(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("this checkpoint predicts properties and forecasts nothing: use .predict(...)")

    def columns(self, target: Target, answer: Distribution, level: float) -> dict[str, np.ndarray]:
        """The columns of ``predict`` for one target."""
        known, name = self.calibrations.get(target.name), target.name
        if isinstance(answer, Real):
            lower, upper = calibration.interval(known, answer, level)
            return {name: answer.mean.double().cpu().numpy(), f"{name}_lower": lower, f"{name}_upper": upper}
        assert isinstance(answer, Categorical)
        labels = np.array(target.classes, dtype=object)
        if isinstance(known, calibration.ClassCalibration):
            probs = known.probs(answer)
            inside = known.sets(probs, level)
        else:
            probs = answer.probs.double().cpu().numpy()
            inside = _likeliest(probs, level)
        return {
            name: labels[probs.argmax(-1)],
            **{f"{name}_p_{label}": probs[:, j] for j, label in enumerate(target.classes)},
            f"{name}_set": np.array(["|".join(labels[row]) for row in inside], dtype=object),
        }

    def answer(self, records: Sequence[Record | Example]) -> dict[str, Distribution]:
        """Distributions by target for readable records, in their order and in physical units."""
        parts: list[dict[str, Distribution]] = []
        order: list[int] = []
        for rows, batch in self.batches(x if isinstance(x, Example) else self.example(x) for x in records):
            each = [member.task.predict(member.model, batch) for member in self.members]
            parts.append({t.name: type(each[0][t.name]).mixture([x[t.name] for x in each]) for t in self.targets})
            order += rows
        if not parts:
            return {target.name: self.task.empty(target) for target in self.targets}
        back = np.argsort(np.array(order, dtype=np.int64))
        return {t.name: take(join([part[t.name] for part in parts]), back) for t in self.targets}

    def attention(self, source: Any, **columns: Any) -> pd.DataFrame:
        """How much each property reads from each token: a long table of record, target, token and weight.

        ``record`` is the label that the record has in the index of ``predict``. An unreadable record has one
        row, with the reason as its ``status`` and nothing else. Weights of a record and target sum to 1 (mean
        over heads and models). They show where the model looked, which is not an explanation of its answer.
        """
        records = self.read(source, **columns)
        found = iter(self.weights([record for record in records if record.ok]))
        rows: list[tuple[Any, ...]] = []
        for label, record in zip(index_of(self.adapter, source, records), records, strict=True):
            if not record.ok:
                rows.append((label, None, None, None, np.nan, record.problem))
                continue
            names = self.adapter.token_names(record)
            for target, weights in zip(self.targets, next(found), strict=True):
                rows += [
                    (label, target.name, i, name, float(weight), "ok")
                    for i, (name, weight) in enumerate(zip(names, weights, strict=True))
                ]
        table = pd.DataFrame(rows, columns=["record", "target", "token", "name", "weight", "status"])
        return table.astype({"token": "Int64", "weight": float})  # integers that can be missing

    def weights(self, records: Sequence[Record]) -> list[np.ndarray]:
        """Attention of each target to each token, ``[targets, tokens]`` per readable record."""
        out: list[np.ndarray] = [np.zeros(0)] * len(records)
        for rows, batch in self.batches([self.example(record) for record in records]):
            mean = torch.stack([m.task.attention(m.model, batch) for m in self.members]).mean(0).cpu().numpy()
            sizes = sum(tokens.exists.sum(-1) for tokens in batch.tokens.values())
            for row, weights, size in zip(rows, mean, sizes.tolist(), strict=True):  # pyright: ignore[reportAttributeAccessIssue]
                out[row] = weights[:, :size]
        return out


def answer_columns(targets: Sequence[Target]) -> list[str]:
    """The columns of ``Predictor.predict``."""
    names = []
    for target in targets:
        parts = [*(f"p_{label}" for label in target.classes), "set"] if target.classes else ["lower", "upper"]
        names += [target.name, *(f"{target.name}_{part}" for part in parts)]
    return [*names, "status"]


def beside(table: pd.DataFrame | None, answers: pd.DataFrame, targets: Sequence[Target]) -> pd.DataFrame:
    """The answers behind the columns of the input, which keep their names and their cells. Where the input has
    one of the columns of a target, all of that target are called ``predicted_...``."""
    answers = answers.reset_index()
    if table is None or len(table) != len(answers):  # better no columns than those of another row
        return answers
    groups = [answer_columns([target])[:-1] for target in targets]
    groups += [[name] for name in answers.columns if not any(name in group for group in groups)]
    taken, given, names = set(table.columns), set(answers.columns), {}
    for group in groups:
        prefix = ""
        while any(prefix + name in taken or (prefix and prefix + name in given) for name in group):
            prefix += "predicted_"
        names |= {name: prefix + name for name in group}
        taken |= {prefix + name for name in group}
    return pd.concat([table.reset_index(drop=True), answers.rename(columns=names)], axis=1)


def _spread(values: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """Answers at their rows; NaN (or None for text) where a row could not be read."""
    missing = None if values.dtype == object else np.nan
    out = np.full(len(readable), missing, dtype=values.dtype)
    out[readable] = values
    return out


def _likeliest(probs: np.ndarray, level: float) -> np.ndarray:
    """Without calibration: the fewest classes whose probabilities add up to the level."""
    order = np.argsort(-probs, axis=-1)
    before = np.take_along_axis(probs, order, -1).cumsum(-1) - np.take_along_axis(probs, order, -1)
    inside = np.zeros(probs.shape, dtype=bool)
    np.put_along_axis(inside, order, before < level, -1)
    return inside
